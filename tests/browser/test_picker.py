"""The picker as a person uses it: a model comes onto the screen, or beside the one that is there."""

import re

import pytest
from lab import accessible
from playwright.sync_api import expect
from torch import nn

import classykit as ck

TINY = {"name": "resnet18", "init_planes": 4}


def others(app):
    return [model["name"] for model in app.pane["models"][1:]]


@pytest.fixture
def app():
    """A model, and a module of one's own that the picker has."""
    app = ck.explore(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU())), image="cat")
    app.choose(dict(TINY))
    return app


def test_beside_the_one_on_the_screen_by_keyboard_and_by_mouse(app, opened):
    page = opened(app)
    button = page.get_by_role("button", name=re.compile("^Model "))
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Choose a model")).to_contain_text("⇧ ↵ compare: beside this one")
    accessible(page)
    page.keyboard.type("vit_demo")
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_label("Search models")).to_be_hidden()
    expect(button).to_be_focused()
    expect(page.get_by_role("tab", name="Compare", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("listbox", name="B, vit_demo: blocks")).to_be_visible()
    assert app.config == TINY and others(app) == ["vit_demo"]

    # a module of one's own, by mouse and from another tab; what is there already is refused in words
    page.get_by_role("tab", name="Features", exact=True).click()
    button.click()
    page.get_by_role("option", name="Sequential, yours").click(modifiers=["Shift"])
    expect(page.get_by_role("listbox", name="C, Sequential: blocks")).to_be_visible()
    button.click()
    page.get_by_role("option", name="Sequential, yours").click(modifiers=["Shift"])
    expect(page.get_by_role("alert")).to_contain_text("Sequential is there already")
    assert app.config == TINY and others(app) == ["vit_demo", "Sequential"]
    accessible(page)

    # without Shift it comes onto the screen: one that stands beside changes places
    button.click()
    page.get_by_role("option", name="vit_demo").click()
    expect(button).to_contain_text("vit_demo")
    assert others(app) == ["resnet18", "Sequential"]


def test_the_foot_at_620_px_in_the_dark(app, opened, shots):
    page = opened(app, width=620, dark=True)
    page.get_by_role("button", name=re.compile("^Model ")).click()
    expect(page.get_by_role("dialog").get_by_text("beside this one")).to_be_visible()
    accessible(page)
    page.screenshot(path=shots / "picker-narrow.png")
