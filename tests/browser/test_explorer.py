"""The Explorer as a person uses it, in JupyterLab and in marimo: choose, click, type, attach, run, look, copy."""

import re
import time

import pytest
from bare import until
from lab import COLOURS, DARK, check, kernel_eval, run_all, set_theme, watched_page
from marimo_server import Marimo
from playwright.sync_api import expect

NOTEBOOK = "notebooks/01_explore.ipynb"

DRAWN = "canvas => canvas.toDataURL()"
MAP = re.compile(r"^channel \d+$")


def block(app, name):
    return app.get_by_role("option", name=re.compile(rf"^{re.escape(name)},"))


def choose(app, name):
    app.get_by_role("button", name=re.compile("^Model ")).click()
    app.get_by_label("Search models").fill(name)
    app.get_by_role("listbox", name="Models").get_by_role("option", name=name, exact=True).click()


@pytest.fixture
def in_jupyterlab(lab, page):
    """Notebook 01, all of it run: the page, the app, and how the kernel is asked."""
    kernel = run_all(page, lab, NOTEBOOK)
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    app = page.locator(".classykit-explorer").first
    return page, app, lambda **expressions: kernel_eval(lab, kernel, **expressions)


@pytest.fixture
def in_marimo(browser, tmp_path):
    """The app in a notebook of marimo's, likewise."""
    server = Marimo(tmp_path)
    try:
        with watched_page(browser) as page:
            page.goto(server.url)
            yield page, page.locator(".classykit-explorer").first, server.ask
            check(page)
    finally:
        server.close()


