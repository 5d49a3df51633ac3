"""The Information tab on a page of its own: asked, read, chosen and attached, by mouse and by keyboard; cancelled."""

import time

from bare import until
from lab import accessible
from playwright.sync_api import expect

import classykit as ck

NET = {"name": "resnext", "num_blocks": [1, 1, 1], "init_planes": 8, "small_input": True}


def opened_tab(opened, **looks):
    app = ck.explore(dict(NET), image=None)
    app._information.count = 100
    page = opened(app, **looks)
    page.get_by_role("tab", name="Information").click()
    expect(page.get_by_role("button", name="Ask")).to_be_visible()
    return app, page


def test_asked_read_chosen_and_attached(opened):
    app, page = opened_tab(opened)
    expect(page.get_by_text("Which digit is it, by a linear probe on each block?")).to_be_visible()
    lit = "c => [...c.getContext('2d').getImageData(0, 0, 8, 8).data].filter((v, i) => i % 4 == 0 && v > 200).length"
    digits = page.locator(".ck-info-digit")
    assert digits.count() == 10 and all(5 < digits.nth(i).evaluate(lit) < 40 for i in range(10))
    page.get_by_label("pictures", exact=True).select_option("300")
    page.get_by_label("pictures", exact=True).select_option("100")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("button", name="Ask again")).to_be_visible(timeout=60_000)
    names, found = app._scene.block_names, app._information._asked.probe
    assert list(app._scene.knows) == names and found.pictures == 100

    # the curve, by mouse: what is pointed at is read, a click chooses it
    points = page.get_by_role("listbox", name="Accuracy by block").get_by_role("option")
    assert points.count() == len(names)
    readout = page.locator(".ck-info-readout")
    dot = points.nth(2).locator(".ck-info-dot").last
    dot.hover()
    own = found.blocks[names[2]]
    expect(readout).to_contain_text(f"{names[2]}: {own.accuracy * 100:.1f}")
    expect(readout).to_contain_text("MACs; random weights")
    dot.click()
    expect(points.nth(2)).to_have_attribute("aria-selected", "true")
    until(lambda: app.selected_block == names[2], page)

    # by keyboard: arrows move, Enter chooses, Esc goes back to what is chosen
    points.nth(2).focus()
    page.keyboard.press("ArrowLeft")
    expect(points.nth(1)).to_be_focused()
    expect(readout).to_contain_text(names[1])
    page.keyboard.press("Escape")
    expect(points.nth(2)).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(points.nth(0)).to_have_attribute("aria-selected", "true")
    expect(points.nth(0)).to_be_focused()
    until(lambda: app.selected_block == names[0], page)

    # the same figures as a table, and in sentences
    rows = page.get_by_role("tabpanel", name="Information").get_by_role("row")
    assert rows.count() == len(names) + 1
    rows.nth(2).get_by_role("button").press("Enter")
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")
    until(lambda: app.selected_block == names[1], page)
    said = [text.replace("\xa0", " ") for text in page.locator(".ck-info-says li").all_inner_texts()]
    assert said == found.says and "untrained" in said[2]

    # its head, and back
    page.get_by_role("button", name="Attach it as a head").click()
    expect(page.get_by_role("status").filter(has_text=f"Head digits attached to {names[1]}")).to_be_visible()
    assert list(app._scene.subject.heads()) == ["digits"]
    expect(page.get_by_role("region", name="Code")).to_contain_text("load_state_dict")
    accessible(page)
    app.undo()
    assert list(app._scene.subject.heads()) == [] and app.pane["result"] is not None


def test_narrow_and_dark(opened):
    app = ck.explore(dict(NET), image=None)
    app.probe(limit=100, controls=["pixels"])
    app.tab = "information"
    page = opened(app, width=620, dark=True)
    chart, figures = (page.locator(name).bounding_box() for name in (".ck-info-chart", ".ck-info-right"))
    assert figures["y"] >= chart["y"] + chart["height"] and chart["width"] > 500  # one below the other
    labels = page.locator(".ck-info-labels text").all_text_contents()
    assert [text.split()[0] for text in labels] == [app.selected_block, "raw", "chance", "untrained"]
    accessible(page)


def test_points_come_block_by_block_and_cancel_keeps_them(opened):
    app, page = opened_tab(opened)
    tell = app._information.tell

    def slowly(words, done, of):
        tell(words, done, of)
        if app.pane["result"] is not None:
            time.sleep(0.5)

    app._information.tell = slowly
    page.get_by_role("button", name="Ask").click()
    points = page.get_by_role("listbox", name="Accuracy by block").get_by_role("option")
    expect(points).to_have_count(1, timeout=30_000)
    expect(page.get_by_role("button", name="Ask")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Ask again")).to_be_visible(timeout=30_000)
    expect(page.locator(".ck-info-stopped")).to_contain_text("Cancelled after")
    kept = points.count()
    assert 1 <= kept < len(app._scene.block_names)
    assert list(app._scene.knows) == app._scene.block_names[:kept] and app.error == ""


def test_a_folder_that_is_none_is_said_where_it_is_typed(opened, tmp_path):
    app, page = opened_tab(opened)
    page.get_by_label("data", exact=True).select_option("a folder")
    box = page.get_by_role("textbox", name="Folder")
    box.fill(str(tmp_path / "pets"))
    box.press("Enter")
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("is not there")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert").filter(has_text="pets")).to_be_visible()
    assert app.pane["result"] is None and "pets" in app.error
