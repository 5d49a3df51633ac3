"""Every panel in JupyterLab, as a person uses it: by mouse where it is light, by keyboard alone where it is dark.

What each panel can do is tried one by one on a page of its own, in the other modules; this is about all of them where
they are used: with the notebook's keys, colours and styles around them, and a kernel that is another process.
"""

import json
import re

import pytest
from lab import COLOURS, DARK, accessible, kernel_eval, run_all, set_theme
from playwright.sync_api import expect

CELL = """import classykit as ck
app = ck.explore(image="chelsea")
app._information.count = 100
app._information.controls = ()
app"""
NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "id": "app", "metadata": {}, "outputs": [], "execution_count": None, "source": CELL}
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip
SAME = "notebook => notebook.content.widgets.map((cell) => cell.model.sharedModel.source)"


class Person:
    """The app's page, and the kernel, which is asked until it agrees: a page may be ahead of it."""

    def __init__(self, lab, page):
        (lab.root / "panels.ipynb").write_text(json.dumps(NOTEBOOK))
        self.lab, self.page = lab, page
        self.kernel = run_all(page, lab, "panels.ipynb")
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        self.app = page.locator(".classykit-explorer").first
        expect(self.app.get_by_role("status").first).to_contain_text("ran in")

    def knows(self, expression, value):
        for _ in range(60):
            found = kernel_eval(self.lab, self.kernel, it=expression)["it"]
            if found == value:
                return True
            self.page.wait_for_timeout(100)
        raise AssertionError(f"in the kernel, {expression} is {found!r}, not {value!r}")

    def block(self, name):
        return self.app.get_by_role("listbox", name="Architecture").get_by_role(
            "option", name=re.compile(rf"^{re.escape(name)},")
        )

    def panel(self, name):
        return self.app.get_by_role("tabpanel", name=name, exact=True)

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def go_to_tab(self, name):
        """By arrow keys, from the tab that is open, until the one wanted has the focus."""
        tabs = self.app.get_by_role("tablist").last
        tabs.get_by_role("tab", selected=True).focus()
        wanted = tabs.get_by_role("tab", name=name, exact=True)
        for _ in range(9):
            if wanted.evaluate("tab => tab === document.activeElement"):
                break
            self.press("ArrowRight")
        expect(wanted).to_be_focused()
        expect(wanted).to_have_attribute("aria-selected", "true")
        return self.panel(name)

    def cells(self):
        return self.page.evaluate(f"() => ({SAME})(window.jupyterapp.shell.currentWidget)")


@pytest.fixture
def person(lab, page):
    return Person(lab, page)