@pytest.mark.parametrize("front", ["in_jupyterlab", "in_marimo"])
def test_a_person_s_first_five_minutes(front, request, shots):
    page, app, ask = request.getfixturevalue(front)
    expect(app.get_by_role("status").first).to_contain_text("ran in")

    # a trained model, a real picture, and what it says
    expect(app).to_contain_text("trained · ImageNet-1k")
    expect(app).to_contain_text("Egyptian cat")
    page.screenshot(path=shots / f"explorer-{front}.png", full_page=True)

    # a block by mouse: its figures, and its feature maps in colour
    block(app, "block3-1").click()
    expect(app.get_by_role("heading", name="block3-1").first).to_be_visible()
    expect(app).to_contain_text("83.2 k")
    first = app.get_by_role("img", name=MAP).first
    expect(app.get_by_role("img", name=MAP)).to_have_count(24)
    expect(app).to_contain_text("14 × 14 · ")
    assert first.evaluate(COLOURS) > 30
    assert ask(b="app.selected_block") == {"b": "block3-1"}

    # a block by keyboard: arrows move, Enter selects
    block(app, "block3-1").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(block(app, "block4-0")).to_be_focused()
    assert ask(b="app.selected_block") == {"b": "block3-1"}
    page.keyboard.press("Enter")
    expect(block(app, "block4-0")).to_have_attribute("aria-selected", "true")
    expect(app.get_by_role("heading", name="block4-0").first).to_be_visible()
    assert ask(b="app.selected_block") == {"b": "block4-0"}

    # a head: refused in words when it makes no sense, attached, shown, removed
    app.get_by_label("Classes", exact=True).fill("0")
    app.get_by_role("button", name=re.compile("^Attach")).click()
    expect(app.get_by_role("alert")).to_contain_text("at least one class")
    app.get_by_label("Classes", exact=True).fill("7")
    app.get_by_label("Name", exact=True).fill("my <b>head</b>")
    app.get_by_role("button", name=re.compile("^Attach")).click()
    expect(app.get_by_role("button", name="Remove head my <b>head</b>")).to_be_visible()
    expect(app.get_by_role("alert")).to_be_hidden()
    heads = ask(h="[h.unique_id for h in app.model.get_heads()['block4-0']]", c="app.config['heads'][0]['in_plane']")
    assert heads == {"h": ["my <b>head</b>"], "c": 112}
    expect(app.locator("pre")).to_contain_text('model.attach_head("block4-0"')

    # a run with the head, and the code on the clipboard
    app.get_by_role("button", name="Run", exact=True).click()
    expect(app).to_contain_text("my <b>head</b> gave 1×7")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    app.get_by_role("button", name="Copy code").click()
    expect(app).to_contain_text("Copied")
    code = page.evaluate("() => navigator.clipboard.readText()")
    assert ask(c="app.to_code()") == {"c": code}
    page.screenshot(path=shots / f"explorer-head-{front}.png", full_page=True)
    app.get_by_role("button", name="Remove head my <b>head</b>").click()
    expect(app.locator("pre")).not_to_contain_text("attach_head")
    assert ask(h="app.model.get_heads()") == {"h": {}}

    # taken back by mouse and done again by keys; the focus never falls to the page
    expect(app.get_by_role("button", name=re.compile("^Attach"))).to_be_focused()
    app.get_by_role("button", name="Undo: Head my <b>head</b> removed").click()
    expect(app.get_by_role("button", name="Remove head my <b>head</b>")).to_be_visible()
    page.keyboard.press("Control+Shift+Z")
    expect(app.get_by_role("button", name="Remove head my <b>head</b>")).to_have_count(0)
    expect(app.get_by_role("status").first).to_have_text("Done again: Head my <b>head</b> removed.")

    # another picture; and one that is none
    app.get_by_label("Picture", exact=True).select_option("coffee")
    expect(app).to_contain_text("espresso")
    no_picture = {"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"}
    app.locator("input[type=file]").set_input_files(no_picture)
    expect(app.get_by_role("alert")).to_be_visible()
    app.get_by_role("button", name="Dismiss").click()
    expect(app.get_by_role("alert")).to_be_hidden()
    expect(app.get_by_role("button", name=re.compile("^Model "))).to_be_focused()
    assert ask(i="app.image") == {"i": "coffee"}

    # another model: drawn at once, untrained and said to be, allocated by Run only
    choose(app, "resnet18")
    expect(app.get_by_role("button", name="Model resnet18, ResNeXt")).to_be_visible()
    expect(block(app, "block3-1")).to_be_visible()
    expect(app).to_contain_text("untrained")
    assert ask(d="next(app.model.parameters()).device.type") == {"d": "meta"}
    app.get_by_role("button", name="Run", exact=True).click()
    expect(app.get_by_role("img", name=MAP).first).to_be_visible()
    assert ask(d="next(app.model.parameters()).device.type") == {"d": "cpu"}

    # its keys: turned by typing and by a slider, refused with what would work, put back, taken back
    app.get_by_role("tab", name="Block").first.focus()
    page.keyboard.press("ArrowRight")
    app.locator("summary:visible", has_text="more keys").click()
    planes = app.get_by_role("textbox", name="init_planes")
    planes.fill("0")
    planes.press("Enter")
    expect(app.get_by_text("cannot be built")).to_be_visible()
    expect(planes).to_have_attribute("aria-invalid", "true")
    page.screenshot(path=shots / f"explorer-design-{front}.png", full_page=True)
    app.get_by_role("button", name="1", exact=True).click()
    expect(app.get_by_role("button", name="Put init_planes back to 64")).to_be_visible()
    expect(planes).to_have_value("1")
    slider = app.get_by_role("slider", name="init_planes")
    slider.focus()
    slider.press("End")
    expect(planes).to_have_value("256")
    expect(app.get_by_role("status").first).to_contain_text("init_planes = 256: 179 M parameters")
    until(lambda: ask(h="app.history[-1]") == {"h": "init_planes 1 → 256"}, page)  # a step once it rests
    assert ask(c="app.config", h="app.history[-2:]") == {
        "c": {"name": "resnet18", "init_planes": 256}, "h": ["init_planes 64 → 1", "init_planes 1 → 256"],
    }  # fmt: skip
    app.get_by_role("button", name="init_planes 64 → 1").click()
    expect(planes).to_have_value("1")
    app.get_by_role("button", name="Reset 1").click()
    expect(planes).to_have_value("64")

    if front == "in_jupyterlab":
        set_theme(page, DARK)
        page.screenshot(path=shots / "explorer-dark.png", full_page=True)


