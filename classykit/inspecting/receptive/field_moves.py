"""Rules for the operations that move entries about: views, slices, joins, padding, shuffles. See `field_rules`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from classykit.inspecting.receptive.field_rules import Call, each, rule
from classykit.inspecting.receptive.fields import (
    EACH,
    LOST,
    UNKNOWN,
    Dim,
    Factor,
    Field,
    Seen,
    extent,
    jumbled,
    plain,
    positions,
    settle,
    tidy,
    union,
)  # fmt: skip


def reshaped(call: Call, field: Field, shape: Sequence[int]) -> Field:
    """The factors of all dimensions in a row, dealt out anew; splits one where it must."""
    row = list(tidy(f for dim in field.dims for f in dim))[::-1]
    dims: list[Dim] = []
    for n in shape:
        dim: list[Factor] = []
        if n == 1 and row and row[-1].n == 1:
            dim.append(row.pop())
        while n > 1:
            if not row:
                return call.lost()
            f = row.pop()
            if n % f.n and not f.inner and f.n % n == 0:
                row.append(Factor(f.n // n, f.axis, f.jump))
                f = Factor(n, f.axis, f.jump * (f.n // n))
            elif n % f.n:
                return call.lost("windows of positions")
            dim.append(f)
            n //= f.n
        dims.append(tidy(dim))
    if dims and row:  # positions along axes of one entry only
        dims[-1] = tidy((*dims[-1], *reversed(row)))
    return Field(tuple(dims), field.axes)


@rule("view _unsafe_view")
def view(call: Call) -> Field:
    """The same entries in the same order, under another shape."""
    return reshaped(call, call.given(), call.shape)


@rule("permute transpose t")
def permute(call: Call) -> Field:
    """Dimensions in another order."""
    field = call.given()
    order = list(range(len(field.dims)))
    if call.name == "permute":
        order = [d % len(order) for d in call.arg(1, "dims")]
    elif len(order) > 1:
        a, b = (0, 1) if call.name == "t" else (call.arg(1), call.arg(2))
        order[a], order[b] = order[b], order[a]
    return Field(tuple(field.dims[d] for d in order), field.axes)


@rule("unsqueeze")
def unsqueeze(call: Call) -> Field:
    """A dimension of one entry more."""
    field = call.given()
    d = call.arg(1, "dim") % (len(field.dims) + 1)
    return Field((*field.dims[:d], (), *field.dims[d:]), field.axes)


@rule("squeeze")
def squeeze(call: Call) -> Field:
    """Dimensions of one entry fewer."""
    field, chosen = call.given(), call.arg(1, "dim")
    n = len(field.dims)
    chosen = range(n) if chosen is None else {d % n for d in ((chosen,) if isinstance(chosen, int) else chosen)}
    return Field(tuple(dim for d, dim in enumerate(field.dims) if d not in chosen or extent(dim) > 1), field.axes)


@rule("expand")
def expand(call: Call) -> Field:
    """Entries that stand for many: they see what they saw."""
    return union([call.given()], call.shape, call.here)


def sliced(call: Call, field: Field, d: int, start: int, n: int, step: int = 1) -> Field | None:
    """The entries ``start``, ``start`` + ``step`` ... of dimension ``d``, ``n`` of them."""
    dim = field.dims[d]
    if n == extent(dim):
        return field
    held = list(positions([dim]))
    kept = plain(n)
    changes: dict[int, Seen] = {}
    inner = dim[-1].inner if len(dim) == 1 else ()
    if not held:
        pass
    elif inner:
        tokens, lead = extent(inner), dim[0].lead
        if start + (n - 1) * step < lead or start >= lead + tokens:  # the others, which see nothing
            if any(s.status != EACH for s in field.axes):
                return call.lost("tokens that are no patches")
            return None
        if (start, n, step) != (lead, tokens, 1):
            return jumbled(field, d, n, call.cause("some of the tokens"))
        kept = inner
    elif any(f.inner for f in dim):
        return jumbled(field, d, n, call.cause("some of the tokens"))
    elif n == 1:  # one position, along each axis
        rest = start
        for f in reversed(dim):
            seen = field.axes[f.axis]
            if f.axis >= 0 and seen.status == EACH:
                seen = changes.get(f.axis, seen)
                changes[f.axis] = seen._replace(start=seen.start + rest % f.n * f.jump)
            elif f.axis >= 0 and seen.status == UNKNOWN and f.n > 1:  # which of them is not known
                changes[f.axis] = seen._replace(status=LOST)
            rest //= f.n
    else:
        f, block = dim[0], math.prod(g.n for g in dim[1:])  # whole rows can be left out
        if block > 1 and (step > 1 or start % block or n % block or f.axis < 0):
            return jumbled(field, d, n, call.cause("some of the positions"))
        start //= block
        seen = field.axes[f.axis]
        if seen.status == EACH:
            changes[f.axis] = seen._replace(start=seen.start + start * f.jump, jump=seen.jump * step)
        kept = (Factor(n // block, f.axis, f.jump * step), *dim[1:])
    return settle(Field((*field.dims[:d], kept, *field.dims[d + 1 :]), field.axes), changes)


def _without_dim(field: Field | None, d: int) -> Field | None:
    return None if field is None else Field((*field.dims[:d], *field.dims[d + 1 :]), field.axes)


@rule("slice")
def slice_(call: Call) -> Field | None:
    """Some entries of one dimension, evenly spaced."""
    field, whole = call.given(), call.args[0].shape
    d = call.arg(1, "dim", 0) % len(whole)
    start, _, step = slice(*(call.arg(i, name) for i, name in ((2, "start"), (3, "end"), (4, "step")))).indices(
        whole[d]
    )
    return sliced(call, field, d, start, call.shape[d], step)


@rule("select")
def select(call: Call) -> Field | None:
    """One entry of a dimension, which goes."""
    whole = call.args[0].shape
    d = call.arg(1, "dim") % len(whole)
    return _without_dim(sliced(call, call.given(), d, call.arg(2, "index") % whole[d], 1), d)


@rule("split split_with_sizes unsafe_split unsafe_split_with_sizes")
def split(call: Call) -> list[Field | None]:
    """Runs of entries of one dimension, one behind the other."""
    d, start, fields = call.arg(2, "dim", 0), 0, []
    for part in call.out:
        fields.append(sliced(call, call.given(), d % part.ndim, start, part.shape[d]))
        start += part.shape[d]
    return fields


@rule("unbind")
def unbind(call: Call) -> list[Field | None]:
    """The entries of one dimension, each a tensor."""
    d = call.arg(1, "dim", 0) % call.args[0].ndim
    return [_without_dim(sliced(call, call.given(), d, i, 1), d) for i in range(len(call.out))]


@rule("unfold")
def unfold(call: Call) -> Field:
    """Windows along one dimension: steps stay, and what lies within a window becomes the last dimension."""
    field, d, size, step = call.given(), call.args[1], call.args[2], call.args[3]
    d %= len(field.dims)
    if not field.dims[d]:
        return Field((*field.dims, plain(size)), field.axes)
    f = field.dims[d][0]
    if len(field.dims[d]) > 1 or f.inner:
        return call.lost("some of the positions")
    steps = (Factor(call.shape[d], f.axis, f.jump * step),)
    return Field((*field.dims[:d], tidy(steps), *field.dims[d + 1 :], (Factor(size, f.axis, f.jump),)), field.axes)


@rule("cat stack")
def cat(call: Call) -> Field:
    """Tensors behind each other: of channels the union; class tokens and padding beside positions keep their place."""
    tensors, d = call.args[0], call.arg(1, "dim", 0) % len(call.shape)
    found = [call.fields.get(id(t)) for t in tensors]
    if call.name == "stack":
        found = [f and Field((*f.dims[:d], (), *f.dims[d:]), f.axes) for f in found]
        sizes = [1] * len(found)
    else:
        sizes = [t.shape[d] if t.ndim == len(call.shape) else 0 for t in tensors]
    fields = [f for f, n in zip(found, sizes, strict=True) if f is not None and n]
    dim = plain(call.shape[d])
    fields = _rows(fields, d)
    axes = {f.axis for field in fields for f in positions([field.dims[d]]) if f.n > 1}
    if axes and len(fields) > 1:
        fields = [jumbled(f, d, call.shape[d], call.cause("positions side by side")) for f in fields]
        dim = max((f.dims[d] for f in fields), key=lambda dim: len({f.axis for f in positions([dim])}))
    elif axes:
        whole = fields[0].dims[d]
        lead = sum(sizes[: found.index(fields[0])])
        if len(whole) == 1 and not whole[0].inner:  # as padding
            return padded(fields[0], d, lead, call.shape[d])
        if any(f.inner for f in whole):
            inner, lead = whole[-1].inner, lead + whole[-1].lead
            if len(whole) > 1:
                return call.lost("tokens beside tokens")
        else:
            inner = whole
        dim = (Factor(call.shape[d], inner=inner, lead=lead),)
    fields = [Field((*f.dims[:d], (), *f.dims[d + 1 :]), f.axes) for f in fields]
    shape = [1 if i == d else n for i, n in enumerate(call.shape)]
    joined = union(fields, shape, call.here)
    dim = dim if _axes_known(dim, joined) else plain(call.shape[d])
    return Field((*joined.dims[:d], dim, *joined.dims[d + 1 :]), joined.axes)


def _rows(fields: list[Field], d: int) -> list[Field]:
    """Tensors of one position each, rows of a map, say: dimension ``d`` is made to hold the positions."""
    axes = []
    for axis, seen in enumerate(fields[0].axes):
        single = all(f.axes[axis].status == EACH and not list(positions(f.dims, axis)) for f in fields)
        if single and any(f.axes[axis] != seen for f in fields):
            axes.append(axis)
    if not axes:
        return fields
    held = (Factor(2, inner=tuple(Factor(2, a) for a in axes)),)
    return [Field((*f.dims[:d], held, *f.dims[d + 1 :]), f.axes) for f in fields]


def _axes_known(dim: Dim, field: Field) -> bool:
    return all(field.axes[f.axis].status in (EACH, UNKNOWN) for f in positions([dim]))


def padded(field: Field, d: int, before: int, n: int) -> Field:
    """Dimension ``d`` is lengthened to ``n`` entries, ``before`` of them in front."""
    f = field.dims[d][0]
    seen = field.axes[f.axis]
    if seen.status == EACH:
        field = settle(field, {f.axis: seen._replace(start=seen.start - before * f.jump)})
    return Field((*field.dims[:d], (f._replace(n=n),), *field.dims[d + 1 :]), field.axes)


@rule(
    """constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d"""
)
def pad(call: Call) -> Field:
    """Entries around: positions are counted from further out."""
    field, amounts = call.given(), call.arg(1, "pad")
    for i in range(len(amounts) // 2):
        d, (before, after) = len(field.dims) - 1 - i, amounts[2 * i : 2 * i + 2]
        if not before and not after:
            continue
        dim = field.dims[d]
        if not any(True for _ in positions([dim])):
            field = Field((*field.dims[:d], plain(call.shape[d]), *field.dims[d + 1 :]), field.axes)
        elif len(dim) > 1 and not any(f.inner for f in dim) and before >= 0 <= after:  # as tokens among others
            held = (Factor(call.shape[d], inner=dim, lead=before),)
            field = Field((*field.dims[:d], held, *field.dims[d + 1 :]), field.axes)
        elif len(dim) > 1 or dim[0].inner:
            field = jumbled(field, d, call.shape[d], call.cause("padding between positions"))
        else:
            field = padded(field, d, before, call.shape[d])
    return field


@rule("roll flip")
def roll(call: Call) -> Field:
    """Positions in an order that no stride describes."""
    field = call.given()
    for d in call.arg(2 if call.name == "roll" else 1, "dims") or range(len(field.dims)):
        if any(f.n > 1 for f in positions([field.dims[d]])):
            field = jumbled(field, d, call.shape[d], call.cause("positions out of order"))
    return field


@rule("index")
def index(call: Call) -> Field:
    """Entries picked by tensors: known for one dimension that holds no positions."""
    field, indices = call.field(0), call.args[1]
    used = [d for d, i in enumerate(indices) if i is not None]
    if len(used) == 1 and field is not None and len(call.fields) == 1:
        d = used[0]
        if indices[d].dtype != torch.bool and not any(f.n > 1 for f in positions([field.dims[d]])):
            new = tuple(plain(n) for n in indices[d].shape)
            return Field((*field.dims[:d], *new, *field.dims[d + 1 :]), field.axes)
    return call.lost("positions picked by index")


@rule(
    """pixel_shuffle upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact2d
    upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d upsample_linear1d _upsample_bilinear2d_aa
    _upsample_bicubic2d_aa grid_sampler_2d"""
)
def upsample(call: Call) -> Field:
    """Which pixels a position sees depends on where it lies between the old ones."""
    field, shape = call.field(0), call.shape
    if len(call.fields) > 1 or field is None or call.name in ("pixel_shuffle", "grid_sampler_2d"):
        return call.lost("upsampling" if "grid" not in call.name else "sampling at points from the image")
    for d in range(2, len(shape)):
        field = jumbled(field, d, shape[d], call.cause("upsampling"))
    return field


@rule("im2col")
def im2col(call: Call) -> Field:
    """(N, C, H, W) -> (N, C kh kw, L): windows of a map."""
    field, kernel, dilation, padding, stride = call.given(), *(each(a, 2) for a in call.args[1:5])
    if any(len(dim) != 1 or dim[0].inner for dim in field.dims[2:]):
        return call.lost("windows over rows of positions")
    inside, places, changes = [], [], {}
    for i, (f,) in enumerate(field.dims[2:]):
        k, dilated, p, s = kernel[i], dilation[i], padding[i], stride[i]
        steps = (f.n + 2 * p - dilated * (k - 1) - 1) // s + 1
        inside.append(Factor(k, f.axis, f.jump * dilated))
        places.append(Factor(steps, f.axis, f.jump * s))
        if f.axis >= 0 and (seen := field.axes[f.axis]).status == EACH:
            changes[f.axis] = seen._replace(start=seen.start - p * f.jump, jump=f.jump * s)
    dims = (field.dims[0], tidy((*field.dims[1], *inside)), tidy(places))
    return settle(Field(dims, field.axes), changes)


@rule("col2im")
def col2im(call: Call) -> Field:
    """(N, C kh kw, L) -> (N, C, H, W): a position is the sum of several windows' entries."""
    field, n = call.given(), call.shape[-1]
    for d in (1, 2):
        field = jumbled(field, d, 2, call.cause("overlapping windows"))
    axes = sorted({f.axis for f in positions(field.dims[1:])})
    held = (Factor(n, inner=tuple(Factor(n, a) for a in axes)),) if axes else plain(n)
    return Field((field.dims[0], *map(plain, call.shape[1:-1]), held), field.axes)
