"""What the design lab's page is told: finished words and figures."""

from __future__ import annotations

from typing import Any

from classykit import formats
from classykit.exploring import lab_axes, lab_net, lab_says, lab_spaces
from classykit.exploring.lab import CHOICES, EACH, LONGER, Lab, percent

_WORDS = {
    "size": lambda n: f"digits, {n} px",
    "epochs": lambda n: f"{n} epoch{'s' * (n > 1)}",
    "seed": lambda n: f"seed {n}",
}


def head(lab: Lab) -> dict[str, Any]:
    """Its name, facts, totals, and what the errors say."""
    errors = lab.errors()
    inside = [n for n in errors if lab.is_inside(lab.nets[n])]
    best = percent(min(errors[n] for n in inside)) if inside else "–"
    return {
        "name": lab.title,
        "facts": f"digits, 3 × {lab.now.task.size}² · float32 · cpu · MACs of 3 × {lab_net.side(lab.nets[0].config)}²",
        "marks": [{"name": name, "count": sum(lab.nets[n].space == i for n in errors)}
                  for i, name in enumerate(lab.names)],
        "totals": [
            {"value": str(len(errors)), "label": "trained"},
            {"value": str(len(inside)), "label": "in the budget"},
            {"value": best, "label": "best error"},
        ],
        "verdict": lab.verdict(),
    }  # fmt: skip


def controls(lab: Lab) -> dict[str, Any]:
    """The left column: ranges, budget, what is taught."""
    task, stops = lab.now.task, lab.budget_stops
    spaces = []
    for name, space, first in zip(lab.names, lab.now.spaces, lab.first, strict=True):
        ranges = lab_spaces.sliders(space, first)
        spaces.append({"name": name, "note": f"{len(ranges)} ranges", "ranges": [
            {**of, "stops": [f"{stop:g}" for stop in of["stops"]]} for of in ranges]})  # fmt: skip
    at = [min(range(len(stops)), key=lambda i: abs(stops[i] - end)) for end in lab.now.budget]
    return {
        "spaces": spaces,
        "budget": {"key": "MACs", "label": "MACs", "stops": [formats.count(n, 2) for n in stops], "at": at,
                   "text": lab_spaces.budget_text(lab.now.budget)},
        "task": [
            {"what": what, "value": str(getattr(task, what)),
             "options": [{"id": str(n), "label": _WORDS[what](n)} for n in of]} for what, of in CHOICES.items()
        ],
        "each": EACH * len(lab.names),
    }  # fmt: skip


def counts(lab: Lab) -> dict[str, Any]:
    """What is trained, what waits, how long one takes, what was refused."""
    waiting, trained = len(lab.waiting()), len(lab.errors())
    took = [net.seconds for net in lab.nets if lab.now.task in net.errors]
    pace = f"; about {formats.seconds(sum(took) / len(took))} each" if took else ""
    failed = sum(bool(net.failed) for net in lab.nets)
    said = f" {failed} could not be trained." if failed else ""
    return {"waiting": waiting, "words": f"{trained} trained, {waiting} wait{pace}.{said}", "refusals": lab.refusals()}


def nets(lab: Lab) -> list[dict[str, Any]]:
    """A row and a dot each."""
    errors, found, axes = lab.errors(), [], lab.axes
    shades, _ = lab_axes.shades(lab.nets, axes)
    for n, net in enumerate(lab.nets):
        error, space = errors.get(n), lab.names[net.space]
        longer = [(task.epochs, e) for task, e in net.errors.items() if task.epochs > lab.now.task.epochs]
        told = percent(error) if error is not None else "failed" if net.failed else "waits"
        inside = lab.is_inside(net)
        found.append({
            "space": net.space, "own": net.own, "macs": net.macs, "error": error, "inside": inside,
            "x": lab_axes.figure(net, axes.across), "shade": shades[n],
            "y": error if axes.up == lab_axes.ERROR else lab_axes.figure(net, axes.up),
            "cells": [str(n + 1), f"{space}, by hand" if net.own else space, formats.count(net.macs),
                      formats.count(net.params), told, "in" if inside else "out",
                      f"{percent(max(longer)[1])} ({max(longer)[0]})" if longer else ""],
            "label": f"Net {n + 1}, {space}{', made by hand' if net.own else ''}: {formats.count(net.macs)} MACs, "
                     f"error {told}{'' if inside else ', outside the budget'}",
        })  # fmt: skip
    return found


def curves(lab: Lab) -> dict[str, Any]:
    """The axes, the budget, the best so far, and the distribution of errors of each space."""
    errors, axes = lab.errors(), lab.axes
    known = [(lab_axes.figure(lab.nets[n], axes.across), error) for n, error in errors.items()]
    edfs = {name: lab_says.edf(values) for name, values in lab.by_space().items()}
    return {
        "budget_text": f"the budget: {lab_spaces.budget_text(lab.now.budget)} MACs",
        "across": lab_axes.axis(axes.across, lab.now.budget), "up": lab_axes.axis(axes.up, lab.now.budget),
        "axes": [{"what": what, "value": getattr(axes, what), "options": [{"id": one, "label": one} for one in of]}
                 for what, of in lab_axes.CHOICES.items()],
        "shades": lab_axes.shades(lab.nets, axes)[1],
        "front": lab_says.best_so_far(known) if axes.up == lab_axes.ERROR else [],
        "edf": [{"name": name, "steps": steps} for name, steps in edfs.items()],
        "edf_words": "Share of nets within the budget with an error below: " + "; ".join(
            f"{name}: half below {percent(steps[(len(steps) - 1) // 2][0])}" if steps else f"{name}: none yet"
            for name, steps in edfs.items()),
    }  # fmt: skip


def net(lab: Lab) -> dict[str, Any]:
    """The chosen network: what it is, its keys, its line with the sampled one behind it."""
    of, config, turned = lab.net, lab.config, lab.now.design is not None
    macs, params = lab_net.cost(config)
    now = lab_net.widths(config)
    error = None if turned else lab.errors().get(lab.now.chosen)
    rows = [("parameters", formats.count(params)), ("MACs", formats.count(macs)),
            ("stages", str(len(lab_net.read(config).stages)))]  # fmt: skip
    told = percent(error) if error is not None else "failed" if of.failed and not turned else "unknown"
    rows.append(("error", told))
    others = [e for values in lab.by_space().values() for e in values]
    if error is not None and others:
        rows.append(("better than", formats.percent(sum(e > error for e in others) / len(others))))
    for task, e in of.errors.items():
        if task.epochs > lab.now.task.epochs and not turned:
            rows.append((f"after {task.epochs} epochs", percent(e)))
    note = "by hand" if of.own else "as sampled"
    return {
        "number": lab.now.chosen,
        "title": f"Net {lab.now.chosen + 1}", "space": lab.names[of.space], "note": "turned" if turned else note,
        "turned": turned, "trainable": error is None and not (of.failed and not turned),
        "failed": "" if turned else of.failed,
        "keys": lab.keys(),
        "blocks": now["blocks"], "line": now["line"], "ghost": lab_net.widths(of.config)["blocks"] if turned else [],
        "rows": [{"label": label, "value": value} for label, value in rows],
        "trunk": "Figures of the trunk; the error with a classifier on its last block.",
        "longer": f"Train the best 3 longer ({LONGER * lab.now.task.epochs} epochs)",
    }  # fmt: skip
