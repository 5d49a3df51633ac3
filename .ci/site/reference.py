"""The reference: a page a room, with its public names, and what they return."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from typing import Any

import classykit as ck

#: rooms in the order in which they are read; others come after them by their own names
TITLES = {
    "models": "Models",
    "heads": "Heads",
    "weights": "Trained weights",
    "inputs": "Pictures, clips and other inputs",
    "datasets": "Data sets",
    "inspecting": "Inspecting",
    "comparing": "Comparing",
    "running": "Running",
    "measuring": "Measuring",
    "extracting": "Extracting",
    "seeing": "Seeing",
    "learning": "Learning",
    "plots": "Plots",
    "widgets": "Apps",
    "teaching": "Teaching",
    "experiment": "Experiments",
    "errors": "Errors",
}
#: ground floor: what goes into a model is on one page
OF_INPUTS = ("inputs", "nested", "images", "image_loading", "samples", "clips")
OF_ALL_INPUTS = "What a model is called with, and how pictures and clips are made ready for it."


def pages() -> dict[str, str]:
    """{page: Markdown} of the whole reference, its index first."""
    rooms: dict[str, dict[str, Any]] = {room: {} for room in TITLES}  # {room: {title: object}}
    for name in ck.__all__[1:]:  # after __version__
        _enter(rooms, f"ck.{name}", getattr(ck, name))
    for room in ("models", "heads", "weights", "images", "datasets", "inspecting", "plots", "widgets", "teaching"):
        module = importlib.import_module(f"classykit.{room}")
        for name in module.__all__:
            if callable(getattr(module, name)):
                _enter(rooms, f"ck.{room}.{name}", getattr(module, name))
    for name, value in vars(ck.errors).items():
        if isinstance(value, type) and issubclass(value, (Exception, Warning)) and name[0] != "_":
            _enter(rooms, f"ck.errors.{name}", value)
    for room in list(rooms):
        for value in list(rooms[room].values()):
            for given in _returned(value):
                _enter(rooms, given.__name__, given)
    made = {f"reference/{room}.md": _page(room, entries) for room, entries in rooms.items() if entries}
    return {"reference/index.md": _index(rooms), **made}


def path_of(value: Any) -> str:
    """Where an object is defined: "classykit.inspecting.report.Inspection"."""
    return f"{value.__module__}.{value.__qualname__}"


def _enter(rooms: dict[str, dict[str, Any]], title: str, value: Any) -> None:
    """Once, under the first title, in the room that it is defined in."""
    parts = value.__module__.split(".")
    if parts[0] != "classykit" or any(value is other for room in rooms.values() for other in room.values()):
        return
    room = "inputs" if parts[1] in OF_INPUTS else parts[1]
    rooms.setdefault(room, {})[title] = value


def _returned(value: Any) -> list[type]:
    """The kit's own classes that a function returns."""
    if isinstance(value, type):
        return []
    try:
        hint = typing.get_type_hints(inspect.unwrap(value)).get("return")
    except NameError:  # one that is imported for types alone, pandas for one
        return []
    hints = [hint, *typing.get_args(hint)]
    return [one for one in hints if isinstance(one, type) and not isinstance(one, types.GenericAlias)]


def _page(room: str, entries: dict[str, Any]) -> str:
    said = OF_ALL_INPUTS if room == "inputs" else _first_line(importlib.import_module(f"classykit.{room}"))
    blocks = [f"# {_title(room)}\n\n{said}\n"]
    for title, value in entries.items():
        blocks.append(f"::: {path_of(value)}\n    options:\n      heading: {title}\n      toc_label: {title}\n")
        if vars(value).get("Config") is not None:
            blocks.append(_keys(value.Config))
    return "\n".join(blocks)


def _keys(config: Any) -> str:
    """The keys of a family or head: `AnyNetConfig`, say, as a table."""
    lines = [f"Keys (`{config.__name__}`):\n\n| key | default | |\n|---|---|---|"]
    for key, of in config.model_fields.items():
        default = "" if of.is_required() else f"`{of.get_default(call_default_factory=True)!r}`"
        lines.append(f"| `{key}` | {default} | {_cell(of.description or '')} |")
    return "\n".join(lines) + "\n"


def _cell(words: str) -> str:
    """Words that stay in one cell of a table."""
    return words.replace("\n", " ").replace("``", "`").replace("|", "\\|")


def _index(rooms: dict[str, dict[str, Any]]) -> str:
    lines = [
        "# Reference\n",
        "What `import classykit as ck` gives, by the room of the house that it is in.\n",
    ]
    for room, entries in rooms.items():
        if not entries:
            continue
        lines.append(f"## [{_title(room)}]({room}.md)\n\n| | |\n|---|---|")
        for title, value in entries.items():
            lines.append(f"| [`{title}`]({room}.md#{path_of(value)}) | {_cell(_first_line(value))} |")
        lines.append("")
    return "\n".join(lines)


def _title(room: str) -> str:
    return TITLES.get(room, room.capitalize())


def _first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").split("\n\n")[0]
