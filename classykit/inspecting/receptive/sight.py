"""Follows what tensors see of the input through a pass, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from classykit.inspecting.receptive import field_moves  # noqa: F401  enters its rules
from classykit.inspecting.receptive.field_rules import RULES, Call, Rule, extent_of, pointwise
from classykit.inspecting.receptive.fields import (
    LOST,
    Cause,
    Field,
    Seen,
    Site,
    Unfollowed,
    hull,
    lose,
    of_input,
    plain,
    spread,
)

_NO_MARK = (None, -1)


class Sight:
    """The fields of the tensors of one pass, each kept on its tensor."""

    def __init__(self, known: Iterable[torch.Tensor], more: Callable[[], Iterable[torch.Tensor]]):
        self.known = {id(t) for t in known}  # that do not come from the input
        self.more: Callable[[], Iterable[torch.Tensor]] | None = more  # looked up only when it must be
        self.rules: dict[Any, tuple[Rule | None, str]] = {}
        self.axes = 0
        # {storage: time} of writing: other tensors that share it, with fields from before, say nothing any more
        self.written: dict[int, int] = {}
        self.time = 0

    def begin(self, x: torch.Tensor) -> None:
        self.begin_amid(x, x.shape, of_input(x.shape))

    def begin_amid(self, x: torch.Tensor, shape: Sequence[int], sees: Field | None) -> None:
        """Begin at a tensor that sees ``sees`` of an input of ``shape``, (N, C, [T,] H, W)."""
        field = of_input(shape)
        if field is not None:
            self.axes = len(field.axes)
            self.image = field.axes, tuple(hull(field, a) for a in range(self.axes))
            self.put(x, sees)

    def put(self, tensor: torch.Tensor, field: Field | None) -> None:
        tensor._sees = (field, self.time)

    def of(self, tensor: torch.Tensor) -> Field | None:
        field, time = getattr(tensor, "_sees", _NO_MARK)
        if time < 0:
            if id(tensor) in self.known or not self.axes:
                return None
            if self.more is not None:
                self.known.update(id(t) for t in self.more())
                self.more = None
            return None if id(tensor) in self.known else self._nothing_known(tensor, "a tensor of unknown origin")
        if self.written and time < self.written.get(tensor.untyped_storage()._cdata, 0):
            return self._nothing_known(tensor, "writing in place")
        return field

    def _nothing_known(self, tensor: torch.Tensor, why: str) -> Field:
        seen = [Seen(start, end - start, 0, LOST, Cause(why, None)) for start, end in self.image[1]]
        return Field(tuple(plain(n) for n in tensor.shape), tuple(seen))

    def follow(self, func: Any, args: Any, kwargs: Any, out: Any, here: Site) -> None:
        """Give the results of an operation their fields."""
        if not self.axes:
            return
        fields: dict[int, Field] = {}
        for arg in (*args, *(v for k, v in kwargs.items() if k != "out")) if kwargs else args:
            if isinstance(arg, torch.Tensor):
                if (field := self.of(arg)) is not None:
                    fields[id(arg)] = field
            elif isinstance(arg, (tuple, list)):
                for t in arg:
                    if isinstance(t, torch.Tensor) and (field := self.of(t)) is not None:
                        fields[id(t)] = field
        results = out if isinstance(out, (tuple, list)) else (out,)
        if not fields:
            for t in results:
                if isinstance(t, torch.Tensor) and id(t) not in self.known:
                    self.put(t, None)
            return
        if func not in self.rules:
            self.rules[func] = find_rule(func)
        found, name = self.rules[func]
        call = Call(name, args, kwargs, out, fields, here)
        given: Field | list[Field | None] | None
        # of no positions at all: what a detector finds where there is nothing
        empty = any(id(t) in fields and t.numel() == 0 for t in args) or getattr(call.first, "numel", lambda: 1)() == 0
        try:
            given = call.lost() if found is None or empty else found(call)
        except Unfollowed:
            given = call.lost()
        except Exception:  # a form of the operation that nobody thought of: what it sees is unknown, the pass goes on
            given = call.lost()
        for i, t in enumerate(results):
            if not isinstance(t, torch.Tensor) or id(t) in self.known:
                continue
            if isinstance(given, list):
                own = given[i]
            elif given is None or i == 0 or t.shape == results[0].shape:
                own = given
            elif not t.numel():  # the statistics of a batch that BatchNorm has not taken
                own = None
            else:
                own = lose(given, t.shape, call.cause(f"operation {name} is not followed"))
            if own is not None and extent_of(own) != tuple(t.shape):
                own = call.lost()
            if own is not None and func._schema.is_mutable and own != fields.get(id(t)):
                self.time += 1
                self.written[t.untyped_storage()._cdata] = self.time
            self.put(t, own)

    def recur(self, x: torch.Tensor, out: torch.Tensor, batch_of_x: int | None, batch: int | None, here: Site) -> None:
        """Give what a recurrent layer makes of ``x`` its field: every step sees all steps, or comes to (a hull).

        ``batch_of_x`` and ``batch`` are the dimensions of the batch in both, which may hold positions; None without.
        """
        given = self.of(x) if self.axes else None
        if given is None:
            self.put(out, None)
            return
        mixed = [d for d in range(x.ndim) if d != batch_of_x]
        seen = spread(given, mixed, Cause("recurrence over positions", here))
        dims = [plain(n) for n in out.shape]
        if batch is not None and batch_of_x is not None:
            dims[batch] = seen.dims[batch_of_x]
        self.put(out, Field(tuple(dims), seen.axes))


def find_rule(func: Any) -> tuple[Rule | None, str]:
    """The rule for one of torch's operations, and the operation's name; None when it is not followed."""
    name = func._overloadpacket.__name__
    name = name.rstrip("_") if func._schema.is_mutable and not name.startswith("__") else name
    found = RULES.get(name)
    if found is None and torch.Tag.pointwise in func.tags:
        found = pointwise
    return found, name
