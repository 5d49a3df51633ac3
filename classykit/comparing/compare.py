"""`compare`: models side by side, what they cost, by how much they differ, and which of them fit a budget."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import nn

from classykit.comparing import compare_html, compare_text
from classykit.comparing.compare_stages import Stage, align
from classykit.errors import ClassyKitError, ConfigError, ShapeError, suggest
from classykit.features import shape_text
from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import REST, Inspection
from classykit.subject import Subject, subject_of

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

#: The figures that are compared, as `Comparison.to_pandas` calls them.
FIGURES = ("params", "macs", "flops", "activations", "param_bytes", "activation_bytes", "blocks")
#: What a budget can be for.
BUDGETS = ("params", "macs", "flops", "activations", "param_bytes", "activation_bytes", "memory")
_SORTS = ("model", *FIGURES, "memory")


class Comparison:
    """Several models side by side; prints as a table, shows as one in a notebook. Made by `compare`.

    Attributes:
        names: what the models are called here, in the order of the table; each name once.
        inspections: {name: Inspection}, in the same order.
        failed: {name: why} of the models that could not be inspected; they are in no figure.
        baseline: the name of the model that the differences are to.
        budget: {figure: limit}; empty when none was given.
    """

    def __init__(
        self,
        inspections: Mapping[str, Inspection],
        failed: Mapping[str, str],
        baseline: str,
        budget: Mapping[str, float],
    ):
        self.inspections = dict(inspections)
        self.names = tuple(self.inspections)
        self.failed = dict(failed)
        self.baseline = baseline
        self.budget = dict(budget)
        self._memory: dict[str, int | None] = {}

    def __getitem__(self, name: str) -> Inspection:
        """The inspection of the model called ``name``."""
        return self.inspections[name]

    def __len__(self) -> int:
        return len(self.names)

    def figure(self, name: str, column: str) -> int | None:
        """One figure of one model: a column of `to_pandas`, or "memory"; None where it cannot be had.

        >>> compare(["resnet18", "resnet50"]).figure("resnet50", "blocks")
        17
        """
        inspection = self.inspections[name]
        if column == "blocks":
            return sum(not b.is_head and b.name != REST for b in inspection.blocks)
        if column != "memory":
            return getattr(inspection, column)
        if name not in self._memory:
            try:
                self._memory[name] = inspection.peak_memory().total
            except ClassyKitError:  # it had to be run on real numbers, which no pass on the meta device can be
                self._memory[name] = None
        return self._memory[name]

    def difference(self, name: str, column: str) -> float | None:
        """By how much a figure differs from the baseline's, in per cent of that; None where that is zero or unknown.

        >>> round(compare(["resnet50", "resnet18"]).difference("resnet18", "macs"))
        -56
        """
        own, base = self.figure(name, column), self.figure(self.baseline, column)
        return None if own is None or not base else 100 * (own / base - 1)

    @cached_property
    def margins(self) -> dict[str, dict[str, float | None]]:
        """{name: {figure: by how much it is over the limit, in per cent of the limit}}; None where it is not known.

        Below zero is room: −35 means that 35 % of the budget are left. Without a budget there are none.
        """
        figures = {name: {key: self.figure(name, key) for key in self.budget} for name in self.names if self.budget}
        return {
            name: {k: None if n is None else 100 * (n / self.budget[k] - 1) for k, n in of_model.items()}
            for name, of_model in figures.items()
        }

    @property
    def fits(self) -> dict[str, dict[str, float]]:
        """The models within the budget, {name: {figure: margin}}: all are at most 0, in per cent of the budget.

        A model whose memory is asked for and cannot be had is neither here nor in `over`, unless it is over in
        something else.

        >>> compare(["resnet18", "resnet50"], budget={"macs": 2e9}).fits
        {'resnet18': {'macs': -9.3...}}
        """
        return {n: dict(m) for n, m in self.margins.items() if all(v is not None and v <= 0 for v in m.values())}

    @property
    def over(self) -> dict[str, dict[str, float]]:
        """The models beyond the budget, {name: {figure: margin}} of the figures that are, in per cent of the budget.

        >>> compare(["resnet18", "resnet50"], budget={"macs": 2e9, "params": 30e6}).over
        {'resnet50': {'macs': 104.3...}}
        """
        beyond = {n: {k: v for k, v in m.items() if v is not None and v > 0} for n, m in self.margins.items()}
        return {n: m for n, m in beyond.items() if m}

    def to_pandas(self) -> pandas.DataFrame:
        """A row a model, those that failed last, with these columns:

        model; input (shape of one input, without the batch); params (elements), macs (multiply-accumulates), flops
        (2 × macs), activations (elements written), param_bytes, activation_bytes (bytes), blocks (number, heads left
        out), all for the whole batch; memory (bytes, peak of inference) if it was sorted by or is in the budget;
        for each of these figures ``FIGURE_diff_percent``, the difference to the baseline in per cent of the baseline;
        with a budget ``FIGURE_over_percent`` (below zero: room, in per cent of the budget) and fits (True or False);
        remarks (why it failed, what was not counted).

        >>> compare(["resnet50", "resnet18"]).to_pandas()[["model", "params", "params_diff_percent"]].round(1)
              model    params  params_diff_percent
        0  resnet50  23508032                  0.0
        1  resnet18  11176512                -52.5
        """
        import pandas as pd

        names = [*self.names, *self.failed]
        columns = [*FIGURES, *(["memory"] if self.shows_memory else [])]

        def of_all(get: Any) -> list[Any]:
            return [get(n) if n in self.inspections else None for n in names]

        table: dict[str, Any] = {
            "model": names,
            "input": of_all(lambda n: shape_text(self.inspections[n].input_shape)),
        }
        for c in columns:
            table[c] = pd.array(of_all(lambda n, c=c: self.figure(n, c)), dtype="Int64")
        for c in columns:
            table[f"{c}_diff_percent"] = pd.array(of_all(lambda n, c=c: self.difference(n, c)), dtype="Float64")
        for c in self.budget:
            table[f"{c}_over_percent"] = pd.array(of_all(lambda n, c=c: self.margins[n][c]), dtype="Float64")
        if self.budget:
            table["fits"] = pd.array(of_all(self._fits), dtype="boolean")
        table["remarks"] = [self.remark(n) for n in names]
        return pd.DataFrame(table)

    def _fits(self, name: str) -> bool | None:
        return True if name in self.fits else False if name in self.over else None

    def stages(self) -> pandas.DataFrame:
        """The blocks aligned by stage, a row for each stage of each model, with these columns:

        stage: what the models are aligned by: "stride 4" is where a position of the map stands for 4 × 4 pixels of
        the input (an odd stride, as of 260 pixels at 33 positions, counts as the power of two that it is nearest to),
        then "tokens", "pooled" (one position), "vector"; a stride that comes again, as in a decoder, is "stride 4,
        again". Next: model; depth (blocks), output_shape (of its last block, without the batch); params (elements),
        macs (multiply-accumulates) and activations (elements) of the batch, which sum to the model's totals.

        >>> stages = compare(["resnet50", "vit_b_16"]).stages()
        >>> stages.pivot(index="stage", columns="model", values="depth").loc["stride 16"].to_dict()
        {'resnet50': 6.0, 'vit_b_16': 1.0}
        """
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "stage": stage,
                    "model": name,
                    "depth": of_model[name].depth,
                    "output_shape": shape_text(of_model[name].output_shape),
                    "params": of_model[name].params,
                    "macs": of_model[name].macs,
                    "activations": of_model[name].activations,
                }
                for stage, of_model in self.aligned.items()
                for name in self.names
                if name in of_model
            ],
            columns=["stage", "model", "depth", "output_shape", "params", "macs", "activations"],
        )

    @cached_property
    def aligned(self) -> dict[str, dict[str, Stage]]:
        """{stage: {name: what the model has there}}, in the order in which models pass through them."""
        return align(self.inspections)

    def plot(self, x: str = "macs", y: str = "params", size: str = "activations", title: str | None = None) -> Figure:
        """The models as discs in a matplotlib Figure: see `classykit.plots.cost_scatter`.

        >>> len(compare(["resnet18", "resnet50"]).plot().axes)
        1
        """
        from classykit.plots.scatter import cost_scatter

        return cost_scatter(
            self.inspections, x=x, y=y, size=size, baseline=self.baseline, budget=self.budget, over=[*self.over],
            title=title,
        )  # fmt: skip

    @property
    def shows_memory(self) -> bool:
        """Whether peak memory, which takes another pass a model, is part of this comparison."""
        return "memory" in self.budget or bool(self._memory)

    def remark(self, name: str) -> str:
        """What else there is to say of a model: why it failed, what was not counted; "" when all is as usual."""
        if name in self.failed:
            return self.failed[name]
        inspection = self.inspections[name]
        parts = [inspection.note] if inspection.note else []
        if inspection.uncounted:
            parts.append("not counted: " + ", ".join(f"{op} ×{n}" for op, n in inspection.uncounted.items()))
        if "memory" in self.budget and self.figure(name, "memory") is None:
            parts.append("its peak memory is not known")
        return "; ".join(parts)

    def __str__(self) -> str:
        return compare_text.text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return compare_html.html_table(self)


def compare(
    models: Iterable[str | Mapping[str, Any] | nn.Module],
    *,
    baseline: str | None = None,
    budget: Mapping[str, float] | None = None,
    sort: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    batch_size: int = 1,
    names: Iterable[str] | None = None,
) -> Comparison:
    """Models side by side: totals, differences in per cent, blocks aligned by stage, and who fits a budget.

    Args:
        models: names, configs and nn.Modules, as `inspect` takes them, in any mixture; one or a hundred.
        baseline: the name of the model that differences are to. Default: the first that can be inspected.
        budget: {figure: limit} for any of params, macs, flops, activations, param_bytes, activation_bytes and
            memory (bytes, the peak of inference).
        sort: a figure to sort by, smallest first, or with a minus before it ("-macs") largest first; "model" sorts
            by name. Default: as given.
        input_shape, batch_size: as for `inspect`. By default each model gets an input of its own shape: figures of
            models with different inputs are compared as they are.
        names: what to call them, one a model. Default: their own names; models of the same name get a suffix, which
            says how their configs differ where that is short.

    A model that cannot be inspected, or fails on its input, does not end the comparison: `Comparison.failed` says
    why. Raises ConfigError when none can, for an empty list, for the same model given twice, and for bad arguments.

    >>> c = compare(["resnet18", "efficientnet_b0"], budget={"params": 6e6, "macs": 1e9})
    >>> print(c)
    2 models, input 3×224×224; differences are to resnet18
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
            inspections[name] = inspect(subject.given, input_shape, batch_size).require()
        except ClassyKitError as error:
            failed[name], last = str(error), error
    if not inspections:
        reasons = "\n".join(f"  {n}: {why}" for n, why in [*failed.items()][:5])
        more = f"\n  … and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise ConfigError(f"None of the {len(failed)} models can be inspected:\n{reasons}{more}") from last
    comparison = Comparison(inspections, failed, _baseline(baseline, inspections, failed), budget or {})
    return comparison if sort is None else _sorted(comparison, sort)