def test_by_mouse_in_light(person, shots):
    app, page = person.app, person.page

    person.block("block1-1").click()
    maps = app.get_by_role("img", name=re.compile(r"^channel \d+$"))
    expect(maps).to_have_count(24)
    assert maps.first.evaluate(COLOURS) > 30
    accessible(page)
    maps.nth(2).click()
    expect(app.get_by_role("heading", name="Strongest patches")).to_be_visible()
    expect(app.locator(".ck-patch").first).to_be_visible()
    assert app.locator(".ck-unit-map").evaluate(COLOURS) > 30
    accessible(page)
    person.knows("app._scene.channel == app._scene.channel_order[2]", True)
    app.get_by_role("button", name=re.compile("^‹ all")).click()

    app.get_by_role("tab", name="Why").click()
    why = person.panel("Why")
    why.get_by_role("radio", name="trunk_output, exact").click()
    expect(why.get_by_text("✓ exact")).to_be_visible()
    assert why.locator(".ck-why-canvas").evaluate(COLOURS) > 30
    why.get_by_role("radio", name="tiger cat").check()
    expect(why.locator("b").first).to_have_text("Evidence for tiger cat")
    accessible(page)
    person.knows("(app.tab, app.selected_block, app._scene.target)", ("why", "trunk_output", 282))

    person.block("block1-1").click()
    app.get_by_role("tab", name="Layers", exact=True).click()
    layers = person.panel("Layers")
    layers.get_by_role("button", name="project_conv").click()
    expect(layers.get_by_text("as torch has it")).to_be_visible()
    output = layers.get_by_role("img", name=re.compile("^output, channel"))
    assert output.evaluate(COLOURS) > 30
    box = output.bounding_box()
    output.click(position={"x": box["width"] * 30.5 / 56, "y": box["height"] * 20.5 / 56})
    expect(layers.get_by_label("row", exact=True)).to_have_value("20")
    accessible(page)
    column = int(layers.get_by_label("column", exact=True).input_value())
    assert abs(column - 30) <= 1
    person.knows("(app.pane['one']['at'], app.pane['one']['agrees'])", ([20, column], True))

    app.get_by_role("tab", name="Information").click()
    information = person.panel("Information")
    information.get_by_role("button", name="Ask").click()
    expect(information.get_by_role("button", name="Ask again")).to_be_visible()
    points = information.get_by_role("listbox", name="Accuracy by block").get_by_role("option")
    expect(points).to_have_count(len(kernel_eval(person.lab, person.kernel, n="app._scene.block_names")["n"]))
    points.nth(1).locator(".ck-info-dot").last.click()
    expect(points.nth(1)).to_have_attribute("aria-selected", "true")
    accessible(page)
    person.knows("app.selected_block == app._scene.block_names[1]", True)

    app.get_by_role("tab", name="Compare", exact=True).click()
    compare = person.panel("Compare")
    compare.get_by_role("combobox", name="Another model").fill("resnet18")
    compare.get_by_role("button", name="+ model").click()
    beside = compare.get_by_role("listbox", name="B, resnet18: blocks")
    beside.get_by_role("option", name="block1-0,").click()
    expect(beside.get_by_role("option", name="block1-0,")).to_have_attribute("aria-selected", "true")
    accessible(page)
    person.knows("[m['name'] for m in app.pane['models']]", ["efficientnet_lite0", "resnet18"])

    app.get_by_role("tab", name="Blocks", exact=True).click()
    blocks = person.panel("Blocks")
    blocks.get_by_role("columnheader", name="MACs").get_by_role("button").click()
    expect(blocks.get_by_role("columnheader", name="MACs")).to_have_attribute("aria-sort", "descending")
    blocks.locator("tbody tr").filter(has_text="block5-0").locator("td").nth(1).click()
    expect(person.block("block5-0")).to_have_attribute("aria-selected", "true")
    accessible(page)
    person.knows("app.selected_block", "block5-0")

    app.get_by_role("tab", name="Design", exact=True).click()
    app.get_by_role("button", name=re.compile("^Model ")).click()
    app.get_by_label("Search models").fill("vit_demo")
    app.get_by_role("listbox", name="Models").get_by_role("option", name="vit_demo", exact=True).click()
    layers_key = app.get_by_role("textbox", name="num_layers")
    expect(app.get_by_role("status").first).to_contain_text("vit_demo ran in")
    expect(layers_key).to_have_value("6")
    accessible(page)
    app.get_by_role("tab", name="Attention").click()
    attention = person.panel("Attention")
    expect(app.get_by_text("✓ checked")).to_be_visible()
    picture = attention.get_by_role("img", name="what is attended to")
    assert picture.evaluate(COLOURS) > 30
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 7.5 / 14, "y": box["height"] * 9.5 / 14})
    expect(attention.locator(".ck-attention-words")).to_contain_text("patch (9, 7), ")
    accessible(page)
    person.knows("app._scene.position", (9, 7))
    layers_key.fill("4")
    layers_key.press("Enter")
    expect(app.get_by_role("button", name="Undo: num_layers 6 → 4")).to_be_visible()
    person.knows("app.config['num_layers']", 4)
    page.screenshot(path=shots / "panels-light.png", full_page=True)


