"""How soon a slider of the design lab answers, in a real JupyterLab in a real Chromium: python benchmarks/design_lab.py

From the turn of the slider, on the page's own clock, to the parameters that the kernel made of it being on the screen;
at rest, and while networks are trained beside it. Ends with status 1 when a median is over 150 ms. It needs what the
browser tests need.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from explorer import REST_MS, TIMED
from lab import CHROMIUM_ARGS, Lab, find_chromium, run_all, watched_page
from playwright.sync_api import expect, sync_playwright
from side_by_side import machine

BUDGET_MS = 150
CELL = "import classykit as ck\napp = ck.design_lab('regnet')\napp"
FACTS = "document.querySelector('.ck-lab-facts')"
SLIDE = (
    """value => {
        const rail = document.querySelector('.ck-lab-net input[type=range]');
        rail.value = value;
        rail.dispatchEvent(new Event('input', { bubbles: true }));
    }""",
    f"Object.assign((_, before) => {FACTS}.textContent !== before, {{ before: () => {FACTS}.textContent }})",
)


def slides(page: Any, repeats: int) -> list[float]:
    times = []
    for i in range(repeats):
        page.wait_for_timeout(REST_MS)
        times.append(page.evaluate(TIMED, [*SLIDE, str(5 + i % 7)]))
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    print(machine())
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=CHROMIUM_ARGS)
        lab = Lab(Path(folder))
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "id": "0", "source": CELL}
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (lab.root / "design.ipynb").write_text(json.dumps(notebook))
        try:
            with watched_page(browser) as page:
                run_all(page, lab, "design.ipynb")
                slides(page, 5)  # warm up
                found = {"a slider, at rest": slides(page, repeats)}
                page.get_by_role("button", name="Sample 10 more").click()
                expect(page.get_by_role("button", name="Stop")).to_be_visible()
                found["a slider, while nets are trained"] = slides(page, repeats)
                page.get_by_role("button", name="Stop").click()
        finally:
            lab.close()
            browser.close()
    over = False
    for name, values in found.items():
        median, (low, _, high) = statistics.median(values), statistics.quantiles(values, n=4)
        over |= median > BUDGET_MS
        print(f"{name:34} median {median:4.0f} ms (quartiles {low:.0f} to {high:.0f}; budget {BUDGET_MS} ms)")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
