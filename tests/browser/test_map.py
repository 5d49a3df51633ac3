"""The map: repeats in piles, a strip of all blocks, zoom, search, heights, colours, and a card that covers nothing."""

import re

import pytest
from bare import until
from lab import accessible
from playwright.sync_api import expect
from torch import nn

import classykit as ck

# Right edges, labels that overlap, and the smallest letters, of what can be seen.
LOOKS = """() => {
  const map = document.querySelector(".ck-map"), svg = map.querySelector(".ck-map-svg");
  const rows = {};
  for (const text of svg.querySelectorAll("text")) {
    const box = text.getBoundingClientRect();
    const row = (rows[Math.round(box.bottom)] ??= []);
    if (text.textContent && box.width) row.push([box.left, box.right, text.textContent]);
  }
  const overlaps = Object.values(rows).flatMap((row) => row.sort((a, b) => a[0] - b[0])
    .flatMap(([left, , text], i) => (i && row[i - 1][1] > left + 0.5 ? [row[i - 1][2] + " | " + text] : [])));
  const says = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const letters = [...map.querySelectorAll("*")].filter(says);
  const last = [...svg.querySelectorAll(".ck-block-body")].pop().getBoundingClientRect().right;
  const band = map.querySelector(".ck-map-scroll");
  return { overlaps, smallest: Math.min(...letters.map((node) => parseFloat(getComputedStyle(node).fontSize))),
           spare: band.getBoundingClientRect().right - last, scrolls: band.scrollWidth > band.clientWidth + 1 };
}"""


@pytest.fixture(scope="module")
def regnet():
    return ck.explore("regnet_y_1.6gf")


@pytest.fixture(scope="module")
def deep():
    layers = [nn.Sequential(nn.Conv2d(8 if i else 3, 8, 3, padding=1), nn.ReLU()) for i in range(200)]
    return ck.explore(ck.ClassyModel.from_model(nn.Sequential(*layers), input_shape=(3, 32, 32)))


def the_map(page):
    return page.locator(".ck-map")


def blocks(page):
    return page.get_by_role("listbox", name="Architecture").get_by_role("option")


def block(page, name):
    return the_map(page).get_by_role("option", name=re.compile(rf"^{re.escape(name)},"))


