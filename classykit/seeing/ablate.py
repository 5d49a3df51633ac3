"""`ablate`: what a model says without some of its channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import BlockError, ClassyKitError, ConfigError, quoted
from classykit.features import TOKENS, Features, main_tensor
from classykit.finding import Finding
from classykit.harmless import harmless
from classykit.hooks import hooks
from classykit.nested import Inputs, mapped, parts_of, rebuilt
from classykit.running.recording import passed
from classykit.seeing.scores import as_scores
from classykit.seeing.view import untrained_heads, view
from classykit.subject import block_paths, refuse_blocks_that_did_not_run
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    import pandas

_SHOWN = 8
_MOVED = 1e-6  # of a probability


@dataclass(frozen=True)
class Moved:
    """A class whose score was moved.

    Attributes:
        picture: which of the batch.
        number, label: of the class; the label is None where it is not known.
        before, after: probabilities, by a softmax over the scores.
        score_before, score_after: the scores themselves.
    """

    picture: int
    number: int
    label: str | None
    before: float
    after: float
    score_before: float
    score_after: float

    @property
    def difference(self) -> float:
        """Of the probabilities: below zero where the class lost."""
        return self.after - self.before


@dataclass(frozen=True, repr=False)
class Ablation(Finding):
    """What a model gives with some channels replaced, beside what it gives without. Exact.

    Attributes:
        name: of the model.
        channels: {block: the channels that were replaced}.
        to: by what: "zero" or "mean".
        before, after: the outputs, as the model returns them.
        labels: what the classes are called; None where that is not known.
        notes: what else there is to say.
    """

    name: str
    channels: dict[str, tuple[int, ...]]
    to: str
    before: Any
    after: Any
    labels: Sequence[str] | None
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> list[Moved]:
        """The classes whose probability moved, those that moved most first, over all pictures.

        Empty where the output is no scores of classes (N, classes); of several heads it is that of the first.
        """
        values = self._values()
        if values is None:
            return []
        apart = (values[1] - values[0]).abs()
        order = apart.flatten().argsort(descending=True).tolist()
        moved = ((flat // apart.shape[1], flat % apart.shape[1]) for flat in order)
        return [self._moved(values, *at) for at in takewhile(lambda at: bool(apart[at] > _MOVED), moved)]

    def top(self, n: int = 5, picture: int = 0) -> list[Moved]:
        """The most probable classes of one picture as it is now, moved or not; empty where there are no classes.

        >>> from classykit.models import build_model
        >>> a = ablate(build_model("efficientnet_lite0"), torch.rand(1, 3, 64, 64), {"block4-2": 0})
        >>> [m.after for m in a.top(2)] == a.after.softmax(1).topk(2).values[0].tolist()
        True
        """
        values = self._values()
        if values is None:
            return []
        best = values[1][picture].topk(min(n, values[1].shape[1])).indices.tolist()
        return [self._moved(values, picture, number) for number in best]

    def _values(self) -> tuple[torch.Tensor, ...] | None:
        """(N, classes) probabilities before and after, scores before and after; None where there are no classes."""
        before, after = _scores(self.before), _scores(self.after)
        if before is None or after is None:
            return None
        return before.float().softmax(1), after.float().softmax(1), before, after

    def _moved(self, values: tuple[torch.Tensor, ...], picture: int, number: int) -> Moved:
        label = self.labels[number] if self.labels is not None else None
        return Moved(picture, number, label, *(float(of[picture, number]) for of in values))

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each of `changed`: picture, class, label, before, after, difference, score_before, score_after."""
        import pandas as pd

        columns = ("picture", "class", "label", "before", "after", "difference", "score_before", "score_after")
        rows = [
            (m.picture, m.number, m.label, m.before, m.after, m.difference, m.score_before, m.score_after)
            for m in self.changed
        ]
        return pd.DataFrame(rows, columns=list(columns))

    def heading(self) -> str:
        what = "; ".join(f"{block} without {_listed(channels)}" for block, channels in self.channels.items())
        filled = "" if self.to == "zero" else ", their mean in their place"
        return f"{self.name}: {what}{filled}"

    def table(self) -> Table | None:
        moved = self.changed
        if not moved:
            return None
        lines = []
        for m in moved[:_SHOWN]:
            cells = (str(m.picture), m.label or f"class {m.number}", f"{m.before:.1%}", f"{m.after:.1%}")
            lines.append(Line([*map(Cell, cells), Cell(f"{100 * m.difference:+.1f}")]))
        columns = [Column("picture", right=True), Column("class"), Column("before", right=True),
                   Column("after", right=True), Column("points", right=True)]  # fmt: skip
        return Table(columns, lines)


