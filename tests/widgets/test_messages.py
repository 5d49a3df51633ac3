"""classykit.widgets.messages: what the browser asks for, whatever it is."""

import comm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import classykit as ck
from tests.helpers.apps import send

KINDS = (
    "choose", "device", "attach", "remove", "select", "image", "order", "scale", "page", "upload", "key", "step",
    "save", "open_block", "compare_add", "why_class", "odd",
)  # fmt: skip
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers(), max_size=2)
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["tab", "moment", "block", "name", "device", "head", "id", "order", "scale", "offset", "key", "at", "file"]
    ),
    VALUES,
)


@pytest.fixture(scope="module")
def any_app():
    """The app that is asked for anything, by one test after another."""
    return ck.explore({"name": "resnet18", "num_blocks": [1, 1], "init_planes": 8}, image=None)


class TestAnswers:
    """A page counts what it has asked, and is told what was answered, whatever came of it."""

    def test_each_page_its_own(self, app):
        send(app, type="select", block="initial_block", page="a", asked=1)
        send(app, type="select", block="nothing", page="b", asked=5)
        assert app.answered == {"a": 1, "b": 5} and "no block 'nothing'" in app.error
        send(app, type="dismiss", page="a", asked=2)
        assert app.answered == {"a": 2, "b": 5} and not app.error

    def test_pages_that_are_gone_are_forgotten(self, app):
        for i in range(40):
            send(app, type="dismiss", page=str(i), asked=i)
        assert list(app.answered) == [str(i) for i in range(24, 40)]

    @pytest.mark.parametrize("odd", [{"page": 3, "asked": 1}, {"page": "a", "asked": "1"}, {"asked": 1}])
    def test_odd_counts_are_passed_over(self, app, odd):
        send(app, type="dismiss", **odd)
        assert app.answered == {}


class TestAPageThatIsAhead:
    """It shows what it asks for at once; where that is refused it is told what is so, though here nothing changed."""

    @pytest.fixture
    def sent(self, app, monkeypatch):
        states = []

        def publish(self, msg_type, data=None, metadata=None, buffers=None, **keys):
            states.append(data.get("state", {}))

        monkeypatch.setattr(comm.DummyComm, "publish_msg", publish)
        return states

    def test_of_a_block_that_is_not_there(self, app, sent):
        send(app, type="select", block="nothing")
        assert {"selected": app.selected_block} in sent

    def test_of_a_moment_that_is_not_there(self, app, sent):
        send(app, type="moment", moment=7)
        assert {"moment": 0} in sent and app.frame == 0 and not app.error

    def test_of_a_tab_that_is_not_there(self, app, sent):
        send(app, type="tab", tab="nothing")
        assert app.tab == "features" and [state["tab"] for state in sent if "tab" in state][-1] == "features"

    def test_of_a_block_that_is_there(self, app, sent):
        block = app._scene.block_names[-1]
        send(app, type="select", block=block)
        first = next(state for state in sent if "panel_state" in state)
        assert first["selected"] == first["panel_state"]["name"] == block and first["status"].startswith(block)


class TestMessagesOfAnyKind:
    @settings(deadline=None, max_examples=150)
    @given(kind=st.sampled_from(KINDS) | VALUES, fields=FIELDS)
    def test_none_of_them_should_not_have_happened(self, any_app, kind, fields):
        before = any_app.to_json()
        any_app._handle_custom_msg({"type": kind, **fields}, [])
        assert "should not have happened" not in any_app.error
        if any_app.error:
            assert any_app.to_json() == before
        assert any_app.selected_block in any_app._scene.block_names

    @pytest.mark.parametrize("message", [None, 5, [], "run", {}, {"type": []}, {"type": {}}, {"type": None}])
    def test_what_is_no_message_is_passed_over(self, any_app, message):
        any_app.error = ""
        any_app._handle_custom_msg(message, [])
        assert any_app.error == ""

    @pytest.mark.parametrize("message, words", [
        ({"type": "page"}, "The page sent 'page' without a proper 'offset'"),
        ({"type": "page", "offset": True}, "without a proper 'offset': 'True'"),
        ({"type": "select", "block": []}, "The page sent 'select' without a proper 'block'"),
        ({"type": "device", "device": 5}, "without a proper 'device': '5'"),
    ])  # fmt: skip
    def test_what_lacks_something_is_said(self, any_app, message, words):
        any_app._handle_custom_msg(message, [])
        assert words in any_app.error