def _listed(models: Any) -> list[Subject]:
    """The models as a list of what can be one, none of them twice."""
    if isinstance(models, (str, Mapping, nn.Module)):
        what = f"the name {models!r}" if isinstance(models, str) else f"one {type(models).__name__}"
        raise ConfigError(
            f"compare takes a list of models, not {what}: compare(['resnet50', 'regnet_y_3.2gf']). "
            "For names by wildcard: compare(list_models('regnet_y_*')); for one model: inspect(model)."
        )
    try:
        given = list(models)
    except TypeError:
        raise ConfigError(f"compare takes a list of names, configs and nn.Modules, not {models!r}.") from None
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
        raise ConfigError(f"budget is a dict such as {{'params': 5e6, 'macs': 1e9}}, not {budget!r}.")
    for key, limit in (budget or {}).items():
        if key not in BUDGETS:
            raise ConfigError(f"There is no budget for {key!r}.{suggest(key, BUDGETS)} It can be for: "
                              f"{', '.join(BUDGETS)}.")  # fmt: skip
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 < limit < float("inf"):
            raise ConfigError(f"The budget for {key} is a positive number such as 5e6, not {limit!r}.")
    if sort is not None and (not isinstance(sort, str) or sort.removeprefix("-") not in _SORTS):
        raise ConfigError(
            f"There is no column {sort!r} to sort by.{suggest(str(sort).removeprefix('-'), _SORTS)} "
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
            raise ConfigError(f"names are {len(subjects)} different strings, one a model, not {called!r}.")
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


def _baseline(baseline: Any, inspections: Mapping[str, Any], failed: Mapping[str, str]) -> str:
    if baseline is None:
        return next(iter(inspections))
    if baseline in failed:
        raise ShapeError(f"The baseline {baseline} could not be inspected: {failed[baseline]}")
    if not isinstance(baseline, str) or baseline not in inspections:
        known = ", ".join([*inspections][:8]) + (", …" if len(inspections) > 8 else "")
        raise ConfigError(f"The baseline is the name of a compared model, not {baseline!r}."
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
        {n: comparison.inspections[n] for n in names}, comparison.failed, comparison.baseline, comparison.budget
    )
    ordered._memory = comparison._memory
    return ordered