@verb
def ablate(model: nn.Module, x: Any, channels: Mapping[str, int | Iterable[int]], to: str = "zero") -> Ablation:
    """What a model gives when some channels are replaced by zero, or by their mean, beside what it gives otherwise.

    Args:
        model: a ClassyModel or any nn.Module; nothing of it is changed.
        x: an input as the model takes it, or pictures as `classykit.run` takes them.
        channels: {block name or dotted path: a channel, or several}; all at once.
        to: "zero", or "mean": each channel's own mean over the batch and its places.

    Returns an `Ablation`. Raises BlockError for an unknown block, one that does not run or gives no tensor; ConfigError
    for a channel that is not there; ShapeError when the pass fails.

    >>> from classykit.models import build_model
    >>> a = ablate(build_model("efficientnet_lite0"), torch.rand(1, 3, 64, 64), {"block4-2": [0, 5]})
    >>> a.before.shape == a.after.shape, a.channels
    (True, {'block4-2': (0, 5)})
    """
    if not isinstance(channels, Mapping) or not channels:
        raise ConfigError(f"channels is {{block: [channel, ...]}}, not {quoted(channels)}.")
    if not isinstance(to, str) or to not in ("zero", "mean"):
        raise ConfigError(f'to is "zero" or "mean", not {quoted(to)}.')
    look = view(model, x)
    paths = block_paths(look.model, channels)
    wanted = {name: _numbers(name, of) for name, of in channels.items()}
    n, done, wrong = Inputs.of(look.x).batch_size, set[str](), list[ClassyKitError]()

    def replaced(name: str, module: nn.Module, args: Any, output: Any) -> Any:
        key, features = main_tensor(output, n)
        done.add(name)
        known = Features.of(features, n, look.size is None or look.size[0] == look.size[1])
        if problem := _problem(name, known, wanted[name]):
            wrong.append(problem)  # and raised once the pass is over: the model may catch what is raised within it
            return None
        new = _without(features, known, wanted[name], to)
        return new if key is None else rebuilt(output, {**(parts_of(output) or {}), key: new})

    with torch.no_grad(), harmless(look.model):
        before = _kept(passed(look.model, look.x))
        with hooks() as on:
            for name, path in paths.items():
                on.after(look.model.get_submodule(path), partial(replaced, name), first=True)  # heads see it, too
            after = _kept(passed(look.model, look.x))
    if wrong:
        raise wrong[0]
    refuse_blocks_that_did_not_run(name for name in paths if name not in done)
    scores = _scores(before)
    named = scores is not None and look.labels is not None and len(look.labels) == scores.shape[1]
    return Ablation(
        look.name,
        wanted,
        to,
        before,
        after,
        look.labels if named else None,
        look.notes or untrained_heads(look.model),
    )


def _problem(name: str, known: Features | None, numbers: tuple[int, ...]) -> ClassyKitError | None:
    if known is None:
        return BlockError(f"{quoted(name)} gives no features of a kind that has channels.")
    if bad := [c for c in numbers if not 0 <= c < known.channels]:
        return ConfigError(
            f"{quoted(name)} has the channels 0 to {known.channels - 1}, not {', '.join(map(str, bad))}."
        )
    return None


def _without(features: Any, known: Any, numbers: tuple[int, ...], to: str) -> torch.Tensor:
    """A copy with these channels replaced."""
    last = known.channels_last or known.kind == TOKENS
    new = features.clone()
    at = new.movedim(-1 if last else 1, 0)  # (C, ...), the same numbers
    index = torch.tensor(numbers, device=new.device)
    others = tuple(range(1, at.ndim))
    at[index] = at[index].mean(others, keepdim=True).expand_as(at[index]) if to == "mean" else 0.0
    return new


def _numbers(name: str, of: int | Iterable[int]) -> tuple[int, ...]:
    numbers = of.tolist() if isinstance(of, torch.Tensor) else of
    numbers = [numbers] if hasattr(numbers, "__index__") else numbers
    if isinstance(numbers, (str, bytes)) or not isinstance(numbers, Iterable):
        raise ConfigError(f"The channels of {quoted(name)} are numbers, not {quoted(of)}.")
    found = list(numbers)
    if not found or not all(hasattr(c, "__index__") and not isinstance(c, bool) for c in found):
        raise ConfigError(f"The channels of {quoted(name)} are one or more numbers, not {quoted(of)}.")
    return tuple(c.__index__() for c in found)


def _kept(output: Any) -> Any:
    """An output that no later pass overwrites."""
    return mapped(lambda t: t.detach().clone(), output)


def _scores(output: Any) -> torch.Tensor | None:
    scores = as_scores(output)
    parts = parts_of(output) if scores is None else None
    found = (as_scores(part) for part in (parts or {}).values())
    return scores if scores is not None else next((s for s in found if s is not None), None)


def _listed(channels: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, channels[:6]))
    return f"channel{'s' if len(channels) > 1 else ''} {shown}{', …' if len(channels) > 6 else ''}"
