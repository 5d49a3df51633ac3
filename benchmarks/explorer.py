"""How soon the Explorer answers, in a real JupyterLab in a real Chromium: python benchmarks/explorer.py

Times are multiples of the floor of the same run: the round trip of a bare ipywidgets button whose text Python changes.
Each act takes turns with the floor; all are from the click, on the page's own clock, to what the kernel made of it
being on the screen. Beside them: how long `explore` works in a fresh process beyond importing torch, how much a click
sends, whether hovering asks Python, and whether 300 changes of model leave the kernel's memory flat.

Ends with status 1 when something is over its budget. It needs what the browser tests need.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))

from lab import CHROMIUM_ARGS, Lab, find_chromium, kernel_eval, run_all, watched_page
from playwright.sync_api import expect, sync_playwright
from side_by_side import machine

# multiples of the floor
BUDGETS = {
    "select a block": 2.5, "a slider of a RegNet": 6, "another model": 12, "another model, the second time": 4.5,
    "attach a head to densenet201": 9, "feature maps of a block for a new picture": 15,
}  # fmt: skip
FIRST_SECONDS, CLICK_BYTES, GROWN_SHARE = 2.0, 4000, 1.05
CHANGES = 300
REST_MS = 200

CELLS = [
    "import ipywidgets as w\n"
    "said = w.Label('0')\n"
    "button = w.Button(description='floor')\n"
    "button.on_click(lambda _: setattr(said, 'value', str(int(said.value) + 1)))\n"
    "w.HBox([button, said])",
    "import classykit as ck\napp = ck.explore('efficientnet_lite0')\napp",
    # what a click on a block sends and paints, by a widget that does nothing else
    """import anywidget, os, traitlets
class Bare(anywidget.AnyWidget):
    _esm = '''export default { render({ model, el }) {
        const button = document.createElement("button"), said = document.createElement("span");
        Object.assign(button, { className: "bare-button", textContent: "bare" });
        Object.assign(said, { className: "bare-said", textContent: "0" });
        const canvas = () => Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
        const all = Array.from({ length: 24 }, canvas);
        el.append(button, said, ...all);
        button.addEventListener("click", () => model.send({}));
        model.on("change:words", () => {
            const view = model.get("pixels");
            const numbers = new Uint16Array(view.buffer, view.byteOffset, view.byteLength / 2);
            all.forEach((canvas, i) => {
                const pen = canvas.getContext("2d", { willReadFrequently: true });
                const image = pen.createImageData(28, 28);
                const out = new Uint32Array(image.data.buffer);
                for (let k = 0; k < out.length; k++) out[k] = 0xff000000 | numbers[i * 784 + k];
                pen.putImageData(image, 0, 0);
            });
            said.textContent = model.get("words").n;
        });
    } }'''
    words, pixels = traitlets.Dict().tag(sync=True), traitlets.Bytes().tag(sync=True)
    def answer(self, *_):
        with self.hold_sync():
            n = int(self.words.get("n", 0)) + 1
            self.words, self.pixels = {"n": n, "text": str(n) * 1500}, os.urandom(24 * 28 * 28 * 2)
