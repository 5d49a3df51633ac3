"""The Compare tab on a page of its own: another model, one selection, one picture, and what each costs."""

import re

import pytest
from bare import until
from lab import COLOURS, accessible
from playwright.sync_api import expect
from torch import nn

import classykit as ck

SMALL = {"name": "resnet18", "init_planes": 8}


def others(app):
    return [model["name"] for model in app.pane["models"][1:]]


def test_two_models_side_by_side(opened):
    app = ck.explore(SMALL, image="grace_hopper")
    page = opened(app, width=1180)
    page.get_by_role("tab", name="Compare", exact=True).click()

    # at first it asks for another; one that is none is refused in words, and nothing changes
    box = page.get_by_role("combobox", name="Another model")
    box.fill("resnet8")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("There is no model named 'resnet8'")
    page.get_by_role("button", name="Dismiss").click()
    box.fill("efficientnet_lite0")
    page.get_by_role("button", name="+ model").click()
    a = page.get_by_role("listbox", name="A, resnet18: blocks")
    b = page.get_by_role("listbox", name="B, efficientnet_lite0: blocks")
    expect(b.get_by_role("option")).to_have_count(18)
    expect(box).to_have_value("")

    # one selection: a block of A chooses its counterpart; one of B, and Alt with an arrow, that alone
    a.get_by_role("option", name="block1-0,").click()
    expect(a.get_by_role("option", name="block1-0,")).to_have_attribute("aria-selected", "true")
    expect(b.get_by_role("option", name="block2-1,")).to_have_attribute("aria-selected", "true")
    until(lambda: app.selected_block == "block1-0", page)
    b.get_by_role("option", name="block4-0,").click()
    expect(b.get_by_role("option", name="block4-0,")).to_have_attribute("aria-selected", "true")
    a.get_by_role("option", name="block1-0,").focus()
    page.keyboard.press("Alt+ArrowRight")
    expect(a.get_by_role("option", name="block1-1,")).to_have_attribute("aria-selected", "true")
    expect(b.get_by_role("option", name="block4-0,")).to_have_attribute("aria-selected", "true")
    expect(a.get_by_role("option", name="block1-1,")).to_be_focused()
    until(lambda: app.selected_block == "block1-1", page)
    until(lambda: app.pane["models"][1]["block"] == "block4-0", page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(b.get_by_role("option", name="block4-2,")).to_have_attribute("aria-selected", "true")
    until(lambda: app.selected_block == "block2-0", page)

    # nothing has run yet; then both have, on one picture, sorted alike
    assert next(app.model.parameters()).device.type == "meta"
    page.get_by_role("button", name="Run both").click()
    maps = page.get_by_role("region", name="B, efficientnet_lite0: block4-2").get_by_role("img")
    expect(maps).to_have_count(8)
    assert maps.first.evaluate(COLOURS) > 30
    expect(page.get_by_role("region", name="A, resnet18: block2-0")).to_contain_text("untrained")
    first = maps.first.get_attribute("aria-label")
    page.get_by_label("sort", exact=True).locator("visible=true").select_option("index")
    expect(maps.first).to_have_attribute("aria-label", "B, channel 0")
    assert first != "B, channel 0" and app.view_state["features"]["order"] == "index"
    maps.first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("B · channel 1 at")).to_be_visible()

    # what is counted applies to every figure, and is said
    totals = page.get_by_role("table", name="Totals")
    expect(totals.get_by_role("row", name="parameters")).to_contain_text("3.37 M")
    page.get_by_label("counted").select_option("with classifier")
    expect(totals.get_by_role("row", name="parameters")).to_contain_text("4.65 M")
    expect(
        page.get_by_text("Counted with classifiers: B has a classifier of 1.28 M parameters, A has none.")
    ).to_be_visible()
    expect(page.locator("pre")).to_contain_text('ck.compare([model, "efficientnet_lite0"]')
    page.get_by_label("colour", exact=True).last.select_option("parameters")
    accessible(page)

    # taken away, its weights are let go, and the focus is not lost
    gone = app._panes["compare"].others[0]
    page.get_by_role("button", name="Remove B, efficientnet_lite0").click()
    expect(b).to_have_count(0)
    expect(box).to_be_focused()
    assert app._panes["compare"].others == [] and next(gone.subject.model.parameters()).device.type == "meta"


