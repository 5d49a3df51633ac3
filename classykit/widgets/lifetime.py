"""How long an app lives: as long as a page shows it, or somebody holds it.

ipywidgets holds every widget for ever, and a notebook's Out holds what a cell gave: run again, a cell would keep one
model more each time.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import comm
import ipywidgets


@dataclass
class _Cell:
    """A cell that has shown apps: which run of it, and which they are."""

    run: Any
    apps: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)


_cells: dict[str, _Cell] = {}


def shown(app: Any) -> None:
    """An app is made, or put on the page, by the cell that runs now.

    What an earlier run of that cell had shown is gone from the page: apps that no other cell shows are closed.
    """
    cell, run = _running_cell()
    if cell is None:
        return
    if cell not in _cells or _cells[cell].run != run:
        before = _cells.pop(cell, None)
        _cells[cell] = _Cell(run, weakref.WeakSet([app]))
        elsewhere = {id(other) for place in _cells.values() for other in place.apps}
        for other in list(before.apps) if before else []:
            if id(other) not in elsewhere:
                other.close()
    _cells[cell].apps.add(app)


def _running_cell() -> tuple[str | None, Any]:
    """(the cell that runs now, which run of it); (None, None) where code does not come from cells."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return None, None
    asked = shell.get_parent() if hasattr(shell, "get_parent") else {}  # the message that a kernel is answering
    if asked:
        # front ends say which cell it is; for others a cell is what it says
        cell = asked.get("metadata", {}).get("cellId") or asked.get("content", {}).get("code")
        return cell, asked.get("header", {}).get("msg_id")
    return shell.history_manager.input_hist_raw[-1], shell.execution_count


def hold_weakly(widgets: Iterable[ipywidgets.Widget]) -> None:
    """Where no page can show them, let widgets live as long as somebody holds them; elsewhere do nothing."""
    for widget in widgets:
        if _may_be_on_a_page(widget):
            continue
        widget.comm.on_msg(weakly(widget._handle_msg))
        ipywidgets.widgets.widget._instances[widget.model_id] = weakref.proxy(widget)


def weakly(method: Callable[..., Any]) -> Callable[..., Any]:
    """A bound method that does not keep its object: once that is gone, calling it does nothing."""
    reference = weakref.WeakMethod(method)

    def call(*args: Any) -> Any:
        alive = reference()
        return None if alive is None else alive(*args)

    return call


def _may_be_on_a_page(widget: ipywidgets.Widget) -> bool:
    if isinstance(widget.comm, comm.DummyComm):
        return False
    kernel = sys.modules.get("ipykernel.kernelbase")
    of_ipykernel = type(widget.comm).__module__.startswith("ipykernel.")
    return not (of_ipykernel and kernel is not None and not kernel.Kernel.initialized())