def test_repeats_are_piles_that_open_in_place(opened):
    app = ck.explore("regnet_y_1.6gf")
    page = opened(app, width=620)
    names, options, toggle = the_map(page), blocks(page), the_map(page).get_by_role("switch")
    expect(options).to_have_count(9)
    expect(toggle).to_be_checked()
    pile = block(page, "block3-1")
    expect(pile).to_have_accessible_name(
        re.compile(r"^block3-1, 336×14×14, bottleneck.*, 16 blocks folded, to block3-16, Enter opens them$")
    )
    expect(names).to_contain_text("×16")
    expect(names).to_contain_text("3-1 … 3-16")
    expect(names.get_by_role("img", name="all 28 blocks")).to_be_visible()

    app.selected_block = "block3-7"  # which lies inside
    expect(pile).to_have_attribute("aria-selected", "true")
    expect(pile).to_contain_text("at 3-7")
    expect(pile).to_have_accessible_name(re.compile("block3-7 is chosen"))

    block(page, "block2-1").click()  # by mouse: the first inside is chosen, and the strip folds them again
    expect(options).to_have_count(13)
    expect(block(page, "block2-1")).to_have_attribute("aria-selected", "true")
    until(lambda: app.selected_block == "block2-1", page)
    names.locator(".ck-unfold").click()
    expect(options).to_have_count(9)

    page.keyboard.press("Tab")
    block(page, "block3-0").focus()  # by keyboard: over the pile, into it, and out
    page.keyboard.press("ArrowRight")
    expect(pile).to_be_focused()
    page.keyboard.press("Enter")
    expect(options).to_have_count(24)
    expect(block(page, "block3-1")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(block(page, "block3-16")).to_have_attribute("aria-selected", "true")
    until(lambda: app.selected_block == "block3-16", page)

    app.set_key("depth", 24)  # open or folded is kept by the stage's name
    expect(block(page, "block3-2")).to_be_visible()
    expect(block(page, "block2-2")).to_have_count(0)
    block(page, "block3-2").focus()
    page.keyboard.press("Escape")  # the card first
    page.keyboard.press("Escape")
    expect(options).to_have_count(7)
    expect(pile).to_be_focused()

    toggle.click()
    expect(options).to_have_count(25)
    toggle.click()
    expect(options).to_have_count(7)


def test_deep_nets_are_scrolled_and_zoomed(opened, deep):
    page = opened(deep)
    names, options, band = the_map(page), blocks(page), page.locator(".ck-map-scroll")
    expect(options).to_have_count(2)
    assert page.evaluate(LOOKS)["scrolls"] is False
    names.get_by_role("switch").click()
    expect(options).to_have_count(200)

    strip = names.get_by_role("slider", name="Part of the map in view")
    expect(strip).to_have_attribute("aria-valuetext", re.compile(r"^\d+ of 200 in view, 0 to \d+$"))
    strip.focus()
    page.keyboard.press("End")
    expect(strip).to_have_attribute("aria-valuetext", re.compile(r" to 199$"))
    box = strip.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 12, steps=3)
    page.mouse.up()
    expect(strip).to_have_attribute("aria-valuetext", re.compile(r"in view, [78]\d to 1[12]\d$"))

    before = band.evaluate("(node) => node.scrollLeft")  # the background is dragged
    box = band.bounding_box()
    page.mouse.move(box["x"] + 600, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 20, steps=4)
    page.mouse.up()
    assert band.evaluate("(node) => node.scrollLeft") == pytest.approx(before + 100, abs=2)

    def width():
        return block(page, "100").locator(".ck-block-body").bounding_box()["width"]

    block(page, "100").click()
    page.keyboard.press("0")
    assert page.evaluate(LOOKS)["scrolls"] is False
    small = width()
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert width() > small
    page.keyboard.press("-")
    larger = width()
    page.mouse.move(box["x"] + 500, box["y"] + 80)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    expect(strip).to_be_visible()
    assert width() > larger
    names.get_by_role("button", name="Fit the whole map (0)").click()
    assert width() == pytest.approx(small, abs=0.1)
    accessible(page, ".ck-map")


def test_blocks_are_found(opened, deep):
    page = opened(deep)
    names = the_map(page)
    names.get_by_role("switch").click()
    block(page, "100").focus()
    page.keyboard.press("/")
    found = names.get_by_label("Find a block by name or type")
    expect(found).to_be_focused()
    page.keyboard.type("19")
    expect(names.get_by_role("status")).to_have_text("1 of 12: 19")
    page.keyboard.press("ArrowUp")
    expect(names.get_by_role("status")).to_have_text("12 of 12: 199")
    expect(block(page, "100")).to_have_class(re.compile("ck-passed"))
    page.keyboard.press("Enter")
    expect(found).to_be_hidden()
    expect(block(page, "199")).to_be_focused()
    expect(block(page, "199")).to_have_attribute("aria-selected", "true")
    assert deep.selected_block == "199"
    names.get_by_role("button", name="Find a block").click()
    page.keyboard.type("no such")
    expect(names.get_by_role("status")).to_have_text("none")
    page.keyboard.press("Escape")
    expect(found).to_be_hidden()
    names.get_by_role("switch").click()  # a block that is found opens its pile
    page.keyboard.press("/")
    found.fill("150")
    found.press("Enter")
    expect(block(page, "150")).to_be_focused()


