"""Fixtures for the browser tests: one JupyterLab and one Chromium a session, a fresh page a test."""

import os
from contextlib import ExitStack
from pathlib import Path

import bare
import pytest
from lab import CHROMIUM_ARGS, PATIENCE, Lab, check, find_chromium, watched_page
from playwright.sync_api import expect, sync_playwright

HERE = Path(__file__).parent
expect.set_options(timeout=1000 * PATIENCE)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.failed = report.failed  # for the page fixture, which then takes a screenshot
    return report


@pytest.fixture(scope="session")
def shots(tmp_path_factory) -> Path:
    """Where screenshots go: $SHOTS, or a temporary folder."""
    folder = Path(os.environ.get("SHOTS") or tmp_path_factory.mktemp("shots")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A running JupyterLab, light theme."""
    lab = Lab(tmp_path_factory.mktemp("jupyterlab"))
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    with sync_playwright() as playwright:
        program = find_chromium(playwright)
        if program is None:
            chosen = os.environ.get("CHROMIUM")
            words = (
                f"No Chromium found{f' at $CHROMIUM={chosen}' if chosen else ''}: apt-get install -y chromium "
                "fonts-dejavu-core, or playwright install chromium, or set CHROMIUM to the program's path."
            )
            if chosen or os.environ.get("CI", "").lower() == "true":
                pytest.fail(reason=words, pytrace=False)
            pytest.skip(reason=words)
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS, headless=True)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, lab, shots, request):
    """A fresh page, light theme; errors in it, and requests that leave this machine, fail the test.

    A test that provokes an error on purpose empties ``page.problems``. The kernels end with the test.
    """
    lab.reset_settings()
    with watched_page(browser) as page:
        yield page
        if getattr(request.node, "failed", False):
            page.screenshot(path=shots / f"failed-{request.node.name}.png")
            print(f"Screenshot: {shots}/failed-{request.node.name}.png", *page.problems, sep="\n")
    lab.stop_kernels()
    if not getattr(request.node, "failed", False):
        check(page)


@pytest.fixture
def opened(browser, shots, request):
    """``page = opened(ck.explore("resnet18"), width=620, dark=True)``: the app on a page of its own (see bare.py).

    Errors in it, and requests that leave this machine, fail the test.
    """
    with ExitStack() as stack:
        pages = []

        def open_app(app, **looks):
            pages.append(stack.enter_context(bare.opened(browser, app, **looks)))
            return pages[-1]

        yield open_app
        for page in pages:
            if getattr(request.node, "failed", False):
                page.screenshot(path=shots / f"failed-{request.node.name}.png", full_page=True)
                print(f"Screenshot: {shots}/failed-{request.node.name}.png", *page.problems, sep="\n")
            else:
                check(page)
