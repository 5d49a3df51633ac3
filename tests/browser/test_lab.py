"""The harness itself: if this fails, look here before looking at classykit."""

import nbformat
import pytest
from lab import DARK, LIGHT, kernel_eval, run_all, set_theme
from playwright.sync_api import expect

SLIDER = """
import ipywidgets
slider = ipywidgets.IntSlider(value=3, max=9, description="steps")
slider
"""
VIEW = """
import anywidget, traitlets
class Counter(anywidget.AnyWidget):
    _esm = '''export default { render({ model, el }) {
        const button = document.createElement("button");
        const paint = () => { button.textContent = `count ${model.get("n")}`; };
        button.onclick = () => { model.set("n", model.get("n") + 1); model.save_changes(); };
        model.on("change:n", paint); paint(); el.append(button);
    } }'''
    n = traitlets.Int(0).tag(sync=True)
counter = Counter()
counter
"""


@pytest.fixture
def widgets(lab):
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (SLIDER, VIEW)]
    kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    nbformat.write(notebook, lab.root / "widgets.ipynb")
    return "widgets.ipynb"


def test_what_a_person_does_reaches_the_kernel(lab, page, shots, widgets):
    kernel = run_all(page, lab, widgets)
    button = page.get_by_role("button", name="count 0")
    button.click()
    expect(page.get_by_role("button", name="count 1")).to_be_visible()
    slider = page.locator(".widget-slider .noUi-handle, .widget-slider input[type=range]").first
    slider.focus()
    slider.press("ArrowRight")
    expect(page.locator(".widget-readout")).to_have_text("4")
    assert kernel_eval(lab, kernel, steps="slider.value", n="counter.n") == {"steps": 4, "n": 1}

    light = page.evaluate("getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')")
    set_theme(page, DARK)
    dark = page.evaluate("getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')")
    assert light != dark
    page.screenshot(path=shots / "harness-dark.png")


def test_the_page_writes_down_what_must_not_happen(page, lab):
    page.goto(f"{lab.url}lab?token={lab.token}&reset")
    page.evaluate("console.error('oops'); fetch('http://example.org/x').catch(() => {}); fetch('/nowhere')")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", LIGHT)  # whatever ran before
    page.wait_for_function("() => performance.getEntriesByName(location.origin + '/nowhere').length")
    found = "\n".join(page.problems)
    assert "oops" in found and "HTTP 404" in found
    assert page.outside == ["http://example.org/x"]
    page.problems.clear()
    page.outside.clear()
