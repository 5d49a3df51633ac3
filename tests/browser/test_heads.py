"""Heads and keys as a person handles them: attached, edited, moved, renamed, removed, and what each gives."""

import re

from bare import until
from lab import accessible
from playwright.sync_api import expect

import classykit as ck

TINY = {"name": "resnet18", "init_planes": 4}


def attached(app):
    return {h["unique_id"]: h for h in app.config.get("heads", [])}


def test_a_heads_whole_life(opened):
    app = ck.explore(dict(TINY))
    app.selected_block = "block1-0"
    page = opened(app)
    page.get_by_role("textbox", name="Classes").fill("3")
    page.get_by_role("textbox", name="Name").fill("mine")
    page.get_by_text("4 more keys").click()
    page.get_by_role("radio", name="silu").check()
    page.get_by_role("switch", name="zero_init_bias").check()
    page.get_by_role("button", name="Attach · 3 classes").click()
    edit = page.get_by_role("button", name="Edit head mine")
    expect(edit).to_be_visible()
    assert (attached(app)["mine"]["activation"], attached(app)["mine"]["zero_init_bias"]) == ("silu", True)

    # what it gives, once it has run
    row = page.locator(".ck-attached-head", has_text="mine")
    expect(row).to_contain_text("untrained")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(row).to_contain_text(re.compile(r"class \d+ ?\d+ %"))

    # edited, moved and renamed by keyboard; the focus stays where it was
    edit.focus()
    page.keyboard.press("Enter")
    expect(edit).to_have_attribute("aria-expanded", "true")
    box = row.get_by_role("textbox", name="num_classes")
    box.fill("5")
    box.press("Enter")
    expect(row).to_contain_text("5 classes")
    assert attached(app)["mine"]["num_classes"] == 5
    place = row.get_by_label("Attached to")
    place.focus()
    place.select_option("block2-1")
    expect(row).to_contain_text("at block2-1")
    expect(place).to_be_focused()
    name = row.get_by_label("Name", exact=True)
    name.fill("yours")
    name.press("Enter")
    renamed = page.locator(".ck-attached-head", has_text="yours")
    expect(renamed.get_by_role("button", name="Edit head yours")).to_be_visible()
    expect(renamed.get_by_label("Name", exact=True)).to_be_focused()
    assert attached(app)["yours"]["fork_block"] == "block2-1" and list(attached(app)) == ["yours"]
    accessible(page)

    # what makes no sense is said, and nothing changes
    box = renamed.get_by_role("textbox", name="num_classes")
    box.fill("-2")
    box.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("num_classes")
    assert attached(app)["yours"]["num_classes"] == 5

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Edit head mine")).to_be_visible()
    page.get_by_role("button", name="Redo").click()
    remove = page.get_by_role("button", name="Remove head yours")
    remove.focus()
    page.keyboard.press("Enter")
    expect(remove).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^Attach"))).to_be_focused()
    assert attached(app) == {}


def test_a_models_own_classifier_and_what_does_not_fit(opened):
    app = ck.explore("efficientnet_lite0")
    page = opened(app, dark=True, width=620)
    own = page.locator(".ck-own")
    expect(own).to_contain_text("its own classifier · 1000 classes")
    expect(own).to_contain_text("trained · ImageNet-1k")
    expect(own).to_contain_text("Egyptian cat")
    unfit = page.get_by_text("2 heads do not fit here")
    expect(page.get_by_text("wants a vector")).to_be_hidden()
    unfit.click()
    expect(page.get_by_text("wants a vector")).to_be_visible()
    accessible(page)
    own.get_by_role("button").click()
    expect(page.get_by_role("heading", name="fc").first).to_be_visible()
    until(lambda: app.selected_block == "fc", page)


def test_keys_are_turned_by_mouse_and_keyboard(opened):
    app = ck.explore("regnet_y_400mf", image=None)
    page = opened(app)
    page.get_by_role("tab", name="Design").click()
    depth = page.get_by_role("slider", name="depth")
    depth.focus()
    for key, value in [("ArrowRight", 17), ("PageUp", 27), ("PageDown", 17), ("Home", 4), ("End", 64)]:
        page.keyboard.press(key)
        expect(page.get_by_role("textbox", name="depth")).to_have_value(str(value))
    expect(page.get_by_role("status").first).to_contain_text("depth = 64")
    expect(page.get_by_role("button", name="Put depth back to 16")).to_be_visible()
    assert app.config["depth"] == 64
    box = depth.bounding_box()
    page.mouse.dblclick(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)  # its thumb
    expect(page.get_by_role("textbox", name="depth")).to_have_value("16")
    expect(page.get_by_role("button", name="Put depth back to 16")).to_be_hidden()
    assert "depth" not in app.config

    page.get_by_text("more keys").last.click()
    switch = page.get_by_role("switch", name="use_se")
    switch.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Put use_se back to True")).to_be_visible()
    page.get_by_role("radio", name="silu").check()
    expect(page.get_by_role("button", name="↺ Reset 2")).to_be_visible()
    assert (app.config["use_se"], app.config["activation"]) == (False, "silu")

    # putting one back takes its button away, and the focus goes to its control
    page.get_by_role("button", name="Put use_se back to True").focus()
    page.keyboard.press("Enter")
    expect(switch).to_be_focused()
    expect(switch).to_be_checked()

    box = page.get_by_role("textbox", name="w_0")
    box.fill("52")
    box.press("Enter")
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("52 should be a multiple of 8.")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="56", exact=True).click()
    expect(box).to_have_value("56")
    assert app.config["w_0"] == 56 and app.error == ""
    page.get_by_role("button", name="↺ Reset 2").click()
    expect(page.locator(".ck-chips")).not_to_contain_text("changed")
    assert page.evaluate("document.activeElement !== document.body")
