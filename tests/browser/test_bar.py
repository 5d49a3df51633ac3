"""The head of the app as a person uses it: finding a model, a budget, and an end to what takes too long."""

import re
import time

import pytest
from lab import accessible
from playwright.sync_api import expect

import classykit as ck
from classykit.exploring.explored import Explored

TINY = {"name": "resnet18", "init_planes": 4}


def names(page):
    options = page.get_by_role("listbox", name="Models").get_by_role("option")
    return options.evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")


@pytest.fixture
def searching(opened):
    page = opened(ck.explore(dict(TINY), image=None))
    page.get_by_role("button", name=re.compile("^Model ")).click()
    return page, page.get_by_label("Search models")


def test_models_are_found_by_kind_size_and_nearly_their_names(searching):
    page, search = searching
    expect(search).to_be_focused()
    assert len(names(page)) == len([m for m in ck.list_models() if ck.models.factory.MODELS[m].is_whole])
    for query, some, none in [
        ("mobile < 10 M", {"efficientnet_lite0", "vit_demo", "regnet_y_400mf"}, {"resnet18", "efficientnet_b3"}),
        ("video", {"r3d_18", "i3d_r50"}, {"resnet18"}),
        ("transformer params < 100M", {"vit_b_16", "vit_demo"}, {"vit_h_14", "resnet18"}),
        ("> 50 G", {"regnet_y_64gf", "vit_h_14"}, {"resnet18"}),
        ("224px regnet under 5M", {"regnet_y_400mf"}, {"regnet_y_800mf", "vit_demo"}),
        ("ResNet-50", {"resnet50"}, {"resnet18"}),
        ("resnet 50", {"resnet50"}, {"resnet18"}),
        ("eficientnet", {"efficientnet_b0", "efficientnet_b7"}, {"resnet18"}),
        ("resent18", {"resnet18"}, {"resnet50"}),
        ("trained", {"efficientnet_lite0"}, {"resnet18"}),
    ]:
        search.fill(query)
        found = set(names(page))
        assert some <= found and not none & found, (query, found)

    # what was understood can be taken away again, and the search keeps the focus
    search.fill("mobile < 10 M")
    page.get_by_role("button", name="Take away parameters under 10 M").click()
    expect(search).to_have_value("mobile")
    expect(search).to_be_focused()
    expect(page.get_by_role("button", name="mobile", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="video", exact=True).click()
    expect(search).to_have_value("mobile video")
    expect(page.get_by_text("No model is all of that at once")).to_be_visible()

    search.fill("xqzzyk")
    expect(page.get_by_text("Nothing is called “xqzzyk”.")).to_be_visible()
    expect(page.locator(".ck-nothing code")).to_have_text("ck.explore(module)")
    page.locator(".ck-nothing button").first.click()
    assert len(names(page)) == 1
    page.get_by_role("button", name="all", exact=True).click()
    expect(search).to_have_value("")


def test_a_model_is_chosen_by_keyboard_and_ones_own_stays_first(opened, monkeypatch):
    net = ck.build_model(TINY)
    app = ck.explore(ck.ClassyModel.from_model(net), image=None)
    page = opened(app, dark=True)
    button = page.get_by_role("button", name=re.compile("^Model "))
    button.focus()
    page.keyboard.press("Enter")
    search = page.get_by_label("Search models")
    page.keyboard.type("regnet < 5M")
    assert names(page)[1:] == ["regnet_x_400mf", "regnet_y_400mf"] and "yours" in names(page)[0]
    accessible(page)
    page.keyboard.press("ArrowDown")
    expect(search).to_have_attribute("aria-activedescendant", re.compile("ck-"))
    page.keyboard.press("Enter")
    expect(button).to_be_focused()
    expect(button).to_contain_text("regnet_y_400mf")
    assert app.config == {"name": "regnet_y_400mf"}

    page.keyboard.press("Enter")
    page.keyboard.type("vit")
    page.keyboard.press("Escape")
    expect(search).to_be_hidden()
    expect(button).to_be_focused()
    assert app.config == {"name": "regnet_y_400mf"}


def test_a_budget_is_set_where_the_totals_are(opened):
    app = ck.explore("efficientnet_lite0", image=None)
    page = opened(app)
    total = page.get_by_role("button", name=re.compile(r"4\.65 M parameters"))
    total.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Limit for parameters")).to_be_focused()
    expect(page.get_by_text("trunk 3.37 M + classifier 1.28 M")).to_be_visible()
    page.keyboard.type("4 M")
    page.keyboard.press("Enter")
    expect(total).to_be_focused()
    expect(total).to_contain_text("over 4 M")
    assert app.budget["params"] == 4_000_000

    page.get_by_role("button", name=re.compile("18.6 MB weights")).click()
    page.get_by_label("Limit for peak memory").fill("4 GB")
    page.get_by_label("Batch", exact=True).fill("32")
    page.get_by_label("in a pass for").select_option("training")
    accessible(page)
    page.get_by_role("button", name="Set", exact=True).click()
    memory = page.get_by_role("button", name=re.compile("training, batch 32"))
    expect(memory).to_contain_text("of 4 GB")
    assert (app.budget["memory"], app.budget["batch"], app.budget["mode"]) == (4 * 10**9, 32, "training")

    total.click()
    page.get_by_label("Limit for parameters").fill("lots")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text('an amount such as "25M"')
    total.click()
    page.get_by_role("button", name="No limit").click()
    expect(total).not_to_contain_text("over")
    assert app.budget["params"] is None
    accessible(page)


def test_the_size_of_the_picture_is_a_word_to_choose(opened):
    app = ck.explore("vit_demo", image=None)
    page = opened(app)
    page.get_by_label("Input", exact=True).select_option("224")
    expect(page.locator(".ck-chips")).to_contain_text("1 key changed")
    assert app.inspection.input_shape == (3, 224, 224) and app.bar_state["trained"] is None


def test_what_takes_long_is_cancelled_within_a_second(opened):
    app = ck.explore(dict(TINY))
    ended = []

    def slow():
        app._busy("Counting sheep …")
        try:
            while True:
                time.sleep(0.01)
        finally:
            ended.append(time.monotonic())

    app.run = slow
    page = opened(app)
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_hidden()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(cancel).to_be_visible()
    cancel.focus()
    begun = time.monotonic()
    page.keyboard.press("Enter")
    expect(cancel).to_be_hidden()
    assert ended and ended[0] - begun < 1
    expect(page.get_by_role("status").first).to_have_text("Cancelled. Everything is as it was.")
    expect(page.get_by_role("button", name=re.compile("^Model "))).to_be_focused()
    page.wait_for_timeout(300)
    expect(cancel).to_be_hidden()
    assert not app.busy and app.error == "" and isinstance(app._scene.subject, Explored)
