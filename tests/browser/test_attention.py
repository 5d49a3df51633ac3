"""The attention tab as a person uses it: points, moves by keys, chooses heads and layers, and reads what is said."""

import re

import pytest
import torch
from bare import until
from lab import accessible
from playwright.sync_api import expect

import classykit as ck
from classykit.exploring.panes.attention import ROLLOUT

# Brightness and colourfulness of a part of the large picture, a cell of 14 × 14.
LIGHT = """(canvas, [row, column]) => {
    const [w, h] = [canvas.width / 14, canvas.height / 14];
    const d = canvas.getContext('2d').getImageData(column * w + 2, row * h + 2, w - 4, h - 4).data;
    let light = 0, colour = 0;
    for (let i = 0; i < d.length; i += 4) {
        light += d[i] + d[i + 1] + d[i + 2];
        colour += Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]);
    }
    return [light / d.length, colour / d.length];
}"""
DRAWN = "canvas => canvas.toDataURL()"


def cell(page, layer, head):
    return page.get_by_role("gridcell", name=f"{layer}, {head}", exact=True)


def most(app, layer, head, query):
    """Where a query looks most, and its share, by the verb."""
    found = ck.attention(app.model, app._scene.input_for(app.model))
    row = found.layer(layer).on_grid(0, query)[head]
    best = int(row.argmax())
    return divmod(best, row.shape[1]), float(row.max())


def said(words):
    """The largest share, in per cent, as it is written."""
    return float(re.search(r": ([\d.]+)\s%", words.inner_text())[1])


def at(canvas, row, column, side=14):
    box = canvas.bounding_box()
    return {"x": box["width"] * (column + 0.5) / side, "y": box["height"] * (row + 0.5) / side}


