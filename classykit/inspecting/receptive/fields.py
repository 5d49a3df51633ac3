"""What each position of a tensor sees of the input.

A `Field` goes with every tensor that comes from the input. It says, for each spatial axis of the input, which window
of pixels one position sees (`Seen`), and in which dimensions of the tensor the positions are (`Factor`): a map
(N, C, H, W) has them in its last two, tokens (N, L, C) have rows and columns in one. Here is what can happen to
fields; what each of torch's operations does to them is in `field_rules` and `field_moves`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple


class Unfollowed(Exception):
    """Raised where what is seen cannot be followed: by a rule, of an operation in a form that it does not know."""


class Site:
    """A block by name. What runs between blocks belongs to the next to end: its name is filled in then."""

    def __init__(self, name: str = ""):
        self.name = name


class Cause(NamedTuple):
    """What made an axis global or unknown, and where.

    In the fields of `relative` no place is the block at hand, a number one of the causes that were given.
    """

    kind: str
    site: Site | int | None

    def __str__(self) -> str:
        return f"{self.kind} in {self.site.name}" if isinstance(self.site, Site) and self.site.name else self.kind


# Of an axis: each position has a window of its own; all see the same; not known, though where the positions are is;
# and not even that. In the order in which one overrules another.
EACH, ALL, UNKNOWN, LOST = range(4)


class Seen(NamedTuple):
    """Along one axis, position 0 sees ``size`` pixels from ``start``, the next the same ``jump`` further.

    For `ALL` that is what every position sees; for `UNKNOWN` and `LOST` what all together do.
    """

    start: int
    size: int
    jump: int
    status: int = EACH
    cause: Cause | None = None

    @property
    def end(self) -> int:
        return self.start + self.size


class Factor(NamedTuple):
    """A part of a dimension, ``n`` entries long: positions along ``axis``, ``jump`` pixels apart, or no positions.

    The tokens ``inner`` that come after ``lead`` others, such as a class token, are one factor too.
    """

    n: int
    axis: int = -1
    jump: int = 0
    inner: tuple[Factor, ...] = ()
    lead: int = 0


Dim = tuple[Factor, ...]  # the slowest varying first


class Field(NamedTuple):
    """What the positions of one tensor see: the factors of each dimension, what is seen along each axis."""

    dims: tuple[Dim, ...]
    axes: tuple[Seen, ...]


def of_input(shape: Sequence[int]) -> Field | None:
    """The field of an input (N, C, [T,] H, W), where each pixel sees itself; None for one without spatial axes."""
    axes = len(shape) - 2
    if axes < 1:
        return None
    dims = tuple(plain(n) for n in shape[:2]) + tuple((Factor(n, a, 1),) for a, n in enumerate(shape[2:]))
    return Field(dims, (Seen(0, 1, 1),) * axes)


def plain(n: int) -> Dim:
    """A dimension without positions."""
    return (Factor(n),) if n != 1 else ()


def extent(dim: Dim) -> int:
    """How many entries a dimension has."""
    return math.prod(f.n for f in dim)


def positions(dims: Iterable[Dim], axis: int | None = None) -> Iterator[Factor]:
    """The factors of one axis, or of all."""
    for dim in dims:
        for factor in dim:
            for f in factor.inner or (factor,):
                if f.axis >= 0 and axis in (None, f.axis):
                    yield f


def tidy(factors: Iterable[Factor]) -> Dim:
    """Neighbours that count on from each other are one factor."""
    dim: list[Factor] = []
    for f in factors:
        if f.n == 1 and f.axis < 0:
            continue
        if dim and not f.inner and not dim[-1].inner and f.axis == dim[-1].axis and dim[-1].jump == f.n * f.jump:
            f = Factor(dim.pop().n * f.n, f.axis, f.jump)
        dim.append(f)
    return tuple(dim)


def hull(field: Field, axis: int) -> tuple[int, int]:
    """From where to where all positions together see."""
    seen = field.axes[axis]
    if seen.status != EACH:
        return seen.start, seen.end
    return seen.start, seen.end + sum((f.n - 1) * f.jump for f in positions(field.dims, axis))


def settle(field: Field, changes: dict[int, Seen]) -> Field:
    """With other windows along some axes. The positions of what is global, or lost, matter no more."""
    if not changes:
        return field
    gone = {axis for axis, seen in changes.items() if seen.status in (ALL, LOST)}
    dims = field.dims
    if gone:
        dims = tuple(tidy(_without(f, gone) for f in dim) if dim else dim for dim in dims)
    return Field(dims, tuple(changes.get(axis, seen) for axis, seen in enumerate(field.axes)))


def _without(factor: Factor, axes: set[int]) -> Factor:
    if factor.axis in axes:
        return Factor(factor.n)
    if factor.inner:
        inner = tidy(_without(f, axes) for f in factor.inner)
        return factor._replace(inner=inner) if any(f.axis >= 0 for f in inner) else Factor(factor.n)
    return factor


def lose(field: Field, shape: Sequence[int], cause: Cause) -> Field:
    """After an operation that is not followed; what is global stays so."""
    axes = []
    for axis, seen in enumerate(field.axes):
        start, end = hull(field, axis)
        lost = Seen(start, end - start, 0, LOST, seen.cause or cause)
        axes.append(seen if seen.status in (ALL, LOST) else lost)
    return Field(tuple(plain(n) for n in shape), tuple(axes))


def spread(field: Field, dims: Iterable[int], cause: Cause) -> Field:
    """Each entry comes to depend on all entries along ``dims``: on all positions that they hold."""
    dims = {d % len(field.dims) for d in dims}
    inside = [field.dims[d] for d in dims]
    rest = [dim for d, dim in enumerate(field.dims) if d not in dims]
    changes, touched = {}, set()
    for axis in {f.axis for f in positions(inside) if f.n > 1}:
        touched.add(axis)
        seen = field.axes[axis]
        left = [f.jump for f in positions(rest, axis) if f.n > 1]
        if not left:
            start, end = hull(field, axis)
            changes[axis] = Seen(start, end - start, 0, ALL, cause)
        elif seen.status == EACH:  # the positions in a window
            more = sum((f.n - 1) * f.jump for f in positions(inside, axis))
            changes[axis] = seen._replace(size=seen.size + more, jump=math.gcd(*left))
    if not touched:
        return field
    out = tuple(plain(extent(dim)) if d in dims and axes_in(dim) & touched else dim for d, dim in enumerate(field.dims))
    return settle(Field(out, field.axes), changes)


def axes_in(dim: Dim) -> set[int]:
    """The axes whose positions a dimension holds."""
    return {f.axis for f in positions([dim])}


def union(fields: Sequence[Field], shape: Sequence[int], here: Site, scales: bool = False) -> Field:
    """What entries see that are made of one entry each of several tensors, broadcast to ``shape``.

    ``scales``: as a product, so that a pooled tensor weighs a map.
    """
    padded = [Field(((),) * (len(shape) - len(f.dims)) + f.dims, f.axes) for f in fields]
    changes: dict[int, Seen] = {}
    for axis in range(len(fields[0].axes)):
        seen = [f.axes[axis] for f in padded]
        worst = max(s.status for s in seen)
        if worst == EACH:
            continue
        hulls = [hull(f, axis) for f in padded]
        start, end = min(h[0] for h in hulls), max(h[1] for h in hulls)
        whole = next((s for s in seen if s.status == ALL), None)
        if whole is not None and all(whole.start <= s.start and s.end <= whole.end for s in seen if s.status > ALL):
            cause = whole.cause
            if scales and cause is not None and cause.kind == "pooling" and any(s.status != ALL for s in seen):
                cause = Cause("squeeze-excitation", here)
            changes[axis] = Seen(start, end - start, 0, ALL, cause)
        else:
            cause = next(s.cause for s in seen if s.status == worst)
            changes[axis] = Seen(start, end - start, 0, worst, cause)
    padded = [settle(f, changes) for f in padded]
    for axis in range(len(fields[0].axes)):
        if axis not in changes:
            changes[axis] = _merge([f.axes[axis] for f in padded], padded, axis, here)
    dims = []
    for d, n in enumerate(shape):
        fitting = [f.dims[d] for f in padded if f.dims[d] and extent(f.dims[d]) == n]
        dims.append(max(fitting, key=lambda dim: len(axes_in(dim))) if fitting else plain(n))
    for axis, change in changes.items():  # positions that are unknown must at least be all there
        if change.status == UNKNOWN:
            held = [{d for d, dim in enumerate(f.dims) if axis in axes_in(dim)} for f in padded]
            if any(axis not in axes_in(dims[d]) for d in set().union(*held)):
                changes[axis] = change._replace(status=LOST)
    return settle(Field(tuple(dims), padded[0].axes), changes)


def _merge(seen: list[Seen], fields: list[Field], axis: int, here: Site) -> Seen:
    """The union of windows along one axis: position i of one must lie at position i of the other."""
    layouts = [
        tuple((d, tuple(f for f in dim if f.n > 1)) for d, dim in enumerate(field.dims)
              if any(f.n > 1 for f in positions([dim], axis)))
        for field in fields
    ]  # fmt: skip
    if all(layout == layouts[0] for layout in layouts):
        start = min(s.start for s in seen)
        return seen[0]._replace(start=start, size=max(s.end for s in seen) - start)
    if not all(layouts):
        why = "one position spread over many"
    elif all(len(layout) == 1 and len(layout[0][1]) == 1 for layout in layouts):
        why = "branches of different strides"
    else:
        why = "windows of positions"
    hulls = [hull(f, axis) for f in fields]
    start, end = min(h[0] for h in hulls), max(h[1] for h in hulls)
    return Seen(start, end - start, 0, UNKNOWN, Cause(why, here))


def relative(fields: Sequence[Field | None], given: Sequence[Field | None]) -> tuple[Field | None, ...]:
    """``fields`` in positions of the first that is ``given`` instead of pixels: what a block does, wherever it stands.

    All that the rules do is the same in either measure. Raises Unfollowed where there are fractions of positions.
    """
    start = next((f for f in given if f is not None), None)
    if start is None:
        return tuple(fields)
    units, causes = _units(start), _causes(given)
    moved: list[Field | None] = []
    for field in fields:
        axes = []
        for seen, first, unit in zip(field.axes, start.axes, units, strict=True) if field is not None else ():
            parts = (seen.start - first.start, seen.size - first.size, seen.jump)
            if any(n % unit for n in parts):
                raise Unfollowed
            if (cause := seen.cause) is not None:
                cause = Cause("", causes.index(cause)) if cause in causes else Cause(cause.kind, None)
            axes.append(Seen(parts[0] // unit, parts[1] // unit + 1, parts[2] // unit, seen.status, cause))
        moved.append(field and Field(_rescaled(field.dims, lambda f: f.jump // units[f.axis]), tuple(axes)))
    return tuple(moved)


def absolute(fields: Sequence[Field | None], given: Sequence[Field | None], here: Site) -> tuple[Field | None, ...]:
    """The inverse of `relative`, for a block that stands elsewhere: ``here``, and with other fields ``given``."""
    start = next((f for f in given if f is not None), None)
    if start is None:
        return tuple(fields)
    units, causes = _units(start), _causes(given)
    moved: list[Field | None] = []
    for field in fields:
        axes = []
        for seen, first, unit in zip(field.axes, start.axes, units, strict=True) if field is not None else ():
            if (cause := seen.cause) is not None:
                cause = causes[cause.site] if isinstance(cause.site, int) else Cause(cause.kind, here)
            size = first.size + (seen.size - 1) * unit
            axes.append(Seen(first.start + seen.start * unit, size, seen.jump * unit, seen.status, cause))
        moved.append(field and Field(_rescaled(field.dims, lambda f: f.jump * units[f.axis]), tuple(axes)))
    return tuple(moved)


def _causes(given: Sequence[Field | None]) -> list[Cause]:
    return list(dict.fromkeys(seen.cause for f in given if f is not None for seen in f.axes if seen.cause is not None))


def _units(given: Field) -> list[int]:
    """Pixels per position, by axis."""
    return [
        math.gcd(*(f.jump for f in positions(given.dims, a))) or seen.jump or 1 for a, seen in enumerate(given.axes)
    ]


def _rescaled(dims: Iterable[Dim], jump: Any) -> tuple[Dim, ...]:
    def one(f: Factor) -> Factor:
        if f.inner:
            return f._replace(inner=tuple(map(one, f.inner)))
        return f._replace(jump=jump(f)) if f.axis >= 0 else f

    return tuple(tuple(map(one, dim)) for dim in dims)


def jumbled(field: Field, d: int, n: int, cause: Cause) -> Field:
    """All positions along dimension ``d`` are still there, in one of ``n`` entries or several, but not in order."""
    d %= len(field.dims)
    axes = sorted({f.axis for f in positions([field.dims[d]])})
    if not axes:
        return Field((*field.dims[:d], plain(n), *field.dims[d + 1 :]), field.axes)
    changes = {}
    for axis in axes:
        if field.axes[axis].status == EACH:
            start, end = hull(field, axis)
            changes[axis] = Seen(start, end - start, 0, UNKNOWN, cause)
    held = (Factor(n, axes[0]),) if len(axes) == 1 else (Factor(n, inner=tuple(Factor(n, a) for a in axes)),)
    return settle(Field((*field.dims[:d], held, *field.dims[d + 1 :]), field.axes), changes)
