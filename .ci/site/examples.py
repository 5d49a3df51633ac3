"""The examples of docstrings as blocks of code: classykit writes them as doctests, without a heading of their own."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


def fenced(docstring: str) -> str:
    """The docstring with a fence around each run of lines that begins with ``>>>``.

    >>> fenced("Adds.\\n\\n>>> 1 + 1\\n2").split("\\n")[2:]
    ['```pycon', '>>> 1 + 1', '2', '```']
    """
    return EXAMPLE.sub(lambda match: f"{match[1]}```pycon\n{match[0]}\n{match[1]}```", docstring)


class Examples(griffe.Extension):
    """What griffe reads goes through `fenced`."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
