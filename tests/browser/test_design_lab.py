"""The design lab in a browser: by mouse and by keyboard, alive while it trains, accessible in both themes."""

import json
import re
import time

import pytest
from bare import until
from lab import DARK, accessible, kernel_eval, run_all, set_theme
from playwright.sync_api import expect

import classykit as ck
from classykit.exploring import lab as controller
from classykit.exploring.lab import Task

DEPTH = re.compile("depth$")  # one that was turned is marked in front


@pytest.fixture
def paced(monkeypatch):
    """Training that takes a third of a second, with errors that follow from the config."""

    def measure(config, *, size, epochs, seed, tell=None):
        for step in range(10):
            time.sleep(0.03)
            tell((step + 1) / 10)
        anynet = config["name"] == "anynet"
        return {"test_error": (0.2 if anynet else 0.04) * (1 + sum(map(ord, json.dumps(config))) % 40 / 40), "train_loss": 1.0}  # fmt: skip # noqa: E501

    monkeypatch.setattr(controller, "train_briefly", measure)


def filled():
    app = ck.design_lab()
    for n, net in enumerate(app.lab.nets):
        if n % 5:
            net.errors[Task()] = (0.05 + net.space * 0.2) * (1 + n / 20)
    app._refresh("Twenty nets.")
    return app