@pytest.mark.parametrize("looks", [{"width": 620, "dark": True}])
def test_the_preset_and_four_in_the_dark(looks, opened):
    app = ck.explore(SMALL, image=None)
    app.tab = "compare"
    page = opened(app, **looks)
    accessible(page)
    page.get_by_role("button", name="the preset, resnet18").click()
    keys = page.get_by_role("table", name="Keys that differ")
    expect(keys.get_by_role("row", name="init_planes 8 64")).to_be_visible()
    app.compare_with("resnet18", "regnet_y_400mf", "vit_b_32")
    expect(page.get_by_role("listbox", name="D, vit_b_32: blocks")).to_be_visible()
    expect(page.get_by_role("button", name="+ model")).to_be_hidden()
    assert others(app) == ["resnet18", "regnet_y_400mf", "vit_b_32"]
    page.get_by_role("button", name="Run all").click()
    expect(page.get_by_role("alert")).to_contain_text("choose or upload")
    accessible(page)


def test_models_change_places(opened, shots):
    app = ck.explore(SMALL, image="grace_hopper")
    app.compare_with("vit_demo", {"name": "resnet50", "init_planes": 8})
    app.attach_head("block3-1", "fully_connected", "cls", num_classes=3)
    page = opened(app, width=1180)
    rows = page.locator(".ck-cmp-models")
    first = page.get_by_role("button", name="Put B, vit_demo, on the screen, and A in its place")
    expect(rows.get_by_role("button", name=re.compile("^Put "))).to_have_count(2)
    accessible(page)

    # by mouse: the trained one runs, and the code begins with it; the focus stays in B's row
    first.click()
    expect(page.get_by_role("listbox", name="A, vit_demo: blocks")).to_be_visible()
    expect(page.get_by_role("listbox", name="B, resnet18: blocks")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Model vit_demo"))).to_be_visible()
    expect(page.locator("pre")).to_contain_text('ck.load_pretrained("vit_demo")')
    expect(page.get_by_role("button", name="Put B, resnet18, on the screen, and A in its place")).to_be_focused()
    assert app.history[2:] == ["vit_demo"] and others(app) == ["resnet18", "resnet50"]
    accessible(page)
    page.screenshot(path=shots / "compare-places.png", full_page=True)

    # and taken back, in one step
    page.keyboard.press("Control+z")
    expect(page.get_by_role("listbox", name="A, resnet18: blocks")).to_be_visible()
    expect(page.get_by_role("listbox", name="B, vit_demo: blocks")).to_be_visible()
    assert app.config["heads"][0]["unique_id"] == "cls" and app.history[2:] == []

    # by keyboard, the third one; what it is on stays chosen
    app.selected_block = "block1-1"
    page.get_by_role("button", name="Put C, resnet50, on the screen, and A in its place").press("Enter")
    expect(page.get_by_role("listbox", name="A, resnet50: blocks")).to_be_visible()
    expect(page.get_by_role("button", name="Put C, resnet18, on the screen, and A in its place")).to_be_focused()
    until(lambda: app.selected_block == "block1-1", page)
    assert others(app) == ["vit_demo", "resnet18"]
    assert app.config["heads"][0]["unique_id"] == "cls", "it came along"


def test_a_module_of_ones_own_is_offered_by_its_name(opened):
    app = ck.explore(nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, 2)), image="cat")
    app.choose(dict(SMALL))
    app.tab = "compare"
    page = opened(app, width=1180)
    box = page.get_by_role("combobox", name="Another model")
    assert page.locator(f"#{box.get_attribute('list')} option").first.get_attribute("value") == "Sequential, yours"
    box.fill("Sequential, yours")
    box.press("Enter")
    expect(page.get_by_role("listbox", name="B, Sequential: blocks")).to_be_visible()
    assert others(app) == ["Sequential"]
