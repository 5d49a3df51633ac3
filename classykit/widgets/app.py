"""What every app has: words for what is going on, and an answer to each message of its pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from classykit.errors import ConfigError, quoted

_PAGES = 16  # that are told what was answered


class App(anywidget.AnyWidget):
    """A root widget that may have several pages, as the views of one cell's output are."""

    status = traitlets.Unicode(help="what is going on, announced politely").tag(sync=True)
    error = traitlets.Unicode(help="what went wrong, in plain words; empty hides it").tag(sync=True)
    busy = traitlets.Bool(False, help="whether something is under way").tag(sync=True)
    progress = traitlets.Float(-1.0, help="0 to 1, or -1 where nobody knows").tag(sync=True)
    answered = traitlets.Dict(help="{page: number of the last of its messages that was answered}").tag(sync=True)
    steps = traitlets.Dict(help="words of what was done, at: which is on the screen, undo, redo").tag(sync=True)

    def _was_answered(self, message: Mapping[str, Any]) -> None:
        """Tell the page that asked; the last that did are remembered."""
        page, asked = message.get("page"), message.get("asked")
        if isinstance(page, str) and type(asked) is int:
            others = [(other, n) for other, n in self.answered.items() if other != page]
            self.answered = dict([*others, (page, asked)][-_PAGES:])


def check_message(kind: str, holds: Mapping[str, type], message: Mapping[str, Any]) -> None:
    """ConfigError unless the message holds what one of its kind has to; True is no number.

    >>> check_message("tab", {"tab": str}, {"tab": "why"})
    """
    for name, of in holds.items():
        if type(message.get(name)) is not of:
            found = quoted(str(message.get(name))[:40])
            raise ConfigError(f"The page sent {quoted(kind)} without a proper {quoted(name)}: {found}.")
