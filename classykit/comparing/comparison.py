"""Models side by side: their figures, how they differ, and which of them fit a budget."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from classykit.comparing.compare_stages import Stage, align
from classykit.comparing.comparison_table import to_html, to_text
from classykit.errors import ClassyKitError
from classykit.features import shape_text
from classykit.inspecting.report import Inspection

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

#: The figures that are compared, as `Comparison.to_pandas` calls them.
FIGURES = ("params", "macs", "flops", "activations", "param_bytes", "activation_bytes", "blocks")
#: What a budget can be for.
BUDGETS = ("params", "macs", "flops", "activations", "param_bytes", "activation_bytes", "memory")


class Comparison:
    """Several models side by side; prints as a table, shows as one in a notebook. Made by `compare`.

    Attributes:
        names: what the models are called here, in the order of the table; each name once.
        inspections: {name: Inspection} of what is counted, in the same order.
        whole: {name: Inspection} of all of each model.
        counted: {name: whether its classifier is counted}.
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
        counted: Mapping[str, bool] | None = None,
    ):
        self.whole = dict(inspections)
        self.counted = dict(counted or dict.fromkeys(inspections, True))
        self.inspections = {n: i if self.counted[n] else i.without_classifier() for n, i in self.whole.items()}
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

        >>> import classykit
        >>> classykit.compare(["resnet18", "resnet50"]).figure("resnet50", "blocks")
        17
        """
        inspection = self.inspections[name]
        if column == "blocks":
            return len(inspection.trunk)
        if column != "memory":
            return getattr(inspection, column)
        if name not in self._memory:
            self._memory[name] = self.peak_memory(name)
        return self._memory[name]

    def peak_memory(self, name: str, batch_size: int | None = None) -> int | None:
        """Bytes that inference with one model holds at most, without the weights of a classifier that is not counted.

        ``batch_size`` is that of `Inspection.peak_memory`. None where that cannot be had.

        >>> import classykit
        >>> c = classykit.compare(["resnet18", "resnet50"])
        >>> c.peak_memory("resnet18", 32) < c.peak_memory("resnet50", 32)
        True
        """
        inspection = self.inspections[name]
        uncounted = self.whole[name].param_bytes - inspection.param_bytes
        try:
            return inspection.peak_memory(batch_size=batch_size).total - uncounted
        except ClassyKitError:  # it had to be run on real numbers, which no pass on the meta device can be
            return None

    def part(self, name: str) -> str:
        """What of a model is counted: "with classifier", or "trunk"."""
        return "with classifier" if self.inspections[name].classifier else "trunk"

    def difference(self, name: str, column: str) -> float | None:
        """By how much a figure differs from the baseline's, in per cent of that; None where that is zero or unknown.

        >>> import classykit
        >>> round(classykit.compare(["resnet50", "resnet18"]).difference("resnet18", "macs"))
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

        >>> import classykit
        >>> classykit.compare(["resnet18", "resnet50"], budget={"macs": 2e9}).fits
        {'resnet18': {'macs': -9.3...}}
        """
        return {n: dict(m) for n, m in self.margins.items() if all(v is not None and v <= 0 for v in m.values())}

    @property
    def over(self) -> dict[str, dict[str, float]]:
        """The models beyond the budget, {name: {figure: margin}} of the figures that are, in per cent of the budget.

        >>> import classykit
        >>> classykit.compare(["resnet18", "resnet50"], budget={"macs": 2e9, "params": 30e6}).over
        {'resnet50': {'macs': 104.3...}}
        """
        beyond = {n: {k: v for k, v in m.items() if v is not None and v > 0} for n, m in self.margins.items()}
        return {n: m for n, m in beyond.items() if m}

    def to_pandas(self) -> pandas.DataFrame:
        """A row a model, those that failed last, with these columns:

        model; part ("with classifier" or "trunk"); input (shape of one input, without the batch); params (elements),
        macs (multiply-accumulates), flops
        (2 × macs), activations (elements written), param_bytes, activation_bytes (bytes), blocks (number, heads left
        out), all for the whole batch; memory (bytes, peak of inference) if it was sorted by or is in the budget;
        for each of these figures ``FIGURE_diff_percent``, the difference to the baseline in per cent of the baseline;
        with a budget ``FIGURE_over_percent`` (below zero: room, in per cent of the budget) and fits (True or False);
        remarks (why it failed, what was not counted).

        >>> import classykit
        >>> classykit.compare(["resnet50", "resnet18"]).to_pandas()[["model", "params", "params_diff_percent"]].round(1)
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
            "part": of_all(self.part),
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

        >>> import classykit
        >>> stages = classykit.compare(["resnet50", "vit_b_16"]).stages()
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

        >>> import classykit
        >>> len(classykit.compare(["resnet18", "resnet50"]).plot().axes)
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
        return to_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return to_html(self)