def box_of(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("looks", [{"width": 620}, {"width": 620, "dark": True}, {}, {"dark": True}])
def test_it_is_accessible_and_fits(looks, opened):
    app = filled()
    app.turn("depth", 12)
    page = opened(app, **looks)
    width = looks.get("width", 1180)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    accessible(page)
    assert page.locator("button:visible, select:visible, input:visible, summary:visible").evaluate_all(
        "all => all.filter(node => !node.closest('label.ck-switch')).map(node => [node.outerHTML.slice(0, 80),"
        " node.getBoundingClientRect().height]).filter(([, height]) => height < 23.5)"
    ) == []  # fmt: skip
    page.get_by_role("tab", name="Table").click()
    expect(page.get_by_role("table", name="Nets")).to_be_visible()
    accessible(page)


def test_sampled_and_trained_while_one_looks_then_stopped(paced, opened):
    app = ck.design_lab()
    page = opened(app)
    expect(page.get_by_text("Nothing is trained yet: 20 nets are drawn and wait")).to_be_visible()
    page.get_by_role("button", name="Sample 20 more").click()
    dots = page.get_by_role("listbox", name="Nets").get_by_role("option")
    expect(dots).to_have_count(40)
    trained = page.locator(".ck-lab-totals b").first
    expect(trained).not_to_have_text("0")
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_visible()

    # a slider answers while it trains
    depth = page.get_by_role("slider", name=DEPTH)
    before = page.locator(".ck-lab-bar").count()
    depth.focus()
    page.keyboard.press("End")
    expect(page.locator(".ck-lab-bar")).not_to_have_count(before)
    assert app.busy
    until(lambda: len(app.lab.errors()) >= 4, page)
    stop.click()
    expect(page.get_by_role("button", name=re.compile(r"Train \d+ waiting"))).to_be_visible()
    expect(page.locator(".ck-lab-status")).to_contain_text("Stopped: what is trained is kept.")
    kept = len(app.lab.errors())
    assert 4 <= kept < 40 and not app.busy and len(app.lab.nets) == 40
    expect(trained).to_have_text(str(kept))
    expect(page.locator(".ck-lab-ranges")).to_contain_text("draws refused, most: out of the budget")

    # and go on, until all of them are there
    page.get_by_role("button", name=re.compile(r"Train \d+ waiting")).click()
    expect(trained).to_have_text("40")
    expect(page.locator(".ck-lab-verdict")).to_contain_text("RegNet tends to lower errors (rank test, one seed: p <")
    page.get_by_role("button", name="Train the best 3 longer").click()
    until(lambda: sum(Task(epochs=8) in net.errors for net in app.lab.nets) == 3 and not app.busy, page)
    expect(page.get_by_role("region", name="Code")).to_contain_text("epochs=8, seed=0")
    expect(trained).to_have_text("40")


def test_dots_by_mouse_and_by_keyboard(opened):
    app = filled()
    page = opened(app)
    dots = page.get_by_role("listbox", name="Nets").get_by_role("option")
    page.mouse.click(*box_of(dots.nth(7)))
    until(lambda: app.lab.now.chosen == 7, page)
    expect(dots.nth(7)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("heading", name="Net 8")).to_be_visible()
    dots.nth(12).hover(force=True)
    expect(page.locator(".ck-lab-readout")).to_contain_text("Net 13, AnyNet")

    # Tab enters at the chosen one, an arrow goes to the nearest dot on that side, Enter chooses it
    page.get_by_label("colour").focus()
    page.keyboard.press("Tab")
    expect(dots.nth(7)).to_be_focused()
    for key, axis, sign in (("ArrowRight", 0, 1), ("ArrowUp", 1, -1), ("ArrowLeft", 0, -1), ("ArrowDown", 1, 1)):
        at = page.evaluate("[...document.querySelectorAll('[role=option]')].indexOf(document.activeElement)")
        old = box_of(dots.nth(at))
        page.keyboard.press(key)
        to = page.evaluate("[...document.querySelectorAll('[role=option]')].indexOf(document.activeElement)")
        assert to == at or (box_of(dots.nth(to))[axis] - old[axis]) * sign > 0
    page.keyboard.press("Home")
    expect(dots.nth(0)).to_be_focused()
    page.keyboard.press("Enter")
    until(lambda: app.lab.now.chosen == 0, page)
    expect(dots.nth(0)).to_be_focused()
    expect(page.locator(".ck-lab-status")).to_contain_text("Net 1, RegNet")

    # the same in the table, sorted by error
    page.get_by_role("tab", name="Table").click()
    rows = page.get_by_role("table", name="Nets").get_by_role("row")
    expect(rows).to_have_count(21)
    best = min(app.lab.errors(), key=app.lab.errors().get)
    expect(rows.nth(1)).to_contain_text(app.nets[best]["cells"][4])
    page.get_by_role("button", name="MACs", exact=True).press("Enter")
    rows.nth(1).get_by_role("button").press("Enter")
    cheapest = min(range(20), key=lambda n: app.lab.nets[n].macs)
    until(lambda: app.lab.now.chosen == cheapest, page)
    expect(rows.nth(1)).to_have_attribute("aria-current", "true")


def test_a_net_is_turned_and_put_back_and_undone(opened):
    app = filled()
    app.choose(1)
    page = opened(app)
    facts = page.locator(".ck-lab-facts")
    known = app.net["rows"][3]["value"]
    expect(facts).to_contain_text(known)
    code = page.get_by_role("region", name="Code")

    # by keyboard: the line follows at once, the error is unknown, grey is as sampled
    depth = page.get_by_role("slider", name=DEPTH)
    depth.focus()
    page.keyboard.press("ArrowRight")
    expect(facts).to_contain_text("unknown")
    until(lambda: app.lab.config["depth"] == app.lab.net.config["depth"] + 1, page)
    assert page.locator(".ck-lab-ghost").count() == app.lab.net.config["depth"]
    expect(page.locator(".ck-lab-bar")).to_have_count(app.lab.config["depth"])
    expect(code).to_contain_text(f'"depth": {app.lab.config["depth"]}')
    expect(page.get_by_role("button", name="Train this net")).to_be_visible()

    # by mouse, held: each step is answered, one step of the history comes of it
    steps = len(app.lab.history.words)
    x, y = box_of(depth)
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(6):
        page.mouse.move(x + 8 * i, y)
        page.wait_for_timeout(60)
    assert len(app.lab.history.words) == steps
    page.mouse.up()
    until(lambda: len(app.lab.history.words) == steps + 1, page)

    # what cannot be: said beside it, with what works
    box = page.get_by_role("textbox", name=re.compile("w_0$"))
    box.fill("52")
    box.press("Enter")
    expect(box).to_have_attribute("aria-invalid", "true")
    accessible(page)
    page.get_by_role("button", name="48", exact=True).click()
    until(lambda: app.lab.config["w_0"] == 48, page)
    expect(box).not_to_have_attribute("aria-invalid", "true")

    page.get_by_role("slider", name=DEPTH).focus()  # in a text the keys undo what was typed
    page.keyboard.press("Control+z")
    until(lambda: app.lab.config["w_0"] != 48, page)
    page.get_by_role("button", name=re.compile("^Redo")).click()
    until(lambda: app.lab.config["w_0"] == 48, page)
    page.get_by_role("button", name="as sampled").click()
    expect(facts).to_contain_text(known)
    expect(page.locator(".ck-lab-ghost")).to_have_count(0)


def test_ranges_and_budget_by_mouse_and_keyboard(opened):
    app = filled()
    page = opened(app)
    least = page.get_by_role("slider", name="RegNet depth, least")
    most = page.get_by_role("slider", name="RegNet depth, most")
    expect(least).to_have_attribute("aria-valuetext", "4")
    most.focus()
    page.keyboard.press("ArrowRight")
    until(lambda: app.lab.now.spaces[0].ranges["depth"] == (4, 12), page)
    expect(page.get_by_role("region", name="Code")).to_contain_text("depth=(4, 12)")
    for _ in range(40):  # it stops at the other
        page.keyboard.press("ArrowLeft")
    until(lambda: app.lab.now.spaces[0].ranges["depth"] == (4, 4), page)
    most.evaluate("node => node.blur()")

    # the ring of a thumb is what the mouse takes hold of
    rail = page.get_by_role("slider", name="Budget MACs, most")
    share = int(rail.input_value()) / int(rail.get_attribute("max"))
    box = rail.bounding_box()
    x, y = box["x"] + 12 + share * (box["width"] - 24), box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 6, y, steps=3)
    page.mouse.up()
    until(lambda: app.lab.now.budget[1] < 6e6, page)
    assert app.lab.now.budget[0] == 2e6 and app.steps["undo"].startswith("budget")
    outside = sum(not net["inside"] for net in app.nets)
    expect(page.locator(".ck-lab-pale")).to_have_count(outside)
    assert outside > 0
    page.get_by_label("epochs", exact=True).select_option("4")
    expect(page.locator(".ck-lab-totals b").first).to_have_text("0")
    page.get_by_role("button", name=re.compile("^Undo: epochs 4")).click()
    expect(page.locator(".ck-lab-totals b").first).to_have_text("16")


