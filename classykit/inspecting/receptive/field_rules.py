"""Which pixels the results of torch's operations see: a rule for each operation, on fields (`fields`).

Here are those that calculate; `field_moves` has those that move entries about. An operation without a rule gives an
unknown field, with its name for a reason, never a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from classykit.inspecting.receptive.fields import (
    EACH,
    Cause,
    Factor,
    Field,
    Site,
    Unfollowed,
    extent,
    jumbled,
    lose,
    plain,
    positions,
    spread,
    union,
)  # fmt: skip


class Call:
    """One operation that was run: what it was given and gave, and the fields of what it was given."""

    __slots__ = ("args", "fields", "here", "kwargs", "name", "out")

    def __init__(self, name: str, args: Any, kwargs: Any, out: Any, fields: dict[int, Field], here: Site):
        self.name, self.args, self.kwargs, self.out, self.fields, self.here = name, args, kwargs, out, fields, here

    def arg(self, i: int, name: str = "", default: Any = None) -> Any:
        return self.args[i] if i < len(self.args) else self.kwargs.get(name, default)

    def field(self, i: int) -> Field | None:
        """The field of a tensor that was given; None for what does not come from the input."""
        return self.fields.get(id(self.args[i])) if i < len(self.args) else None

    def given(self) -> Field:
        """The field of the first tensor; Unfollowed when that does not come from the input, but another does."""
        field = self.field(0)
        if field is None:
            raise Unfollowed
        return field

    @property
    def first(self) -> Any:
        return self.out[0] if isinstance(self.out, (tuple, list)) else self.out

    @property
    def shape(self) -> torch.Size:
        return self.first.shape

    def cause(self, kind: str) -> Cause:
        return Cause(kind, self.here)

    def lost(self, why: str = "") -> Field:
        """The field where no rule is."""
        cause = self.cause(why or f"operation {self.name} is not followed")
        lost = [lose(f, self.shape, cause) for f in self.fields.values()]
        return union(lost, self.shape, self.here)


Rule = Callable[[Call], "Field | list[Field | None] | None"]
OneRule = TypeVar("OneRule", bound=Rule)
RULES: dict[str, Rule] = {}


def rule(names: str) -> Callable[[OneRule], OneRule]:
    """Register a function as the rule of these operations, their names separated by spaces."""

    def enter(function: OneRule) -> OneRule:
        RULES.update(dict.fromkeys(names.split(), function))
        return function

    return enter


def mixed(call: Call, main: Field | None) -> Field:
    """``main``, where what else was given (weights, mostly) must not say where in the image it comes from."""
    others = [f for f in call.fields.values() if f is not call.field(0)]
    if main is None or not others:
        return main if main is not None else call.lost()
    cause = call.cause(f"{call.name} with weights made from the image")
    return union([main, *(lose(f, (1,) * len(call.shape), cause) for f in others)], call.shape, call.here)


# Entry by entry


@rule("clone _to_copy detach alias native_dropout channel_shuffle")
def same(call: Call) -> Field | None:
    """What comes out sees what came in."""
    return call.field(0)


# and all that torch itself tags as pointwise, which are more from release to release
@rule("hardswish hardsigmoid _prelu_kernel celu elu hardshrink hardtanh leaky_relu mish selu softplus softshrink")
@rule("threshold")
def pointwise(call: Call) -> Field:
    """Entry by entry: the union of what is combined."""
    fields = list(call.fields.values())
    if all(f is fields[0] or f == fields[0] for f in fields[1:]) and extent_of(fields[0]) == tuple(call.shape):
        return fields[0]
    return union(fields, call.shape, call.here, scales=call.name in ("mul", "addcmul"))


def extent_of(field: Field) -> tuple[int, ...]:
    """The shape of a tensor with this field."""
    return tuple(extent(dim) for dim in field.dims)


@rule("copy")
def overwrite(call: Call) -> Field | None:
    """Values written over others: what was there is forgotten."""
    given = call.field(1)
    return None if given is None else union([given], call.shape, call.here)


@rule(
    """empty_like zeros_like ones_like full_like rand_like randn_like new_empty new_zeros new_ones new_full fill zero
    bernoulli uniform normal _local_scalar_dense empty_strided new_empty_strided"""
)
def nothing(call: Call) -> None:
    """New tensors, which do not depend on the image."""
    return None


# Windows: convolutions and pooling


def each(value: Any, n: int) -> list[int]:
    """A setting of a window for each of ``n`` axes, given once or for each."""
    value = [value] if isinstance(value, int) else list(value)
    return value * n if len(value) == 1 else value


def windowed(
    call: Call, field: Field, kernel: Any, stride: Any, padding: Any, dilation: Any, axes: int, pools: bool
) -> Field:
    """Windows slide along the last ``axes`` dimensions."""
    options = [each(v, axes) for v in (kernel, stride if stride not in ([], ()) else kernel, padding, dilation)]
    first = len(field.dims) - axes
    dims, seen = list(field.dims), list(field.axes)
    for i, (k, s, p, dilated) in enumerate(zip(*options, strict=True)):
        d, n = first + i, call.shape[first + i]
        dim = dims[d]
        if k == s == 1 and p == 0:
            continue
        held = {f.axis for f in positions([dim])}
        if not held:
            dims[d] = plain(n)
        elif len(dim) > 1 or dim[0].inner:
            field = jumbled(Field(tuple(dims), tuple(seen)), d, n, call.cause("windows over rows of positions"))
            dims, seen = list(field.dims), list(field.axes)
        elif pools and n == 1 and k >= extent(dim) > 1:
            field = spread(Field(tuple(dims), tuple(seen)), [d], call.cause("pooling"))
            dims, seen = list(field.dims), list(field.axes)
            dims[d] = ()
        else:
            axis, jump = dim[0].axis, dim[0].jump
            if (was := seen[axis]).status == EACH:
                seen[axis] = was._replace(
                    start=was.start - p * jump, size=was.size + (k - 1) * dilated * jump, jump=jump * s
                )
            dims[d] = (Factor(n, axis, jump * s),)
    return Field(tuple(dims), tuple(seen))


@rule("convolution")
def convolution(call: Call) -> Field:
    """Windows over positions, sums over channels; transposed ones are not followed."""
    weight, _, stride, padding, dilation, transposed, _, groups = call.args[1:9]
    field, axes = call.field(0), weight.ndim - 2
    if field is None:
        return call.lost("convolution with weights made from the image")
    d = len(field.dims) - axes - 1
    if transposed:
        return call.lost("upsampling by a transposed convolution")
    if any(f.n > 1 for f in positions([field.dims[d]])):
        if groups > 1:
            return call.lost("positions in the channels")
        field = spread(field, [d], call.cause("a convolution over positions"))
    field = windowed(call, field, weight.shape[2:], stride, padding, dilation, axes, pools=False)
    return mixed(call, Field((*field.dims[:d], plain(weight.shape[0]), *field.dims[d + 1 :]), field.axes))


@rule("avg_pool2d avg_pool3d max_pool2d_with_indices max_pool3d_with_indices")
def pool(call: Call) -> Field:
    """Windows over positions; channels stay apart."""
    axes = int(call.name[8])
    dilation = call.arg(4, "dilation", 1) if call.name.startswith("max") else 1
    kernel, stride, padding = call.args[1], call.arg(2, "stride", ()), call.arg(3, "padding", 0)
    return windowed(call, call.given(), kernel, stride, padding, dilation, axes, pools=True)


@rule("_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d")
def adaptive_pool(call: Call) -> Field:
    """Windows as large as it takes: one for all, or equal ones; uneven ones are unknown."""
    sizes = each(call.args[1], 1)
    axes = len(sizes)
    given = call.args[0].shape[-axes:]
    if all(n == 1 for n in sizes):
        return reduced(call.given(), range(-axes, 0), True, call.cause("pooling"))
    if any(n % m for n, m in zip(given, sizes, strict=True)):
        field = call.given()
        for d, n in enumerate(sizes, len(call.shape) - axes):
            field = jumbled(field, d, n, call.cause("adaptive pooling with uneven windows"))
        return field
    kernel = [n // m for n, m in zip(given, sizes, strict=True)]
    return windowed(call, call.given(), kernel, kernel, 0, 1, axes, pools=True)


# Over whole dimensions


def reduced(field: Field, dims: Sequence[int], keep: bool, cause: Cause) -> Field:
    """One value for all entries along ``dims``."""
    gone = {d % len(field.dims) for d in dims}
    field = spread(field, gone, cause)
    out = [(dim if extent(dim) == 1 else ()) if d in gone else dim for d, dim in enumerate(field.dims)]
    return Field(tuple(dim for d, dim in enumerate(out) if keep or d not in gone), field.axes)


_REDUCES = """mean sum amax amin max min prod any all argmax argmin logsumexp median std var std_mean var_mean
    norm linalg_vector_norm count_nonzero aminmax"""


@rule(_REDUCES)
def reduction(call: Call) -> Field:
    """One value for many entries: global where they are positions."""
    field, name = call.field(0), call.name
    if field is None or len(call.fields) > 1:
        return pointwise(call)  # max(a, b)
    at = 2 if name in ("linalg_vector_norm", "norm") else 1
    dims = call.arg(at, "dim")
    n = len(field.dims)
    if isinstance(dims, torch.Tensor):
        return pointwise(call)
    dims = range(n) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    kind = "normalisation" if name in ("linalg_vector_norm", "norm") or "std" in name or "var" in name else "pooling"
    return reduced(field, dims, len(call.shape) == n, call.cause(kind))


def _stays(call: Call, dims: Sequence[int], kind: str) -> Field:
    """Same shape, but each entry depends on all along ``dims``."""
    field = call.field(0)
    return mixed(call, spread(field, dims, call.cause(kind)) if field is not None else None)


@rule("_softmax _log_softmax _safe_softmax cumsum cumprod sort logcumsumexp")
def along(call: Call) -> Field:
    """Each entry depends on all along one dimension."""
    kind = call.name.replace("_safe", "").strip("_").replace("_", " ")
    default = -1 if "sort" in call.name else None
    return _stays(call, [call.arg(1, "dim", default)], f"{kind} over positions")


@rule("native_layer_norm")
def layer_norm(call: Call) -> Field:
    """Statistics over the last dimensions: global where these hold positions."""
    return _stays(call, range(-len(call.args[1]), 0), "layer normalisation")


@rule("native_group_norm")
def group_norm(call: Call) -> Field:
    """Statistics over channels and positions: global, in eval mode, too."""
    return _stays(call, range(1, call.args[0].ndim), "group normalisation")


@rule(
    """native_batch_norm _native_batch_norm_legit cudnn_batch_norm _batch_norm_with_update _batch_norm_no_update
    _native_batch_norm_legit_no_training"""
)
def batch_norm(call: Call) -> Field:
    """Scale and shift in eval mode; with the map's own statistics global."""
    training = call.name == "_batch_norm_with_update"
    if call.name in ("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm"):
        training = next((a for a in call.args[3:] if isinstance(a, bool)), True)
    if not training:
        return mixed(call, call.field(0))
    return _stays(call, [d for d in range(call.args[0].ndim) if d != 1], "normalisation by the map's statistics")