def test_heights_and_colours(opened):
    app = ck.explore({"name": "resnet18", "init_planes": 8})
    page = opened(app)
    names = the_map(page)
    height, colour = names.get_by_label("height", exact=True), names.get_by_label("colour", exact=True)

    def tall(name):
        return block(page, name).locator(".ck-block-body").bounding_box()["height"]

    assert tall("block0-0") > tall("block3-1")
    height.select_option("params")
    assert tall("block0-0") < tall("block3-1")
    height.select_option("field")
    assert tall("block0-0") < tall("block3-1")
    colour.select_option("field")
    expect(names.locator(".ck-map-ends")).to_have_text(re.compile(r"^\d+ px\d+ px$"))
    assert "knows" not in [option.get_attribute("value") for option in colour.locator("option").all()]

    height.select_option("time")  # which is measured first
    expect(colour).to_have_value("time")
    assert app._scene.profile is not None

    app._scene.knows = {"block0-0": 0.61, "block3-1": 0.97}
    app.selected_block = "block2-1"
    colour.select_option("knows")
    expect(names.locator(".ck-map-ends")).to_have_text("61 %97 %")
    expect(block(page, "block2-0")).to_have_class(re.compile("ck-unknown"))
    expect(block(page, "block3-1")).not_to_have_class(re.compile("ck-unknown"))


def test_the_card_covers_nothing(opened):
    app = ck.explore("resnet18")
    app.attach_head("block2-0", "fully_connected", "cls", num_classes=3)
    page = opened(app)
    card = page.locator(".ck-map-card")
    under = page.locator(".classykit-columns").bounding_box()
    svg = page.locator(".ck-map-svg").bounding_box()
    block(page, "block1-0").hover()
    expect(card).to_contain_text("block1-0")
    expect(card).to_contain_text("128×28×28")
    expect(card).to_contain_text("receptive field")
    box = card.bounding_box()
    assert box["y"] >= svg["y"] + svg["height"] - 1 and box["y"] + box["height"] <= under["y"]
    assert page.locator(".classykit-columns").bounding_box() == under, "nothing moves"
    page.mouse.move(box["x"] + 30, box["y"] + 5)  # one may point at it
    expect(card).to_contain_text("block1-0")
    page.mouse.move(box["x"] + 30, under["y"] + 200)
    expect(card).to_be_hidden()
    block(page, "block1-0").click()
    page.keyboard.press("ArrowRight")
    expect(card).to_contain_text("block1-1")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(block(page, "block2-0")).to_have_accessible_name(re.compile("head cls · 3$"))


def test_on_a_narrow_page_the_chosen_block_is_summed_up_below_the_map(opened):
    app = ck.explore("resnet18")
    page = opened(app, width=620)
    card = page.locator(".ck-map-card")
    expect(card).to_contain_text(app.selected_block)
    block(page, "block2-0").click()
    page.mouse.move(5, 5)
    expect(card).to_contain_text("block2-0")
    expect(card).to_contain_text("256×14×14")
    block(page, "block1-0").hover()
    expect(card).to_contain_text("block1-0")
    page.mouse.move(5, 5)
    expect(card).to_contain_text("block2-0")


@pytest.mark.parametrize("looks", [{"width": 620}, {"width": 1180, "dark": True}, {"width": 1800}])
def test_at_all_widths(looks, opened, regnet):
    page = opened(regnet, **looks)
    for folded in (True, False):
        toggle = the_map(page).get_by_role("switch")
        if (toggle.get_attribute("aria-checked") == "true") is not folded:
            toggle.click()
        seen = page.evaluate(LOOKS)
        assert seen["overlaps"] == [] and seen["smallest"] >= 10
        assert seen["scrolls"] or seen["spare"] < 60 or folded  # the band is filled
        accessible(page, ".ck-map")


@pytest.mark.parametrize("name", ["swin_t", "resnet50"])
def test_foreign_models(name, opened):
    app = ck.explore(getattr(pytest.importorskip("torchvision.models"), name)())
    page = opened(app, width=1800)
    skips = sum(b.has_skip for b in app.inspection.trunk)
    expect(page.locator(".ck-skip")).to_have_count(skips)
    seen = page.evaluate(LOOKS)
    assert skips > 10 and seen["overlaps"] == [] and seen["spare"] < 60