def test_what_a_trained_model_looks_at(opened, shots):
    app = ck.explore("vit_demo")
    app.selected_block = "layer_4"
    page = opened(app, width=1180)
    page.get_by_role("tab", name="Attention").click()
    picture = page.get_by_role("img", name="what is attended to")
    words = page.locator(".ck-attention-words")

    # at first: what the class token looks at, in the block that is chosen; checked
    expect(words).to_contain_text("class token, layer_4, head 0")
    expect(page.get_by_text("✓ checked")).to_be_visible()
    expect(page.get_by_role("button", name="class token")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("gridcell")).to_have_count(6 * 6)
    accessible(page)

    # pointing: said and drawn at once, and Python is not asked
    asked = dict(app.answered)
    picture.hover(position=at(picture, 9, 7))
    place, share = most(app, "layer_4", 0, (9, 7))
    expect(words).to_contain_text("patch (9, 7), layer_4, head 0")
    expect(words).to_contain_text(f"most at ({place[0]}, {place[1]}): ")
    assert said(words) == float(f"{100 * share:.2g}")
    bright, dark = picture.evaluate(LIGHT, list(place)), picture.evaluate(LIGHT, [0, 13])
    assert bright[0] > 1.5 * dark[0] and bright[1] > 5 * dark[1], "what is looked at is bright and coloured"
    assert app._scene.position is None and app.answered == asked

    # a click chooses the patch: everywhere
    small = cell(page, "layer_2", "head 1").locator("canvas")
    before = small.evaluate(DRAWN)
    picture.click(position=at(picture, 9, 7))
    expect(page.get_by_text("from the same patch")).to_be_visible()
    assert app._scene.position == (9, 7) and small.evaluate(DRAWN) != before
    expect(page.locator("pre")).to_contain_text('att.layer("layer_4").on_grid(0, (9, 7))[0]')

    # a head of another layer by mouse: the map follows; rollout by keyboard
    cell(page, "layer_2", "head 1").click()
    expect(words).to_contain_text("patch (9, 7), layer_2, head 1")
    expect(page.get_by_role("option", name=re.compile("^layer_2,"))).to_have_attribute("aria-selected", "true")
    until(lambda: app.selected_block == "layer_2", page)
    cell(page, "layer_2", "head 1").focus()
    for key in ("ArrowUp", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight"):  # the last goes on to rollout
        page.keyboard.press(key)
    expect(cell(page, "layer_1", "rollout")).to_be_focused()
    assert app.selected_block == "layer_2", "arrows only move"
    page.keyboard.press("Enter")
    expect(words).to_contain_text("through layer_1, rollout, approximate")
    until(lambda: app.selected_block == "layer_1", page)
    assert app._panes["attention"]._head == ROLLOUT
    expect(cell(page, "layer_1", "rollout")).to_be_focused()

    # the patch by arrow keys
    picture.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(words).to_contain_text("patch (8, 6), through layer_1")
    expect(page.locator("pre")).to_contain_text("query=(8, 6)")
    assert app._scene.position == (8, 6)

    # the map chooses the layer, too; tokens as colours say which are alike, and choose
    page.get_by_role("option", name=re.compile("^layer_5,")).click()
    expect(words).to_contain_text("through layer_5")
    tokens = page.get_by_role("group", name="Tokens as colours")
    chosen = tokens.get_by_role("button", name="layer_5 as colours")
    expect(chosen).to_have_attribute("aria-pressed", "true")
    canvas = chosen.locator("canvas")
    plain = canvas.evaluate(DRAWN)
    canvas.hover(position=at(canvas, 2, 3))
    expect(page.get_by_text(re.compile(r"^most like \(2, 3\): \("))).to_be_visible()
    assert canvas.evaluate(DRAWN) != plain
    tokens.get_by_role("button", name="layer_0 as colours").click()
    expect(words).to_contain_text("through layer_0")
    until(lambda: app.selected_block == "layer_0", page)
    expect(page.locator(".ck-attention-distance circle")).to_have_count(6 * 4)
    expect(page.get_by_role("listitem").filter(has_text="layer_0: heads look")).to_have_count(1)

    # back to the class token, and nothing of ours stays on the picture of another tab
    page.get_by_role("button", name="class token").click()
    expect(words).to_contain_text("class token, through layer_0")
    assert app._scene.position is None
    picture.hover(position=at(picture, 3, 3))
    page.get_by_role("tab", name="Features").click()
    expect(page.locator(".ck-picture-frame .ck-square")).to_be_hidden()
    page.screenshot(path=shots / "attention-left.png", full_page=True)


def test_many_heads_untrained_and_dark(opened, shots):
    config = {"name": "vision_transformer", "image_size": 64, "patch_size": 16, "num_layers": 14, "num_heads": 12,
              "hidden_dim": 96, "mlp_dim": 32}  # fmt: skip
    app = ck.explore(config)
    page = opened(app, width=620, dark=True)
    page.get_by_role("tab", name="Attention").click()
    button = page.get_by_role("button", name="See its attention")
    expect(button).to_be_visible()
    accessible(page)
    button.press("Enter")
    expect(page.get_by_text("heads 0–7 of 12")).to_be_visible()
    expect(page.locator(".ck-view-tools:visible")).to_contain_text("untrained")
    page.get_by_role("button", name="next heads").click()
    expect(page.get_by_text("heads 8–11 of 12")).to_be_visible()
    expect(page.get_by_role("gridcell")).to_have_count(14 * 6)
    app.selected_block = "layer_13"  # from Python: the list scrolls to it
    expect(cell(page, "layer_13", "mean")).to_have_attribute("aria-selected", "false")
    page.wait_for_function("() => document.querySelector('.ck-attention-scroll').scrollTop > 0")
    cell(page, "layer_13", "head 11").click()
    expect(page.locator(".ck-attention-words")).to_contain_text("layer_13, head 11")
    accessible(page)
    page.screenshot(path=shots / "attention-dark.png", full_page=True)

    # too many patches to send what each looks at: no hovering, a click asks for one
    app.config = {**config, "patch_size": 2, "num_layers": 1, "num_heads": 2}
    button.press("Enter")
    picture = page.get_by_role("img", name="what is attended to")
    words = page.locator(".ck-attention-words")
    expect(words).to_contain_text("class token, layer_0")
    expect(page.get_by_text("Click a patch, or use the arrow keys.")).to_be_visible()
    picture.hover(position=at(picture, 20, 9, 32))
    expect(words).to_contain_text("class token, layer_0")
    picture.click(position=at(picture, 20, 9, 32))
    expect(words).to_contain_text("patch (20, 9), layer_0")
    picture.press("ArrowDown")
    expect(words).to_contain_text("patch (21, 9), layer_0")

    # no attention, no tab
    app.config = {"name": "resnet18"}
    expect(page.get_by_role("tab", name="Attention")).to_be_hidden()
    until(lambda: app.tab == "features", page)


def test_shifted_windows(opened, shots):
    torch.manual_seed(0)
    swin = pytest.importorskip("torchvision.models").swin_transformer.SwinTransformer
    app = ck.explore(swin([4, 4], 12, [2], [3], [7, 7], num_classes=10).eval())
    app.run()
    app.selected_block = "features.1.1"
    page = opened(app, height=1300)
    page.get_by_role("tab", name="Attention").click()
    picture = page.get_by_role("img", name="what is attended to")
    words = page.locator(".ck-attention-words")
    expect(words).to_contain_text("patch (28, 28), features.1.1.attn, head 0")
    expect(page.get_by_role("button", name="class token")).to_be_hidden()
    for place in ((0, 3), (1, 55), (30, 24)):  # the first goes on at the lower edge
        picture.hover(position=at(picture, *place, 56))
        (row, column), share = most(app, "features.1.1.attn", 0, place)
        expect(words).to_contain_text(f"patch ({place[0]}, {place[1]}), features.1.1.attn")
        expect(words).to_contain_text(f"most at ({row}, {column}): ")
        expect(words).to_contain_text("2\u00a0% of its window")
        assert said(words) == float(f"{100 * share:.2g}")
    page.screenshot(path=shots / "attention-windows.png", full_page=True)


@pytest.mark.parametrize(("width", "dark"), [(1180, False), (620, True)])
def test_registers_are_chosen_as_the_class_token_is(width, dark, opened, shots):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    module = timm.models.vision_transformer.VisionTransformer(
        patch_size=32, embed_dim=32, depth=3, num_heads=2, num_classes=5, reg_tokens=4
    )
    app = ck.explore(module.eval(), image="chelsea")
    app.run()
    page = opened(app, width=width, dark=dark)
    page.get_by_role("tab", name="Attention").click()
    words = page.locator(".ck-attention-words")
    buttons = page.get_by_role("group", name="Attention from").get_by_role("button")
    expect(buttons).to_have_text(["a patch", "class token", *(f"register {i}" for i in range(1, 5))])
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(words).to_contain_text("class token, ")
    accessible(page)

    # by mouse, and by keyboard from there
    expect(page.get_by_text("from the class token")).to_be_visible()
    buttons.nth(2).click()
    expect(words).to_contain_text("register 1, ")
    expect(page.get_by_text("from register 1")).to_be_visible()
    edge = page.get_by_role("group", name="Attention from").bounding_box()
    boxes = [button.bounding_box() for button in buttons.all()]
    assert all(box["x"] >= edge["x"] and box["x"] + box["width"] <= edge["x"] + edge["width"] + 1 for box in boxes)
    expect(page.locator("pre")).to_contain_text(".on_grid(0, 1)")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(words).to_contain_text("register 2, ")
    expect(buttons.nth(3)).to_have_attribute("aria-pressed", "true")
    expect(buttons.nth(3)).to_be_focused()
    expect(page.locator("pre")).to_contain_text(".on_grid(0, 2)")

    # what is said is what the verb gives, in every layer
    found = ck.attention(app.model, app._scene.input_for(app.model))
    layer = found.layers[0].name
    cell(page, layer, "head 1").click()
    expect(words).to_contain_text(f"register 2, {layer}, head 1")
    row = found.layer(layer).on_grid(0, 2)[1]
    assert said(words) == float(f"{100 * float(row.max()):.2g}")

    # a patch by the arrow keys, and back
    page.get_by_role("img", name="what is attended to").press("ArrowUp")
    expect(words).to_contain_text("patch (2, 3), ")
    expect(buttons.first).to_have_attribute("aria-pressed", "true")
    buttons.last.press("Enter")
    expect(words).to_contain_text("register 4, ")
    accessible(page)
    page.screenshot(path=shots / f"attention-registers-{width}.png", full_page=True)


def test_registers_alone_and_a_model_after_it(opened):
    timm = pytest.importorskip("timm")
    module = timm.models.vision_transformer.VisionTransformer(
        patch_size=32, embed_dim=32, depth=2, num_heads=2, num_classes=5, reg_tokens=2, class_token=False,
        global_pool="avg",
    ).eval()  # fmt: skip
    app = ck.explore(module, image="chelsea")
    app.run()
    page = opened(app, width=1180)
    page.get_by_role("tab", name="Attention").click()
    words = page.locator(".ck-attention-words")
    buttons = page.get_by_role("group", name="Attention from").get_by_role("button")
    expect(buttons).to_have_text(["a patch", "register 1", "register 2"])
    expect(words).to_contain_text("patch (3, 3), ")
    buttons.nth(1).click()
    expect(words).to_contain_text("register 1, ")
    assert app.pane["row"] == -1 and app.pane["column"] == 0
    app.choose("vit_demo")
    expect(buttons).to_have_text(["a patch", "class token"])
    expect(words).to_contain_text("class token, ")
