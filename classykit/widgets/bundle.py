"""One ES module and one stylesheet a widget, put together from the files under `static/`.

A widget's module is loaded from a blob, where relative imports cannot work, and a build step would be one more thing to
install: so what parts share goes in front, and each part becomes a function of its own, as a bundler would write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_STATIC = Path(__file__).parent / "static"
SHARED = ("common.js", "pixels.js", "controls.js", "map_layout.js", "app.js")
_EXPORT = "export default { render };"


def module(widget: str, parts: Sequence[str]) -> str:
    """A widget's ES module: the shared helpers, its parts by their names, then ``<widget>.js``, which draws them.

    >>> text = module("explorer", ["code_view"])
    >>> text.count("export default")
    1
    """
    return "\n".join([*map(_read, SHARED), *map(_part, parts), _read(f"{widget}.js")])


def script(widget: str, parts: Sequence[str], then: str) -> str:
    """The same for a page of its own, where ``<then>.js`` draws it: as text within a <script type="module">."""
    whole = "\n".join([*map(_read, SHARED), *map(_part, [*parts, widget]), _read(f"{then}.js")])
    if "</script" in whole.lower():
        raise ValueError("a script that holds the end of a script would be cut off there")
    return whole


def style(widget: str, parts: Sequence[str]) -> str:
    """A widget's stylesheet: the tokens of the house, those of its parts, and its own."""
    return "\n".join(_read(f"{name}.css") for name in ("tokens", "controls", *parts, widget))


def _part(part: str) -> str:
    """A part as a value of its own, as a bundler would write it."""
    return f"const {part} = (() => {{\n{_inner(part)}\n}})();"


def _inner(part: str) -> str:
    text = _read(f"{part}.js")
    if text.count(_EXPORT) != 1:
        raise ValueError(f"{part}.js has to end with: {_EXPORT}")
    return text.replace(_EXPORT, "return { render };")


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")
