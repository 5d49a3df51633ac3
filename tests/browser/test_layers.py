"""The Layers tab as a person uses it: choose a layer, open one, and take a value apart, by mouse and by keyboard."""

import pytest
from lab import accessible
from playwright.sync_api import expect

import classykit as ck

# The colours of a canvas, row by row, one a cell: [r, g, b].
COLOURS = """canvas => {
    const { width, height } = canvas;
    const d = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    return Array.from({ length: width * height }, (_, i) => [d[4 * i], d[4 * i + 1], d[4 * i + 2]]);
}"""


def open_tab(page):
    page.get_by_role("tab", name="Layers", exact=True).click()
    return page.get_by_role("tabpanel", name="Layers", exact=True)


def status(panel, words):
    expect(panel.get_by_role("status")).to_have_text(words)


def test_one_value_taken_apart(opened):
    app = ck.explore()
    app.selected_block = "block1-1"
    page = opened(app)
    panel = open_tab(page)
    rows = panel.get_by_role("row")
    expect(rows).to_have_count(10)
    expect(rows.nth(4)).to_contain_text("conv 3×3, a channel each")
    expect(panel.get_by_text("One value of depthwise_conv, calculated")).to_be_visible()
    expect(panel.get_by_text("as torch has it")).to_be_visible()
    accessible(page)

    # typed: a channel, and a place at the upper edge, where the window lies on padding
    panel.get_by_label("channel", exact=True).fill("39")
    page.keyboard.press("Enter")
    panel.get_by_label("row", exact=True).fill("0")
    page.keyboard.press("Enter")
    panel.get_by_label("column", exact=True).fill("17")
    page.keyboard.press("Enter")
    one = ck.arithmetic(app.model, app._scene.input_for(app.model), "blocks.block1-1.depthwise_conv", 39, (0, 17))
    status(panel, f"depthwise_conv at channel 39 (0, 17): 9 products add up to {one.sum:.4g}".replace("-", "−"))
    window = panel.get_by_role("group", name="3×3 window at (0, 17)").locator("span")
    assert [float(text.replace("−", "-")) for text in window.all_text_contents()] == pytest.approx(
        one.window.flatten().tolist(), abs=0.051)  # fmt: skip
    assert window.evaluate_all("cells => cells.map((cell) => cell.className.includes('outside'))") == [True] * 3 + [
        False] * 6  # fmt: skip
    assert 'ck.arithmetic(model, x, "blocks.block1-1.depthwise_conv", channel=39, at=(0, 17))' in app.to_code()

    # pointed at and moved by keys: what is asked for is where the mark is
    output = panel.get_by_role("img", name="output, channel 39")
    box = output.bounding_box()
    output.click(position={"x": box["width"] * 30.5 / 56, "y": box["height"] * 20.5 / 56})
    expect(panel.get_by_label("row", exact=True)).to_have_value("20")
    output.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_label("row", exact=True)).to_have_value("21")
    expect(panel.get_by_label("column", exact=True)).to_have_value("31")
    assert app.pane["one"]["at"] == [21, 31]
    colours = output.evaluate(COLOURS)
    assert len(colours) == 56 * 56 and len(set(map(tuple, colours))) > 30

    # a dense layer by keyboard: six products and the others
    panel.get_by_role("button", name="depthwise_conv").focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(panel.get_by_text("One value of project_conv, calculated")).to_be_visible()
    expect(panel.get_by_text("and 138 others")).to_be_visible()
    expect(panel.get_by_role("button", name="project_conv")).to_be_focused()
    # what multiplies nothing says so
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("There is no window and kernel in bn2")


def test_layers_that_open(opened):
    app = ck.explore("regnet_y_400mf")
    page = opened(app, width=620, dark=True)
    said = {"method": "custom", "content": {"type": "open_block", "block": "block2-0"}}
    app._handle_msg({"content": {"data": said}, "buffers": []})
    panel = page.get_by_role("tabpanel", name="Layers", exact=True)
    expect(page.get_by_role("tab", name="Layers", exact=True)).to_have_attribute("aria-selected", "true")
    assert (app.selected_block, app.tab) == ("block2-0", "layers")
    expect(panel).to_contain_text("Run the model to see how one value of proj comes about.")
    accessible(page)

    panel.get_by_role("button", name="f, open its layers").focus()
    page.keyboard.press("Enter")
    expect(panel.get_by_role("button", name="a.0")).to_be_focused()
    crumbs = page.get_by_role("navigation", name="What is open")
    expect(crumbs).to_have_text("block2-0›f")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.get_by_text("as torch has it")).to_be_visible()
    assert app.pane["one"]["name"] == "a.0" and app.pane["one"]["agrees"]
    accessible(page)

    panel.get_by_role("button", name="se, open its layers").click()
    expect(crumbs).to_have_text("block2-0›f›se")
    expect(panel.get_by_role("row")).not_to_have_count(10)
    panel.get_by_role("button").first.focus()
    page.keyboard.press("Escape")
    expect(crumbs).to_have_text("block2-0›f")
    expect(panel.get_by_role("button", name="se, open its layers")).to_be_focused()
    crumbs.get_by_role("button", name="block2-0").click()
    expect(crumbs).to_have_text("block2-0")
    expect(panel.get_by_role("button", name="f, open its layers")).to_be_visible()
    assert app.pane["crumbs"] == ["block2-0"]