# Products


def product(call: Call, a: Any, b: Any) -> Field:
    """(..., M, K) times (..., K, P)."""
    fa, fb = call.fields.get(id(a)), call.fields.get(id(b))
    both = fa is not None and fb is not None
    kind = call.cause("attention" if both else "a linear layer over positions")
    if fa is not None and fb is not None:  # queries with keys: all see all
        shared = {f.axis for f in positions([fa.dims[-2]]) if f.n > 1} & {
            f.axis for f in positions([fb.dims[-1]]) if f.n > 1
        }
        if shared:
            fa, fb = spread(fa, [-2], kind), spread(fb, [-1], kind)
    fields = []
    if fa is not None:
        fa = reduced(fa, [-1], True, kind)
        fields.append(Field((*fa.dims[:-1], ()), fa.axes))
    if fb is not None:
        fb = reduced(fb, [-2], True, kind)
        fields.append(Field((*fb.dims[:-2], (), fb.dims[-1]), fb.axes))
    return union(fields, call.shape, call.here)


@rule("mm bmm")
def mm(call: Call) -> Field:
    """Products of matrices."""
    return product(call, *call.args[:2])


@rule("addmm baddbmm _addmm_activation")
def addmm(call: Call) -> Field:
    """Products of matrices, and a sum."""
    added, a, b = call.args[:3]
    fields = [product(call, a, b)] if {id(a), id(b)} & call.fields.keys() else []
    if (given := call.fields.get(id(added))) is not None:
        fields.append(given)
    return union(fields, call.shape, call.here)


@rule(
    """scaled_dot_product_attention _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
    _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
    _scaled_dot_product_fused_attention_overrideable"""
)
def attention(call: Call) -> Field:
    """(..., L, E) queries look at (..., S, E) keys."""
    seen = []
    if len(call.fields) > len({id(t) for t in call.args[:3]} & call.fields.keys()):
        return call.lost("a mask made from the image")
    for i, field in enumerate(map(call.field, range(3))):
        if field is not None:
            field = spread(field, [-2, -1], call.cause("attention"))
            rows = field.dims[-2] if i == 0 else ()
            seen.append(Field((*field.dims[:-2], rows, ()), field.axes))
    return union(seen, call.shape, call.here) if seen else call.lost()
