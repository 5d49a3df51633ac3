"""The Blocks tab on a page of its own: folding, sorting, choosing, measuring and taking it along as a file."""

import io

import pandas as pd
import pytest
from bare import until
from lab import accessible
from playwright.sync_api import expect

import classykit as ck

SMALL = {"name": "regnet_y_400mf", "depth": 14}


def test_a_table_to_look_things_up_in(opened):
    app = ck.explore(SMALL, image="grace_hopper")
    page = opened(app, width=1180)
    page.get_by_role("tab", name="Blocks", exact=True).click()
    table = page.get_by_role("table", name="Blocks")
    rows = table.locator("tbody tr")
    names = lambda: rows.locator(".ck-row-name").all_inner_texts()  # noqa: E731

    # equal blocks in one line, which opens by a click and by the keyboard; all at once by a switch
    folded = "block3-1 … 3-5"
    expect(rows.filter(has_text=folded)).to_contain_text("×5")
    assert len(names()) < len(app.inspection.blocks)
    table.get_by_role("button", name="5 equal blocks from block3-1").click()
    expect(rows.filter(has_text="block3-4")).to_be_visible()
    first = table.get_by_role("button", name="block3-1", exact=True)
    first.focus()
    page.keyboard.press("ArrowLeft")
    expect(table.get_by_role("button", name=folded)).to_be_focused()
    page.get_by_role("switch", name="fold equal blocks").click()
    assert names() == [b.name for b in app.inspection.blocks]

    # sorted by a click: one way, the other way, as the model runs
    macs = table.get_by_role("columnheader", name="MACs")
    in_order = names()
    macs.get_by_role("button").click()
    expect(macs).to_have_attribute("aria-sort", "descending")
    by_macs = sorted(app.inspection.blocks, key=lambda b: -b.macs)
    assert names() == [b.name for b in by_macs]
    macs.get_by_role("button").press("Enter")
    expect(macs).to_have_attribute("aria-sort", "ascending")
    assert [app.inspection[name].macs for name in names()] == sorted(b.macs for b in by_macs)
    macs.get_by_role("button").click()
    expect(macs).not_to_have_attribute("aria-sort", "ascending")
    assert names() == in_order

    # arrows move, Enter chooses; a click anywhere on a row does, too
    table.get_by_role("button", name="stem", exact=True).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(table.get_by_role("button", name="block2-0", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(rows.filter(has_text="block2-0")).to_have_attribute("aria-current", "true")
    until(lambda: app.selected_block == "block2-0", page)
    rows.filter(has_text="block4-1").locator("td").nth(1).click()
    expect(page.get_by_role("heading", name="block4-1")).to_be_visible()
    until(lambda: app.selected_block == "block4-1", page)

    # its own stride and where that leaves it, here and in the panel beside
    expect(rows.filter(has_text="block2-0")).to_contain_text("÷2")
    expect(page.get_by_text("stride 1 · 1/32 of the input")).to_be_visible()

    # how wide it is, and what the key has made of the preset
    expect(page.get_by_role("img", name="Widths of the blocks in their order: 32 · 48")).to_be_visible()
    expect(page.get_by_role("row", name="blocks 17 15 −12 %")).to_be_visible()

    # measured, a column more; and as a file
    assert not table.get_by_role("columnheader", name="time").count()
    page.get_by_role("button", name="Measure", exact=True).click()
    expect(table.get_by_role("columnheader", name="time")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("ck.profile_blocks(model, x")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the table as CSV").click()
    assert download.value.suggested_filename == "regnet_y_400mf-blocks.csv"
    text = download.value.path().read_text()
    assert pd.read_csv(io.StringIO(text))["macs"].sum() == app.inspection.macs
    accessible(page)


@pytest.mark.parametrize("looks", [{"width": 620, "dark": True}])
def test_narrow_and_dark(looks, opened):
    app = ck.explore(SMALL, image=None)
    app.attach_head("block4-1", "fully_connected", unique_id="<b>cls</b>", num_classes=3)
    app.tab = "blocks"
    page = opened(app, **looks)
    table = page.get_by_role("table", name="Blocks")
    expect(table.get_by_role("row", name="heads: <b>cls</b>")).to_be_visible()
    # what a row is about stays in sight where the rest scrolls
    box = page.locator(".ck-table-box:visible")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.evaluate("box => { box.scrollLeft = 10000 }")
    edge = box.bounding_box()["x"]
    assert table.get_by_role("button", name="stem", exact=True).bounding_box()["x"] == pytest.approx(edge, abs=20)
    accessible(page)
    # a head's row is read, and chooses nothing
    table.get_by_role("row", name="<b>cls</b>").first.locator("td").first.click()
    assert app.selected_block != "<b>cls</b>" and app.error == ""