def test_a_clip_over_time(in_jupyterlab, shots):
    page, app, ask = in_jupyterlab
    expect(app.get_by_role("status").first).to_contain_text("ran in")
    slider = app.get_by_role("slider", name="Frame")
    clip = app.get_by_role("img", name="the clip")
    first, sheet = app.get_by_role("img", name=MAP).first, app.locator("canvas.ck-map-sheet")

    # a video model gets a clip by itself; another one is chosen, and the model run, which takes a moment
    expect(app.get_by_label("Picture", exact=True)).to_be_visible()
    expect(app.get_by_text("Upload", exact=True)).to_be_visible()
    expect(slider).to_be_hidden()
    choose(app, "r3d_18")
    expect(slider).to_have_attribute("aria-valuetext", "frame 9 of 16")
    expect(app.get_by_text("Upload", exact=True)).to_be_hidden()
    app.get_by_label("Clip", exact=True).select_option("other paths")
    expect(app.locator("pre")).to_contain_text("ck.preprocess_clip(ck.moving_shapes(seed=1), model)")
    app.get_by_role("button", name="Run", exact=True).click()
    expect(app.get_by_role("button", name="Running…")).to_be_visible()
    expect(app.get_by_role("button", name="Run", exact=True)).to_be_visible()
    expect(app.get_by_role("status").first).to_contain_text("r3d_18 ran in")
    expect(app.get_by_role("img", name=MAP)).to_have_count(24)

    # of 16 frames the last block makes 2 time steps: the frame moves with each key, the maps with each step
    block(app, "pathway0-stage4-block1").click()
    expect(slider).to_have_attribute("aria-valuetext", "frame 9 of 16, step 2 of 2 · frames 9–16")
    slider.focus()
    seen = {}
    keys = [("Home", 1, 1), ("ArrowRight", 2, 1), ("PageUp", 9, 2), ("End", 16, 2), ("PageDown", 1, 1)]
    for key, frame, step in keys:
        page.keyboard.press(key)
        where = f"frame {frame} of 16, step {step} of 2 · frames {'1–8' if step == 1 else '9–16'}"
        expect(slider).to_have_attribute("aria-valuetext", where)
        seen[frame] = clip.get_attribute("src"), sheet.evaluate(DRAWN)
    assert len({source for source, _ in seen.values()}) == 4
    assert seen[1][1] == seen[2][1] != seen[9][1] == seen[16][1]
    assert ask(f="app.frame", seen="app.frames[0]") == {"f": 0, "seen": seen[1][0]}

    # what is drawn is what the model gave at that time: in the grid, and in the unit that Enter opens there
    for key, step, map_ in (("Home", 0, first), ("End", 1, app.locator(".ck-unit-map"))):
        slider.focus()
        page.keyboard.press(key)
        map_.focus()
        page.keyboard.press("Enter")
        said, seen_by_it = app.get_by_text(re.compile(r"^channel \d+ at")).inner_text().split("\n")
        assert seen_by_it == "the square is what this unit sees"
        channel, x, y, value = re.fullmatch(r"channel (\d+) at \((\d+), (\d+)\) · value (\S+)", said).groups()
        gave = ask(v=f"app._scene.features[0, {channel}, {step}].max().item()",
                   at=f"app._scene.features[0, {channel}, {step}].argmax().item()")  # fmt: skip
        assert float(value) == pytest.approx(gave["v"], rel=0.01) and gave["at"] == 7 * int(y) + int(x)

    # a block with as many steps as frames, played and paused: the kernel knows where it stopped
    block(app, "stem-path0").click()
    expect(slider).to_have_attribute("aria-valuetext", "frame 16 of 16, step 16 of 16 · frame 16")
    expect(app).to_contain_text("56 × 56 · ")
    still = sheet.evaluate(DRAWN)
    app.get_by_role("button", name="Play").click()
    pause = app.get_by_role("button", name="Pause")
    expect(slider).not_to_have_value("15")
    page.screenshot(path=shots / "video-light.png", full_page=True)
    pause.click()
    stopped = int(slider.input_value())
    expect(app.get_by_role("button", name="Play")).to_be_visible()
    assert ask(f="app.frame") == {"f": stopped} and stopped != 15
    assert sheet.evaluate(DRAWN) != still and first.evaluate(COLOURS) > 30

    # to a picture model and back: each has its own input
    choose(app, "efficientnet_lite0")
    expect(app).to_contain_text("Egyptian cat")
    expect(slider).to_be_hidden()
    expect(app.get_by_label("Picture", exact=True)).to_have_value("chelsea")
    choose(app, "r3d_18")
    expect(app.get_by_label("Clip", exact=True)).to_have_value("other paths")
    expect(slider).to_have_value("8")
    set_theme(page, DARK)
    page.screenshot(path=shots / "video-dark.png", full_page=True)


