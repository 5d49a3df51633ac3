"""A saved page: explorable without Python, offline, by mouse and by keyboard, accessible in both themes."""

import re

import pytest
from lab import COLOURS, accessible, check, watched_page
from playwright.sync_api import expect

import classykit as ck


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    app = ck.explore()
    app.attach_head("block3-1", "fully_connected", unique_id="cats", num_classes=3)
    return app.save_html(tmp_path_factory.mktemp("saved") / "app.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_saved_page_shows_every_block(saved, browser, scheme, shots):
    with watched_page(browser, color_scheme=scheme) as page:
        page.goto(saved.as_uri())
        blocks = page.get_by_role("listbox", name="Architecture")
        chosen = blocks.get_by_role("option", name=re.compile("^block1-1,"))
        expect(chosen).to_have_attribute("aria-selected", "true")
        features = page.get_by_role("tabpanel", name="Features")
        expect(features).to_contain_text("56 × 56 · ")
        accessible(page)

        # another block by mouse, the next by keyboard
        blocks.get_by_role("option", name=re.compile("^block4-1,")).click()
        expect(page.get_by_role("heading", name="block4-1").first).to_be_visible()
        expect(features).to_contain_text("14 × 14 · ")
        assert features.get_by_role("img", name=re.compile("^channel")).last.evaluate(COLOURS) > 30
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="block4-2").first).to_be_visible()
        expect(page.locator("pre")).to_contain_text('["block4-2"]')

        # its layers and the table of all blocks
        for tab, words in (("Layers", "depthwise_conv"), ("Blocks", "block6-0")):
            page.get_by_role("tab", name=tab, exact=True).click()
            expect(page.get_by_role("tabpanel", name=tab)).to_contain_text(words)
            accessible(page)
        assert not page.get_by_role("tab", name="Why", exact=True).is_visible()

        # what would change it says what the page is, and nobody is said to be gone
        page.get_by_role("button", name=re.compile("^Model ")).click()
        page.get_by_role("listbox", name="Models").get_by_role("option", name="resnet50", exact=True).click()
        expect(page.get_by_role("status").first).to_contain_text("This is a recording")
        assert page.locator(".ck-silence").is_hidden()
        assert not page.get_by_role("button", name="Run", exact=True).is_visible()
        page.screenshot(path=shots / f"recorded-{scheme}.png", full_page=True)
        check(page)