def test_without_a_front_end_for_two_apps_it_says_what_to_do(opened):
    app = filled()
    page = opened(app)
    page.get_by_role("button", name="Open in Explorer").click()
    expect(page.get_by_text("This front end shows one app at a time")).to_contain_text('ck.explore({"name": "regnet"')
    accessible(page)
    page.get_by_role("button", name="Back to the lab").press("Enter")
    expect(page.get_by_role("button", name="Open in Explorer")).to_be_focused()
    assert app.explorer is None


def test_in_jupyterlab_a_net_opens_in_the_explorer_and_comes_back(page, lab, shots):
    cell = 'import classykit as ck\napp = ck.design_lab("regnet")\napp'
    notebook = {
        "cells": [{"cell_type": "code", "id": "c0", "source": cell, "metadata": {}, "outputs": [],
                   "execution_count": None}],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (lab.root / "design.ipynb").write_text(json.dumps(notebook))
    kernel = run_all(page, lab, "design.ipynb")
    dots = page.get_by_role("listbox", name="Nets").get_by_role("option")
    expect(dots).to_have_count(10)
    dots.nth(0).focus()
    page.keyboard.press("ArrowLeft")  # which Lab would take for its cells
    page.keyboard.press("Enter")
    expect(page.locator(".ck-lab-status")).to_contain_text(re.compile(r"Net \d+"))
    page.get_by_role("slider", name=DEPTH).focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Open in Explorer").click()
    blocks = page.get_by_role("listbox", name="Architecture").get_by_role("option")
    expect(blocks.first).to_be_visible()
    found = kernel_eval(lab, kernel, depth="app.lab.config['depth']", same="app.explorer.config == app.lab.config")
    assert found["same"] and blocks.count() >= 2
    page.get_by_role("tab", name="Design", exact=True).click()
    depth = page.get_by_role("textbox", name=DEPTH)
    depth.fill(str(found["depth"] + 2))
    depth.press("Enter")
    expect(page.get_by_role("button", name=re.compile("^Undo: depth"))).to_be_visible()
    page.get_by_role("button", name="Back to the lab").click()
    expect(page.locator(".ck-lab-bar")).to_have_count(found["depth"] + 2)
    expect(page.locator(".ck-lab-facts")).to_contain_text("unknown")
    assert kernel_eval(lab, kernel, n="app.lab.config['depth']")["n"] == found["depth"] + 2
    set_theme(page, DARK)
    expect(page.locator(".classykit-lab .classykit-frame")).to_have_css("color-scheme", "dark")
    page.screenshot(path=shots / "design-lab-jupyterlab.png")


def test_other_axes_and_other_spaces(opened, shots):
    app = filled()
    page = opened(app)
    dots = page.get_by_role("listbox", name="Nets").get_by_role("option")
    plot = page.get_by_role("tabpanel", name="Scatter")

    # by mouse: what is across orders the dots
    page.get_by_label("across").select_option("depth")
    expect(plot).to_contain_text("blocks; both axes log")
    assert app.lab.axes.across == "depth"
    by_depth = sorted(range(20), key=lambda n: app.lab.nets[n].depth)
    least, most = box_of(dots.nth(by_depth[0])), box_of(dots.nth(by_depth[-1]))
    assert least[0] < most[0]

    # what is up, by keyboard: nothing waits at the foot, and the budget lies across
    page.get_by_label("up", exact=True).focus()
    page.keyboard.press("m")
    until(lambda: app.lab.axes.up == "MACs", page)
    expect(plot).to_contain_text("MACs, millions")
    band = page.locator(".ck-lab-band").bounding_box()
    inside = [app.lab.is_inside(net) for net in app.lab.nets]
    centres = [box_of(dots.nth(n))[1] for n in range(20)]
    assert [band["y"] - 1 <= y <= band["y"] + band["height"] + 1 for y in centres] == inside

    # what colours stand for: the deepest is the darkest
    page.get_by_label("colour").select_option("depth")
    expect(plot).to_contain_text("blocks; squares: AnyNet")
    squares = page.locator(".ck-lab-dot path").evaluate_all(
        "all => all.map((path) => path.getAttribute('d').includes('h8v8'))"
    )
    assert squares == [net.space == 1 for net in app.lab.nets]
    fill = "node => getComputedStyle(node.querySelector('path')).fill"
    pale, dark = (dots.nth(by_depth[n]).evaluate(fill) for n in (0, -1))
    assert app.nets[by_depth[0]]["shade"] == 0 and app.nets[by_depth[-1]]["shade"] == 1 and pale != dark
    accessible(page)
    page.screenshot(path=shots / "lab-axes-light.png", full_page=True)
    page.get_by_role("tab", name="Table").click()
    expect(page.get_by_label("colour")).to_be_hidden()

    # other spaces, and back to what was trained
    page.get_by_label("Spaces", exact=True).select_option("AnyNet")
    expect(page.get_by_role("region", name="RegNet")).to_have_count(0)
    assert [net.config["name"] for net in app.lab.nets] == ["anynet"] * 10
    most_deep = page.get_by_role("slider", name="AnyNet depths, most")
    most_deep.focus()
    page.keyboard.press("ArrowRight")
    until(lambda: app.lab.now.spaces[0].ranges["depths"] == (1, 6), page)
    page.get_by_label("Spaces", exact=True).select_option("RegNet against AnyNet")
    expect(page.locator(".ck-lab-totals b").first).to_have_text("16")
    assert app.error == "" and app.lab.now.spaces[1].ranges["depths"] == (1, 5)
    accessible(page)


def test_other_spaces_stop_what_is_trained(paced, opened):
    app = ck.design_lab()
    page = opened(app)
    first = app.lab
    page.get_by_role("button", name="Train 20 waiting").click()
    until(lambda: len(first.errors()) > 1, page)
    page.get_by_label("Spaces", exact=True).select_option("RegNet")
    until(lambda: not app.busy, page)
    trained = len(first.errors())
    assert 1 < trained < 20 and app.lab is not first and not app.lab.errors() and not first.jobs
    page.get_by_role("button", name="Train 10 waiting").click()
    until(lambda: app.lab.errors(), page)
    assert len(first.errors()) == trained
    page.get_by_role("button", name="Stop").click()
    until(lambda: not app.busy, page)
