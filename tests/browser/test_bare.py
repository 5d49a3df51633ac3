"""The app on a page of its own: alive, accessible in both themes, narrow and wide."""

import pytest
from bare import until
from lab import accessible
from playwright.sync_api import expect

import classykit as ck


@pytest.mark.parametrize("looks", [{"width": 620}, {"width": 1180, "dark": True}])
def test_the_app_is_accessible_on_every_tab(looks, opened):
    app = ck.explore()
    page = opened(app, **looks)
    tabs = page.get_by_role("tablist", name="What to see").get_by_role("tab")
    for index in range(len(app.tabs)):
        tabs.nth(index).click()
        expect(tabs.nth(index)).to_have_attribute("aria-selected", "true")
        until(lambda index=index: app.tab == app.pane["tab"] == app.tabs[index]["id"] and not app.busy, page)
        accessible(page)
    assert app.tab == app.tabs[-1]["id"]