def test_by_keyboard_in_dark(person, shots):
    app, page, press = person.app, person.page, person.press
    set_theme(page, DARK)
    written = person.cells()

    person.block("stem").focus()
    press("End", "Home", "ArrowRight", "ArrowRight", "Enter")
    chosen = kernel_eval(person.lab, person.kernel, name="app._scene.block_names[2]")["name"]
    expect(person.block(chosen)).to_have_attribute("aria-selected", "true")
    person.knows("app.selected_block", chosen)
    maps = app.get_by_role("img", name=re.compile(r"^channel \d+$"))
    person.go_to_tab("Features")
    accessible(page)
    maps.first.focus()
    press("ArrowRight", "Enter")
    expect(app.get_by_role("heading", name="Strongest patches")).to_be_visible()
    expect(app.locator(".ck-patch").first).to_be_visible()
    accessible(page)
    app.get_by_role("img", name="the map of channel").focus()
    press("Escape")
    expect(maps.nth(1)).to_be_focused()
    assert maps.first.evaluate(COLOURS) > 30

    why = person.go_to_tab("Why")
    why.get_by_role("radio", name="Egyptian cat").focus()
    press("ArrowDown")
    expect(why.locator("b").first).to_have_text("Evidence for tiger cat")
    thumbs = why.get_by_role("radio", name=re.compile(", (exact|approximate)$"))
    thumbs.first.focus()
    press("End", "Enter")
    expect(why.get_by_role("radio", name="trunk_output, exact")).to_have_attribute("aria-checked", "true")
    assert why.locator(".ck-why-canvas").evaluate(COLOURS) > 30
    accessible(page)
    person.knows("(app.selected_block, app._scene.target)", ("trunk_output", 282))

    person.block("trunk_output").focus()
    press(*["ArrowLeft"] * 3, "Enter", "Enter")  # the first Enter chooses, the second opens its layers
    layers = person.panel("Layers")
    expect(layers.get_by_text("as torch has it")).to_be_visible()
    output = layers.get_by_role("img", name=re.compile("^output, channel"))
    row = int(layers.get_by_label("row", exact=True).input_value())
    output.focus()
    press("ArrowDown")
    expect(layers.get_by_label("row", exact=True)).to_have_value(str(row + 1))
    accessible(page)
    person.knows("(app.tab, app.pane['one']['at'][0])", ("layers", row + 1))

    information = person.go_to_tab("Information")
    information.get_by_role("button", name="Ask").focus()
    press("Enter")
    expect(information.get_by_role("button", name="Ask again")).to_be_visible()
    points = information.get_by_role("listbox", name="Accuracy by block").get_by_role("option")
    points.nth(0).focus()
    press("Home", "ArrowRight", "Enter")
    expect(points.nth(1)).to_have_attribute("aria-selected", "true")
    accessible(page)
    person.knows("app.selected_block == app._scene.block_names[1]", True)

    compare = person.go_to_tab("Compare")
    compare.get_by_role("combobox", name="Another model").focus()
    page.keyboard.type("resnet18")
    press("Enter")
    first = compare.get_by_role("listbox", name="A, efficientnet_lite0: blocks")
    expect(compare.get_by_role("listbox", name="B, resnet18: blocks")).to_be_visible()
    first.get_by_role("option", selected=True).focus()
    press("ArrowRight", "Enter")
    person.knows("app.selected_block == app._scene.block_names[2]", True)
    accessible(page)

    blocks = person.go_to_tab("Blocks")
    blocks.get_by_role("columnheader", name="MACs").get_by_role("button").focus()
    press("Enter")
    expect(blocks.get_by_role("columnheader", name="MACs")).to_have_attribute("aria-sort", "descending")
    blocks.locator("tbody tr").first.get_by_role("button").last.focus()
    press("ArrowDown", "Enter")
    expect(blocks.locator("tbody tr").nth(1)).to_have_attribute("aria-current", "true")
    accessible(page)

    app.get_by_role("tab", name="Block", exact=True).focus()
    press("ArrowRight")
    app.get_by_role("button", name=re.compile("^Model ")).focus()
    press("Enter")
    page.keyboard.type("vit_demo")
    press("Enter")
    expect(app.get_by_role("status").first).to_contain_text("vit_demo ran in")
    slider = app.get_by_role("slider", name="num_layers")
    attention = person.go_to_tab("Attention")
    picture = attention.get_by_role("img", name="what is attended to")
    words = attention.locator(".ck-attention-words")
    expect(words).to_contain_text("class token, ")
    assert picture.evaluate(COLOURS) > 30
    picture.focus()
    press("ArrowUp")
    expect(words).to_contain_text("patch (6, 7), ")
    accessible(page)
    person.knows("app._scene.position", (6, 7))
    slider.focus()
    press("ArrowLeft")
    expect(app.get_by_role("textbox", name="num_layers")).to_have_value("5")
    person.knows("app.config['num_layers']", 5)
    accessible(page)
    press("Control+z")
    expect(app.get_by_role("textbox", name="num_layers")).to_have_value("6")
    person.knows("app.config.get('num_layers', 6)", 6)
    assert person.cells() == written, "the notebook took none of the keys as its own"
    page.screenshot(path=shots / "panels-dark.png", full_page=True)