bare = Bare()
bare.on_msg(bare.answer)
bare""",
]

# Starts the clock with what `act` does, stops it once `done` holds: looked at after every change of the page, and
# where `done` is of pixels in every frame, as they change without one. No frames are asked for otherwise: while the
# map's layers are drawn by the processor, an empty frame keeps the page from hearing the kernel for 7 ms.
TIMED = """([act, done, argument]) => new Promise((resolve, refuse) => {
    const [does, holds] = [eval(act), eval(done)];
    const before = holds.before?.(argument);
    const start = performance.now();
    const look = () => {
        if (over || !holds(argument, before)) return;
        over = true;
        observer.disconnect();
        resolve(performance.now() - start);
    };
    let over = false;
    const observer = new MutationObserver(look);
    observer.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    const frame = () => { look(); if (!over) requestAnimationFrame(frame); };
    does(argument);
    if (holds.pixels) frame();
    setTimeout(() => { if (!over) { over = true; refuse(new Error(`never: ${done}`)); } }, 60000);
})"""

BARE = (
    "() => document.querySelector('.bare-button').click()",
    "Object.assign((_, before) => document.querySelector('.bare-said').textContent !== before,"
    " { before: () => document.querySelector('.bare-said').textContent })",
)
GONE = "() => document.querySelector('.bare-button').parentElement.remove()"  # a frame paints all that is on the page
APP = "document.querySelector('.classykit-explorer')"
SAID = "[...document.querySelectorAll('.widget-label')].find(node => /^\\d+$/.test(node.textContent))"
FLOOR = (
    "() => document.querySelector('.widget-button').click()",
    f"Object.assign((_, before) => {SAID}.textContent !== before, {{ before: () => {SAID}.textContent }})",
)
OPTION = f"{APP}.querySelector(`[aria-label=Architecture] [role=option][data-name='${{name}}']`)"
SELECT = (
    f"name => {OPTION}.dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))",
    f"name => {APP}.querySelector('.ck-panel-title').textContent === name",
)
SLIDE = (
    f"""value => {{
        const rail = [...{APP}.querySelectorAll('input[type=range]')].find(node => node.offsetParent);
        rail.value = value;
        rail.dispatchEvent(new Event('input', {{ bubbles: true }}));
    }}""",
    f"Object.assign((_, before) => {APP}.querySelector('.ck-totals').textContent !== before,"
    f" {{ before: () => {APP}.querySelector('.ck-totals').textContent }})",
)
CHOOSE = (
    f"name => {APP}.querySelector(`.ck-models [role=option][aria-label='${{name}}']`).click()",
    f"""name => {APP}.querySelector(`button[aria-label^='Model ${{name}},']`)
        && {APP}.querySelector('[aria-label=Architecture] [role=option]')""",
)
ATTACH = (
    f"() => [...{APP}.querySelectorAll('button')].find(node => node.textContent.startsWith('Attach')).click()",
    f"() => {APP}.querySelector('button[aria-label^=\"Remove head\"]')",
)
PICTURE = (
    f"""name => {{
        const select = {APP}.querySelector('select[aria-label=Picture]');
        select.value = name;
        select.dispatchEvent(new Event('change', {{ bubbles: true }}));
    }}""",
    f"Object.assign((_, before) => {APP}.querySelector('.ck-grid canvas').toDataURL() !== before,"
    f" {{ before: () => {APP}.querySelector('.ck-grid canvas').toDataURL(), pixels: true }})",
)

FIRST = """
import time
import torch
start = time.perf_counter()
import classykit as ck
app = ck.explore("efficientnet_lite0")
app._repr_mimebundle_()
print(time.perf_counter() - start)
"""

FLAT = f"""
import os
import classykit as ck
from classykit.models.factory import MODELS
app = ck.explore("efficientnet_lite0")
names = [name for name in ck.list_models() if MODELS[name].is_whole and ck.inspect(name).params < 30e6]
def held():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
for i in range({CHANGES}):
    app._choose_listed(names[i % len(names)])
    if i == {CHANGES} // 2:
        middle = held()
print(held() / middle)
"""


class Stand:
    """The notebook on the page, and times by act, each with the floor's beside it."""

    def __init__(self, page: Any):
        self.page = page
        self.app = page.locator(".classykit-explorer").first
        self.times: dict[str, list[float]] = {"floor": []}

    def floor(self) -> None:
        self.times["floor"].append(self.page.evaluate(TIMED, [*FLOOR, None]))

    def time(self, name: str, act: tuple[str, str], argument: Any) -> None:
        """Both begin at rest. What is sent right after an answer would be of a livelier connection, in which the server
        waits up to 40 ms for the page to say that it has what came before (Nagle's algorithm, and delayed ACKs)."""
        self.floor()
        self.page.wait_for_timeout(REST_MS)
        self.times.setdefault(name, []).append(self.page.evaluate(TIMED, [*act, argument]))

    def choose(self, model: str, name: str) -> None:
        self.app.get_by_role("button", name=re.compile("^Model ")).click()
        self.app.get_by_label("Search models").fill(model)
        self.app.get_by_role("listbox", name="Models").get_by_role("option", name=model, exact=True).wait_for()
        self.time(name, CHOOSE, model)
        self.settle()

    def settle(self) -> None:
        """Until nothing is under way."""
        expect(self.app.locator(".ck-busy")).to_have_count(0)
        self.page.wait_for_timeout(REST_MS)


