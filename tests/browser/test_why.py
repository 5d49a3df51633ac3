"""The Why tab as a person uses it, by mouse and by keys: classes, heads, places, depths, and what each is made of."""

import re

import pytest
from bare import until
from lab import accessible
from playwright.sync_api import expect

import classykit as ck

# The mean colour of a part of a canvas, from 0 to 1 across and down.
COLOUR = """(canvas, [x, y, width, height]) => {
    const [w, h] = [canvas.width, canvas.height];
    const box = [x * w, y * h, width * w, height * h].map(Math.round);
    const data = canvas.getContext('2d').getImageData(...box).data;
    const mean = (c) => data.filter((_, i) => i % 4 === c).reduce((a, b) => a + b, 0) / (data.length / 4);
    return [mean(0), mean(1), mean(2)];
}"""
DRAWN = "canvas => canvas.toDataURL()"


def orange(canvas, column, row, cells=7):
    """How much more red than blue is in a cell."""
    red, _, blue = canvas.evaluate(COLOUR, [column / cells, row / cells, 1 / cells, 1 / cells])
    return red - blue


def why(page):
    page.get_by_role("tab", name="Why").click()
    return page.get_by_role("tabpanel", name="Why")


def test_of_a_trained_model(opened):
    app = ck.explore()
    app.attach_head("block4-2", "linear_probe", unique_id="cats", num_classes=3)
    app.selected_block = "trunk_output"
    page = opened(app)
    view = why(page)
    scene, pane = app._scene, app._panes["why"]
    title, readout, canvas = view.locator("b").first, view.locator(".ck-why-read"), view.locator(".ck-why-canvas")
    expect(title).to_have_text("Evidence for Egyptian cat")
    expect(view.get_by_text("✓ exact")).to_be_visible()
    expect(view.locator(".ck-why-sum")).to_have_text(re.compile(r"^\S+ map [+−] \S+ bias = \S+ logit$"))
    expect(page.get_by_text("top 5 · ImageNet-1k")).to_be_hidden()

    # over the picture: orange where the map is strong, grey where it is weak; the place is marked in both pictures
    found = pane.found.maps["trunk_output"][0]
    best, worst = ((int(i) % 7, int(i) // 7) for i in (found.argmax(), found.argmin()))
    expect(readout).to_have_text(re.compile(rf"^at \({best[0]}, {best[1]}\)[\d.]+the strongest of 49 positions$"))
    expect(view.locator(".ck-why-cell")).to_be_visible()
    expect(page.locator(".ck-picture-frame > .ck-square").first).to_be_visible()
    assert orange(canvas, *best) > 60 > orange(canvas, *worst) + 20

    # places by mouse and by keys
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    expect(readout).to_contain_text("at (3, 3)")
    expect(readout).to_contain_text(f"{found[3, 3]:.3g}")
    page.mouse.move(0, 0)
    expect(readout).to_contain_text("the strongest")
    canvas.focus()
    canvas.press("ArrowDown")
    expect(readout).to_contain_text(f"at ({best[0]}, {best[1] + 1})")
    canvas.press("Enter")
    canvas.press("Escape")
    expect(readout).to_contain_text(f"at ({best[0]}, {best[1] + 1})")
    accessible(page)
    assert scene.position == (best[1] + 1, best[0])

    # classes: the next by keys, another by its name, the difference of two
    view.get_by_role("radio", name="Egyptian cat").focus()
    page.keyboard.press("ArrowDown")
    expect(title).to_have_text("Evidence for tiger cat")
    expect(view.get_by_role("radio", name="tiger cat")).to_be_focused()
    assert scene.target == 282
    search = view.get_by_role("combobox", name="Another class")
    search.fill("ESPR")
    expect(view.get_by_role("option", name="espresso", exact=True)).to_have_attribute("aria-selected", "true")
    search.press("ArrowDown")
    search.press("ArrowUp")
    search.press("Enter")
    expect(title).to_have_text("Evidence for espresso")
    expect(view.get_by_role("radio", name="espresso")).to_be_checked()
    expect(view.get_by_role("listbox")).to_be_hidden()
    assert scene.target == 967 and app.to_code().endswith(
        'ev = ck.evidence(model, x, "espresso", blocks="all")\nev.plot("trunk_output")\n')  # fmt: skip
    view.get_by_role("radio", name="Egyptian cat").check()
    view.get_by_role("switch", name="minus the runner-up").click()
    expect(title).to_have_text("Evidence for Egyptian cat minus tiger cat")
    expect(view.locator(".ck-why-sum")).to_contain_text("difference")
    view.get_by_role("switch", name="minus the runner-up").click()
    expect(title).to_have_text("Evidence for Egyptian cat")

    # depths: by mouse, and by keys
    thumb = view.get_by_role("radio", name="block3-1, approximate")
    thumb.click()
    expect(thumb).to_have_attribute("aria-checked", "true")
    expect(view.get_by_text("approximate (Grad-CAM)", exact=True)).to_be_visible()
    expect(view.locator(".ck-why-sum")).to_be_hidden()
    expect(readout).to_contain_text("of 196 positions")
    until(lambda: app.selected_block == "block3-1", page)
    assert len(view.locator(".ck-why-thumb").all()) == 18
    view.get_by_label("show").select_option("the map alone")
    expect(canvas).to_have_attribute("width", "14")
    thumb.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(view.get_by_role("radio", name="trunk_output, exact")).to_have_attribute("aria-checked", "true")
    expect(canvas).to_have_attribute("width", "7")

    # painted again when the page turns dark
    view.get_by_label("show").select_option("on the picture")
    light = canvas.evaluate(DRAWN)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("([c, light]) => c.toDataURL() !== light", arg=[canvas.element_handle(), light])
    accessible(page)

    # a head of one's own
    view.get_by_role("combobox", name="Head").select_option("cats · 3")
    expect(title).to_have_text(re.compile("^Evidence for class [012]$"))
    expect(view.get_by_text("untrained")).to_be_visible()
    expect(view.get_by_text("trunk_output has no map that leads to what cats reads: this is block4-2.")).to_be_visible()
    assert pane.found.head == "cats"

    # a channel is looked at among the features of its block
    part = view.locator(".ck-why-part").first
    channel = int(part.inner_text().split()[1])
    part.click()
    expect(page.get_by_role("tab", name="Features")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("option", name=re.compile("^block4-2,"))).to_have_attribute("aria-selected", "true")
    assert (app.tab, scene.block, scene.channel, app.error) == ("features", "block4-2", channel, "")


@pytest.mark.parametrize("looks", [{"width": 620, "dark": True}])
def test_of_a_model_without_classes(looks, opened):
    app = ck.explore({"name": "resnet18", "init_planes": 8})
    page = opened(app, **looks)
    view = why(page)
    expect(view.get_by_text("attach a head that tells some apart")).to_be_visible()
    accessible(page)
    view.get_by_role("button", name="Attach a linear probe · 10 classes").click()
    view.get_by_role("button", name="Show why").click()
    expect(view.get_by_text("untrained")).to_be_visible()
    expect(view.get_by_role("radio", name="block3-1, exact")).to_have_attribute("aria-checked", "true")
    until(lambda: app.selected_block == "block3-1", page)
    assert list(app.model.get_heads()) == ["block3-1"]

    # another picture: what stood there is of the one before
    first = view.locator(".ck-why-canvas").evaluate(DRAWN)
    found = app._panes["why"].found
    page.get_by_label("Picture", exact=True).select_option("coffee")
    page.wait_for_function("([c, first]) => c.toDataURL() !== first",
                           arg=[view.locator(".ck-why-canvas").element_handle(), first])  # fmt: skip
    assert app._panes["why"].found is not found and app.image == "coffee"
    accessible(page)
