"""How soon the Explorer answers, measured in a real JupyterLab in a real Chromium: python benchmarks/explorer.py

Medians over 20 of three things, each from a person's click to what the kernel made being on the screen, on the
page's own clock: a block selected (its figures are there), another model drawn (its map is there), and the feature
maps of a block of EfficientNet-Lite0 (their pixels are there). It needs what the browser tests need.
"""

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))

from lab import CHROMIUM_ARGS, Lab, find_chromium, run_all, watched_page
from playwright.sync_api import expect, sync_playwright

BUDGETS = {"select a block": 150, "feature maps of a block": 1000, "another model drawn": 800}  # ms

# Starts the clock at the last click or Enter, stops it once `done(argument)` holds, looked at in every frame.
STOPWATCH = """() => {
    let start = 0;
    for (const event of ['pointerdown', 'keydown'])
        document.addEventListener(event, () => { start = performance.now(); }, true);
    window.__until = (done, argument) => new Promise(resolve => {
        const look = () => done(argument) ? resolve(performance.now() - start) : requestAnimationFrame(look);
        look();
    });
}"""
SELECTED = "name => window.__until(n => document.querySelector('.ck-panel-title')?.textContent === n, name)"
DRAWN = """name => window.__until(n => {
    const labels = [...document.querySelectorAll('[aria-label=Architecture] [role=option]')];
    return labels.some(o => o.getAttribute('aria-label').startsWith(n));
}, name)"""
# the block's name stands above the maps, and the first map has its resolution
MAPPED = """([name, width]) => window.__until(([n, w]) => {
    const grid = document.querySelector('.ck-tab-panel:not([hidden])');
    const canvas = grid?.querySelector('canvas');
    return canvas?.width === w && [...grid.querySelectorAll('b')].some(b => b.textContent === n);
}, [name, width])"""


def measure(page, app, repeats: int) -> dict[str, list[float]]:
    """Times in ms of each of the three."""
    page.evaluate(STOPWATCH)
    times: dict[str, list[float]] = {name: [] for name in BUDGETS}

    def block(name):
        return app.get_by_role("option", name=re.compile(f"^{name},"))

    for i in range(repeats):
        name, width = [("block1-0", 56), ("block2-0", 28)][i % 2]
        block(name).click()
        times["select a block"].append(page.evaluate(SELECTED, name))
        page.evaluate(MAPPED, [name, width])
    for i in range(repeats):
        name, width = [("block1-1", 56), ("block3-0", 14)][i % 2]
        block(name).click()
        times["feature maps of a block"].append(page.evaluate(MAPPED, [name, width]))
    for i in range(repeats):
        model, only = [("resnet50", "initial_block"), ("vit_b_16", "layer_11"), ("efficientnet_b4", "block6-1")][i % 3]
        app.get_by_role("button", name=re.compile("^Model ")).click()
        app.get_by_label("Search models").fill(model)
        app.get_by_role("listbox", name="Models").get_by_role("option", name=model, exact=True).click()
        times["another model drawn"].append(page.evaluate(DRAWN, only))
        expect(app.get_by_role("status").first).to_contain_text(model)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=CHROMIUM_ARGS)
        lab = Lab(Path(folder))
        try:
            with watched_page(browser) as page:
                run_all(page, lab, "notebooks/01_explore.ipynb")
                app = page.locator(".classykit-explorer").first
                expect(app.get_by_role("status").first).to_contain_text("ran in")
                times = measure(page, app, repeats)
        finally:
            lab.close()
            browser.close()
    for name, values in times.items():
        median, (low, _, high) = statistics.median(values), statistics.quantiles(values, n=4)
        budget = f"budget {BUDGETS[name]} ms: {'ok' if median <= BUDGETS[name] else 'TOO SLOW'}"
        print(f"{name:25} median {median:4.0f} ms (quartiles {low:.0f} to {high:.0f}), {budget}")


if __name__ == "__main__":
    main()
