"""The Features tab on a page of its own: maps, the unit that is opened in their place, and pictures of every kind."""

import io
import re

import lab
import pytest
from bare import until
from lab import accessible
from PIL import Image
from playwright.sync_api import expect

import classykit as ck
from classykit.exploring.panes import features

# How many different colours a canvas shows, and the mean of its alpha.
COLOURS = """canvas => {
    const d = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    let alpha = 0;
    for (let i = 0; i < d.length; i += 4) { seen.add((d[i] << 16) | (d[i + 1] << 8) | d[i + 2]); alpha += d[i + 3]; }
    return [seen.size, alpha / (d.length / 4)];
}"""

# A file that is dropped on what is chosen, or pasted there.
GIVEN = """async (node, [kind, name, type, bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], name, { type }));
    const event = kind === 'drop' ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
        : new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true });
    node.dispatchEvent(event);
}"""


def png(colour):
    out = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(out, "PNG")
    return list(out.getvalue())


def turned(page, canvas, scheme):
    """The page turns light or dark, and what is painted in signed colours with it."""
    before = canvas.evaluate("node => node.toDataURL()")
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function("([node, before]) => node.toDataURL() !== before", arg=[canvas.element_handle(), before])


@pytest.fixture
def few_pictures(monkeypatch):
    found = [sample for sample in ck.sample_images() if sample in ("chelsea", "coffee", "camera")]
    monkeypatch.setattr(features, "sample_images", lambda: found)


MAPS = re.compile(r"^channel \d+$")


def test_a_unit_is_opened_looked_at_and_left(opened, few_pictures, shots):
    app = ck.explore()
    app.selected_block = "block1-1"
    page = opened(app, dark=True)
    maps = page.get_by_role("img", name=MAPS)
    expect(maps).to_have_count(24)

    # by keys: arrows move over the maps, which are read out, and Enter opens one at its strongest place
    maps.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    channel = app.view_state["features"]["maps"][7]["channel"]
    expect(page.get_by_role("img", name=f"channel {channel}", exact=True)).to_be_focused()
    expect(page.get_by_text(re.compile(rf"^channel {channel} at"))).to_be_visible()
    page.keyboard.press("Enter")
    unit = page.get_by_role("img", name=f"the map of channel {channel};")
    expect(unit).to_be_focused()
    expect(maps).to_have_count(0)
    expect(page.get_by_text("the highest of the map")).to_be_visible()
    best = app._scene.features[0, channel]
    page.wait_for_function("() => document.querySelectorAll('.ck-patch').length === 6")
    assert app._scene.channel == channel and best[app._scene.position] == best.max()

    # signed colours at first, and on the picture where it shines through
    several, solid = unit.evaluate(COLOURS)
    assert several > 30 and solid == 255
    page.get_by_role("switch", name="on the picture").check()
    assert unit.evaluate(COLOURS)[1] < 200
    page.get_by_role("switch", name="on the picture").uncheck()
    page.locator(".ck-unit").get_by_label("colours").select_option("viridis")
    assert unit.evaluate(COLOURS)[1] == 255

    # arrows move in it, and what is there is said and kept
    unit.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    row = app._scene.position[0] + 1
    place = page.locator(".ck-unit-words")
    expect(place).to_contain_text(f"at (0, {row})")
    expect(page.locator(".ck-hidden[aria-live]").filter(has_text=f"at (0, {row})")).to_have_count(1)
    until(lambda: app._scene.position == (row, 0), page)
    said = float(place.locator("b").inner_text().replace("−", "-"))
    assert said == pytest.approx(best[row, 0].item(), rel=0.02, abs=0.01)

    # without it: bars now and strokes before, said in the status, and all as before again
    off = page.get_by_role("switch", name=f"channel {channel} off")
    off.check()
    expect(page.get_by_role("status").first).to_contain_text(f"channel {channel} of block1-1 is switched off")
    expect(page.locator(".ck-without-stroke:visible")).to_have_count(5)
    assert app._scene.ablated == {"block1-1": [channel]}
    expect(page.locator("pre")).to_contain_text(f'ck.ablate(model, x, {{"block1-1": [{channel}]}})')
    accessible(page)
    page.screenshot(path=shots / "unit-dark.png", full_page=True)
    off.uncheck()
    expect(page.locator(".ck-without-stroke:visible")).to_have_count(0)
    assert app._scene.ablated == {}

    # a patch makes its picture the current one, at that place
    items = app.pane["unit"]["patches"]["items"]
    index = next(i for i, item in enumerate(items) if item["name"] != "chelsea")
    page.locator(".ck-patch").nth(index).click()
    expect(page.locator(".ck-patch").nth(index)).to_have_attribute("aria-current", "true")
    assert app.image == items[index]["name"] and list(app._scene.position) == items[index]["at"]

    # to the neighbour, whose patches are known already, and back by Esc
    page.get_by_role("button", name="next channel", exact=True).click()
    after = app._scene.channel_order
    expect(page.get_by_text(f"{features.ordinal(after.index(channel) + 2)} of 24 by variance")).to_be_visible()
    expect(page.locator(".ck-patch")).to_have_count(6)
    page.get_by_role("img", name="the map of channel").focus()
    page.keyboard.press("Escape")
    expect(maps).to_have_count(24)
    expect(maps.nth(after.index(channel) + 1)).to_be_focused()
    expect(page.get_by_role("heading", name="Without it")).to_have_count(0)
    until(lambda: app._scene.channel is None, page)