def measure(stand: Stand, names: list[str], repeats: int) -> None:
    for _ in range(5):
        stand.page.evaluate(TIMED, [*FLOOR, None])  # warm up
    for _ in range(repeats):
        stand.time("as many bytes and canvases, by a bare widget", BARE, None)
        stand.settle()
    stand.page.evaluate(GONE)
    for i in range(repeats):
        stand.time("select a block", SELECT, ["block1-0", "block2-0"][i % 2])
        stand.settle()
    stand.time("select a block", SELECT, "block3-1")
    for i in range(repeats):
        stand.time("feature maps of a block for a new picture", PICTURE, ["coffee", "chelsea"][i % 2])
        stand.settle()
    for second in ("", ", the second time"):
        for name in names:
            stand.choose(name, f"another model{second}")
    stand.choose("regnet_y_400mf", "another model, the second time")
    stand.app.get_by_role("tab", name="Design").click()
    rail = stand.app.locator("input[type=range]:visible").first
    low = float(rail.input_value())
    step = float(rail.get_attribute("step") or 1)
    for i in range(repeats):
        stand.time("a slider of a RegNet", SLIDE, str(low + step * (1 + i % 2)))
        stand.settle()
    stand.app.get_by_role("tab", name="Block", exact=True).click()
    stand.choose("densenet201", "another model, the second time")
    for _ in range(repeats):
        stand.time("attach a head to densenet201", ATTACH, None)
        stand.app.get_by_role("button", name=re.compile("^Remove head")).first.click()
        expect(stand.app.get_by_role("button", name=re.compile("^Remove head"))).to_have_count(0)
        stand.settle()


def in_a_process(code: str, times: int = 1) -> float:
    """The median of the number that a program prints."""
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, text=True, capture_output=True) for _ in range(times)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def sent_by(stand: Stand, ask: Callable[..., dict[str, Any]]) -> tuple[int, int]:
    """(bytes that a click on a block sends besides pixels, messages that hovering over the map sends)."""
    ask(
        _="""exec('''
sent = []
send = app.comm.send
app.comm.send = lambda data=None, metadata=None, buffers=None: (sent.append(data), send(data, metadata, buffers))[1]
''')"""
    )
    stand.page.evaluate(TIMED, [*SELECT, "block2-1"])
    stand.settle()
    bytes_sent = ask(
        n="sum(len(__import__('json').dumps(data, default=str, ensure_ascii=False).encode()) for data in sent)"
    )["n"]
    before = ask(n="len(sent)", answered="dict(app.answered)")
    for option in stand.app.get_by_role("listbox", name="Architecture").get_by_role("option").all()[:12]:
        option.hover()
    stand.page.wait_for_timeout(500)
    stand.page.mouse.move(0, 0)  # what is timed begins at rest
    after = ask(n="len(sent)", answered="dict(app.answered)")
    return bytes_sent, (after["n"] - before["n"]) + (after["answered"] != before["answered"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--models", type=int, default=49, help="of the registered models, how many are chosen")
    options = parser.parse_args()
    print(machine())
    import classykit as ck
    from classykit.models.factory import MODELS

    names = [name for name in ck.list_models() if MODELS[name].is_whole and name != "efficientnet_lite0"]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=CHROMIUM_ARGS)
        lab = Lab(Path(folder))
        bare = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        cells = [{**bare, "source": text, "id": str(i)} for i, text in enumerate(CELLS)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (lab.root / "floor.ipynb").write_text(json.dumps(notebook))
        try:
            with watched_page(browser) as page:
                running = run_all(page, lab, "floor.ipynb")
                stand = Stand(page)
                expect(stand.app.get_by_role("status").first).to_contain_text("ran in")
                sent, hovered = sent_by(stand, lambda **of: kernel_eval(lab, running, **of))
                measure(stand, names[: options.models], options.repeats)
        finally:
            lab.close()
            browser.close()
    floor = statistics.median(stand.times["floor"])
    over = []
    for name, values in stand.times.items():
        median, (low, _, high) = statistics.median(values), statistics.quantiles(values, n=4)
        budget = BUDGETS.get(name)
        if budget is not None and median > budget * floor:
            over.append(name)
        limit = f", × {median / floor:.1f} of the floor" + ("" if budget is None else f" (budget {budget})")
        print(f"{name:42} median {median:4.0f} ms (quartiles {low:.0f} to {high:.0f}){limit}")
    first, grown = in_a_process(FIRST, 5), in_a_process(FLAT)
    for name, value, budget, unit in (
        ("explore(), beyond importing torch", first, FIRST_SECONDS, " s"),
        ("a click sends, besides pixels", sent, CLICK_BYTES, " bytes"),
        ("messages while hovering", hovered, 0, ""),
        (f"memory after {CHANGES} changes of model, of that after half", grown, GROWN_SHARE, ""),
    ):
        print(f"{name:42} {value:.3g}{unit} (budget {budget}{unit})")
        if value > budget:
            over.append(name)
    print(f"over: {', '.join(over)}" if over else "all within budget")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
