"""`compare`: models side by side, what they cost, by how much they differ, and which of them fit a budget."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from classykit.comparing.comparison import BUDGETS, FIGURES, Comparison
from classykit.contexts import verb
from classykit.errors import ClassyKitError, ConfigError, ShapeError, quoted, suggest
from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import Inspection
from classykit.subject import Subject, subject_of

_SORTS = ("model", *FIGURES, "memory")


@verb
def compare(
    models: Iterable[str | Mapping[str, Any] | nn.Module],
    *,
    baseline: str | None = None,
    budget: Mapping[str, float] | None = None,
    sort: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    batch_size: int | None = None,
    example: Any = None,
    names: Iterable[str] | None = None,
    classifier: bool | Mapping[str, bool] | None = None,
) -> Comparison:
    """Models side by side: totals, differences in per cent, blocks aligned by stage, and who fits a budget.

    Args:
        models: names, configs and nn.Modules, as `inspect` takes them, in any mixture; one or a hundred.
        baseline: the name of the model that differences are to. Default: the first that can be inspected.
        budget: {figure: limit} for any of params, macs, flops, activations, param_bytes, activation_bytes and
            memory (bytes, the peak of inference).
        sort: a figure to sort by, smallest first, or with a minus before it ("-macs") largest first; "model" sorts
            by name. Default: as given.
        input_shape, batch_size, example: as for `inspect`. By default each model gets an input of its own shape:
            figures of models with different inputs are compared as they are.
        classifier: whether classifiers, a trunk's own or a head's, are counted: True, False, or {name: True or False}.
            Default: like with like, of all models where each has one, else of none. Rows say which it is.
        names: what to call them, one a model. Default: their own names; models of the same name get a suffix, which
            says how their configs differ where that is short.

    A model that cannot be inspected, or fails on its input, does not end the comparison: `Comparison.failed` says
    why. Raises ConfigError when none can, for an empty list, for the same model given twice, and for bad arguments.

    >>> c = compare(["resnet18", "efficientnet_b0"], budget={"params": 6e6, "macs": 1e9})
    >>> print(c)
    2 models, trunks alone, input 3×224×224; differences are to resnet18
    budget: params ≤ 6 M, MACs ≤ 1 G; 1 of 2 fits
    ...
    """
    subjects = _listed(models)
    _check(budget, sort)
    called = _names(subjects, names)
    inspections: dict[str, Inspection] = {}
    failed: dict[str, str] = {}
    last: ClassyKitError | None = None
    for name, subject in zip(called, subjects, strict=True):
        try:
            inspections[name] = inspect(subject.given, input_shape, batch_size, example).require()
        except ClassyKitError as error:
            failed[name], last = str(error), error
    if not inspections:
        reasons = "\n".join(f"  {n}: {why}" for n, why in [*failed.items()][:5])
        more = f"\n  … and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise ConfigError(f"None of the {len(failed)} models can be inspected:\n{reasons}{more}") from last
    counted = _counted(classifier, inspections)
    comparison = Comparison(inspections, failed, _baseline(baseline, inspections, failed), budget or {}, counted)
    return comparison if sort is None else _sorted(comparison, sort)


def _listed(models: Any) -> list[Subject]:
    """The models as a list of what can be one, none of them twice."""
    if isinstance(models, (str, Mapping, nn.Module)):
        what = f"the name {quoted(models)}" if isinstance(models, str) else f"one {type(models).__name__}"
        raise ConfigError(
            f"compare takes a list of models, not {what}: compare(['resnet50', 'regnet_y_3.2gf']). "
            "For names by wildcard: compare(list_models('regnet_y_*')); for one model: inspect(model)."
        )
    try:
        given = list(models)
    except TypeError:
        raise ConfigError(f"compare takes a list of names, configs and nn.Modules, not {quoted(models)}.") from None
    if not given:
        raise ConfigError("compare was given no model: does a wildcard match none? It takes a list of names, "
                          "configs and nn.Modules.")  # fmt: skip
    seen: dict[Any, int] = {}
    subjects = []
    for i, model in enumerate(given, 1):
        try:
            subject = subject_of(model)
        except ConfigError as error:
            raise ConfigError(f"Number {i} of the list: {error}") from None
        key = _identity(subject)
        if key in seen:
            raise ConfigError(
                f"{subject.name!r} is given twice, as number {seen[key]} and {i} of the list: each model is compared "
                "once. Variants of it differ in some key of their config."
            )
        if key is not None:
            seen[key] = i
        subjects.append(subject)
    return subjects


def _identity(subject: Subject) -> Any:
    """What tells whether two are the same; None for configs that are more than plain values."""
    if subject.module is not None:
        return id(subject.module)
    try:
        return json.dumps(subject.config, sort_keys=True)
    except (TypeError, ValueError):
        return None


def _check(budget: Any, sort: Any) -> None:
    if budget is not None and (not isinstance(budget, Mapping) or not budget):
        raise ConfigError(f"budget is a dict such as {{'params': 5e6, 'macs': 1e9}}, not {quoted(budget)}.")
    for key, limit in (budget or {}).items():
        if key not in BUDGETS:
            raise ConfigError(f"There is no budget for {quoted(key)}.{suggest(key, BUDGETS)} It can be for: "
                              f"{', '.join(BUDGETS)}.")  # fmt: skip
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 < limit < float("inf"):
            raise ConfigError(f"The budget for {key} is a positive number such as 5e6, not {quoted(limit)}.")
    if sort is not None and (not isinstance(sort, str) or sort.removeprefix("-") not in _SORTS):
        raise ConfigError(
            f"There is no column {quoted(sort)} to sort by.{suggest(str(sort).removeprefix('-'), _SORTS)} "
            f"Columns: {', '.join(_SORTS)}; with a minus before it, largest first."
        )


def _names(subjects: list[Subject], names: Iterable[str] | None) -> list[str]:
    """A name a model, none twice."""
    if names is not None:
        called = [names] if isinstance(names, str) else list(names)
        if (
            len(called) != len(subjects)
            or len(set(called)) < len(called)
            or not all(isinstance(n, str) for n in called)
        ):
            raise ConfigError(f"names are {len(subjects)} different strings, one a model, not {quoted(called)}.")
        return called
    called = [subject.name for subject in subjects]
    labels = list(called)
    for name in {n for n in called if called.count(n) > 1}:
        members = [i for i, n in enumerate(called) if n == name]
        for i, words in zip(members, _differences([subjects[i] for i in members]), strict=True):
            labels[i] = f"{name} ({words})" if words else name
    unique: list[str] = []
    for label, name in zip(labels, called, strict=True):
        number = 1
        while label in unique:
            number += 1
            label = f"{name} ({number})"
        unique.append(label)
    return unique


def _differences(subjects: list[Subject]) -> list[str]:
    """How the configs of one name differ, in the keys' words; empty where that is no config, or too long."""
    if any(subject.module is not None for subject in subjects):
        return [""] * len(subjects)
    configs = [{k: v for k, v in subject.config.items() if k != "name"} for subject in subjects]
    keys = list(dict.fromkeys(k for c in configs for k in c))
    telling = [k for k in keys if any(k not in c or c[k] != configs[0].get(k) for c in configs)]
    words = [", ".join(f"{k}={c[k]}" for k in telling if k in c) for c in configs]
    return [w if len(w) <= 40 and words.count(w) == 1 else "" for w in words]


