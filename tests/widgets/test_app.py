"""classykit.widgets.app: what every app says, and how it answers its pages."""

import pytest

from classykit.errors import ConfigError
from classykit.widgets.app import App, check_message


@pytest.mark.parametrize("message", [{}, {"at": "2"}, {"at": True}, {"at": 2.0}, {"at": None}, {"at": ["<b>"] * 99}])
def test_odd_messages_are_named(message):
    with pytest.raises(ConfigError, match="The page sent 'step' without a proper 'at'") as caught:
        check_message("step", {"at": int}, message)
    assert len(str(caught.value)) < 120


def test_each_page_is_told_what_was_answered():
    app = App()
    for n in range(3):
        app._was_answered({"page": "a", "asked": n})
    app._was_answered({"page": "b", "asked": 9})
    for odd in ({}, {"page": "a"}, {"page": 1, "asked": 1}, {"page": "a", "asked": True}):
        app._was_answered(odd)
    assert app.answered == {"a": 2, "b": 9}
    for n in range(40):  # the oldest are forgotten
        app._was_answered({"page": f"p{n}", "asked": n})
    assert len(app.answered) == 16 and app.answered["p39"] == 39 and "a" not in app.answered