def test_it_is_alive_in_voila(lab, page, shots):
    page.goto(f"{lab.url}voila/render/{lab.add(NOTEBOOK)}?token={lab.token}")
    app = page.locator(".classykit-explorer").first
    expect(app.get_by_role("status").first).to_contain_text("ran in")
    block(app, "block3-1").click()
    expect(app.get_by_role("heading", name="block3-1").first).to_be_visible()
    expect(app).to_contain_text("14 × 14 · ")
    assert app.get_by_role("img", name=MAP).last.evaluate(COLOURS) > 30
    page.screenshot(path=shots / "explorer-voila.png", full_page=True)
    page.problems.clear()  # of Voila's own, which wants its fonts from elsewhere
    page.outside.clear()


def test_it_is_alive_in_notebook_7(lab, page, shots):
    kernel = run_all(page, lab, NOTEBOOK, front="notebooks")
    app = page.locator(".classykit-explorer").first
    expect(app.get_by_role("status").first).to_contain_text("ran in")
    block(app, "block3-1").click()
    expect(app.get_by_role("heading", name="block3-1").first).to_be_visible()
    expect(app).to_contain_text("14 × 14 · ")
    assert app.get_by_role("img", name=MAP).last.evaluate(COLOURS) > 30
    assert kernel_eval(lab, kernel, b="app.selected_block") == {"b": "block3-1"}
    page.screenshot(path=shots / "explorer-notebook.png", full_page=True)
    # Notebook's own: two of its extensions ask for what only JupyterLab has
    page.problems[:] = [p for p in page.problems if "reading 'schema'" not in p and "filebrowser:open-path" not in p]


def test_what_takes_long_can_be_cancelled(in_jupyterlab):
    """Within a second, a model of 645 million parameters too; what is clicked meanwhile is answered afterwards."""
    _, app, ask = in_jupyterlab
    expect(app.get_by_role("status").first).to_contain_text("ran in")
    choose(app, "regnet_y_128gf")
    expect(app.get_by_role("button", name=re.compile("^Model regnet_y_128gf"))).to_be_visible()
    app.get_by_role("button", name="Run", exact=True).click()
    cancel = app.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    block(app, "block1-1").click()
    block(app, "block3-0").click()
    began = time.monotonic()
    cancel.click()
    expect(cancel).to_be_hidden()
    took = time.monotonic() - began
    expect(app.get_by_role("heading", name="block3-0").first).to_be_visible()
    assert ask(b="app.selected_block", ran="app._scene.last is not None") == {"b": "block3-0", "ran": False}
    assert took < 10, "for ever, on a machine that has much else to do; on an idle one it is within a second"


def test_it_is_never_silent(in_jupyterlab, page, shots):
    _, app, _ = in_jupyterlab
    expect(app.get_by_role("status").first).to_contain_text("ran in")
    words, box = app.locator(".ck-silence"), app.bounding_box()
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"

    # the kernel is busy with another cell: the click is seen at once, then it is said, at last it is answered
    page.evaluate(f"() => {{ {kernel}.requestExecute({{code: 'import time; time.sleep(14)'}}) }}")
    block(app, "block3-1").click()
    expect(app.locator(".ck-busy")).to_be_visible()
    expect(words).to_have_text("The kernel does not answer: it is busy with another cell, or gone.")
    expect(app.get_by_role("heading", name="block3-1").first).to_be_visible()
    expect(words).to_be_hidden()
    expect(app.locator(".ck-busy")).to_have_count(0)

    # the kernel is gone: that is said, all stays where it was, and nothing can be clicked
    page.evaluate(f"() => {{ {kernel}.restart() }}")
    expect(words).to_have_text("The kernel is gone: run the cell again.")
    expect(app.locator(".classykit-frame")).to_have_attribute("inert", "")
    after = app.bounding_box()
    assert (after["width"], after["height"]) == (box["width"], box["height"])
    page.screenshot(path=shots / "explorer-gone.png", full_page=True)
    page.wait_for_function(f"() => {kernel}.status === 'idle'")  # one that is starting cannot be stopped