def _counted(classifier: Any, inspections: Mapping[str, Inspection]) -> dict[str, bool]:
    """{name: whether its classifier is counted}"""
    if classifier is None:
        classifier = all(inspection.classifier for inspection in inspections.values())
    if isinstance(classifier, bool):
        return dict.fromkeys(inspections, classifier)
    if not isinstance(classifier, Mapping) or not all(isinstance(value, bool) for value in classifier.values()):
        raise ConfigError(f"classifier is True, False or {{name: True or False}}, not {quoted(classifier)}.")
    for name in classifier:
        if name not in inspections:
            raise ConfigError(f"No compared model is called {quoted(name)}.{suggest(str(name), inspections)}")
    return {name: classifier.get(name, True) for name in inspections}


def _baseline(baseline: Any, inspections: Mapping[str, Any], failed: Mapping[str, str]) -> str:
    if baseline is None:
        return next(iter(inspections))
    if baseline in failed:
        raise ShapeError(f"The baseline {baseline} could not be inspected: {failed[baseline]}")
    if not isinstance(baseline, str) or baseline not in inspections:
        known = ", ".join([*inspections][:8]) + (", …" if len(inspections) > 8 else "")
        raise ConfigError(f"The baseline is the name of a compared model, not {quoted(baseline)}."
                          f"{suggest(baseline, inspections)} There are: {known}.")  # fmt: skip
    return baseline


def _sorted(comparison: Comparison, sort: str) -> Comparison:
    column, down = sort.removeprefix("-"), sort.startswith("-")
    if column == "model":
        names = sorted(comparison.names, reverse=down)
    else:
        figures = {n: comparison.figure(n, column) for n in comparison.names}
        known = sorted((n for n in figures if figures[n] is not None), key=lambda n: figures[n], reverse=down)
        names = known + [n for n in figures if figures[n] is None]
    ordered = Comparison(
        {n: comparison.whole[n] for n in names}, comparison.failed, comparison.baseline, comparison.budget,
        comparison.counted,
    )  # fmt: skip
    ordered._memory = comparison._memory
    return ordered