def test_sorted_by_a_class_in_signed_colours_and_with_names(opened, few_pictures, shots):
    app = ck.explore()
    app.selected_block = "block4-2"
    page = opened(app)
    maps, tools = page.get_by_role("img", name=MAPS), page.locator(".ck-view-tools:visible")
    expect(maps).to_have_count(24)
    tools.get_by_label("sort").select_option("evidence")
    until(lambda: app._scene.scores is not None, page)
    expect(maps.first).to_have_attribute("aria-label", f"channel {int(app._scene.scores.argmax())}")
    tools.get_by_label("colours").select_option("signed")
    accessible(page)
    page.screenshot(path=shots / "features-light.png", full_page=True)
    turned(page, page.locator(".ck-map-sheet"), "dark")
    maps.nth(3).click()
    expect(page.get_by_text("4th of 112 by evidence for")).to_be_visible()
    turned(page, page.locator(".ck-unit-map"), "light")
    page.get_by_role("button", name="‹ all 112 maps").click()
    expect(maps).to_have_count(24)

    # the classes that a model tells apart have their names
    app.selected_block = "fc"
    expect(page.get_by_text("the largest values")).to_be_visible()
    values = page.get_by_role("img", name="1000 values")
    values.focus()
    page.keyboard.press("Home")
    expect(page.get_by_text(re.compile("^tench · value"))).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(re.compile("^goldfish · value"))).to_be_visible()
    accessible(page)


def test_all_maps_lie_on_one_sheet_that_follows_its_cells(opened):
    app = ck.explore("efficientnet_lite0")
    app.selected_block = "block1-1"
    page = opened(app, width=1180)
    maps, sheet = page.get_by_role("img", name=MAPS), page.locator(".ck-map-sheet")

    def look():
        for cell in (maps.first, maps.last):
            until(lambda cell=cell: cell.evaluate(lab.COLOURS) > 30, page)
        # between the cells there is nothing, and their corners are round
        box, (x, y) = maps.first.bounding_box(), (sheet.bounding_box()["x"], sheet.bounding_box()["y"])
        alphas = sheet.evaluate(
            "(node, all) => all.map(([x, y]) => node.getContext('2d').getImageData(x, y, 1, 1).data[3])",
            [[box["x"] - x, box["y"] - y], [box["width"] + 3, 20], [box["width"] / 2, box["height"] / 2]],
        )
        assert alphas[0] < 128 and alphas[1:] == [0, 255]

    look()
    narrow = sheet.get_attribute("width")
    page.set_viewport_size({"width": 1700, "height": 900})
    page.wait_for_function("before => document.querySelector('.ck-map-sheet').width > before", arg=int(narrow))
    look()
    page.get_by_role("tab", name="Blocks").click()  # hidden, while another block is chosen, of smaller maps
    page.get_by_role("option", name=re.compile("^block4-2,")).first.click()
    until(lambda: app.selected_block == "block4-2", page)
    page.get_by_role("tab", name="Features").click()
    expect(page.get_by_role("tabpanel", name="Features")).to_contain_text("14 × 14 · ")
    look()


def test_pictures_of_every_kind(opened, shots):
    # a model of grey pictures runs on those and on digits
    app = ck.explore(ck.build_model("resnet18", in_channels=1, init_planes=8), image="coffee")
    page = opened(app, width=620)
    run = page.get_by_role("button", name="Run", exact=True)
    run.click()
    expect(page.locator("canvas:visible").first).to_be_visible()
    page.get_by_label("Picture", exact=True).select_option("digit 7")
    expect(page.locator("pre")).to_contain_text('ck.preprocess("digit 7", model)')
    assert app.image == "digit 7" and app.error == ""

    # files: dropped, pasted wherever the focus is, and refused by their name
    column = page.locator(".ck-picture-column")
    column.evaluate(GIVEN, ["drop", "red.png", "image/png", png("red")])
    expect(page.get_by_label("Picture", exact=True)).to_have_value("red.png")
    page.get_by_role("tab", name="Features").focus()
    page.get_by_role("tab", name="Features").evaluate(GIVEN, ["paste", "image.png", "image/png", png("blue")])
    expect(page.get_by_label("Picture", exact=True)).to_have_value("image.png")
    column.evaluate(GIVEN, ["drop", "notes.txt", "text/plain", list(b"so it goes")])
    expect(page.get_by_role("alert").first).to_contain_text("notes.txt is no picture: it is not a picture that Pillow")
    assert app.experiment.image == "image.png"
    accessible(page)

    # a perceptron gets digits as vectors, and nothing else
    app.choose({"name": "mlp", "input_dim": 784, "output_dim": 10, "hidden_dims": [16]})
    expect(page.get_by_text("Upload", exact=True)).to_be_hidden()
    page.get_by_label("Picture", exact=True).select_option("digit 3")
    run.click()
    expect(page.get_by_text("10 values")).to_be_visible()
    assert app.source["ran"] and app.source["image"] == "digit 3"

    # what cannot run offers no Run, and says what it takes
    app.choose({"name": "mlp", "input_dim": 12, "output_dim": 3, "hidden_dims": [4]})
    expect(page.get_by_text("example=torch.rand(1, 12)")).to_be_visible()
    expect(run).to_be_hidden()
    expect(page.get_by_text("takes 12", exact=True)).to_be_visible()
    page.screenshot(path=shots / "features-no-run.png", full_page=True)
