"""classykit.shortcuts: what is quicker on the meta device, and gives the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import flop_registry

import classykit as ck
from classykit import shortcuts
from classykit.errors import ShapeError

aten = torch.ops.aten


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, device="meta", dtype=dtype)


def outline(out):
    parts = out if isinstance(out, (tuple, list)) else (out,)
    return [(t.shape, t.stride(), t.dtype, t.device) for t in parts]


def check_agrees(op, *args):
    """The shortcut gives what torch gives, and refuses what torch refuses; returns both results, or None."""
    try:
        theirs = op(*args)
    except (RuntimeError, NotImplementedError, IndexError) as error:
        with pytest.raises(type(error)):
            shortcuts.run(op, args, {})
        return None
    ours = shortcuts.run(op, args, {})
    assert outline(ours) == outline(theirs)
    return ours, theirs


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 5), (2, 4, 5, 6), (1, 4, 2, 3, 3)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_norm_gives_what_torch_gives(shape, affine, dtype):
    x = meta(*shape, dtype=dtype)
    w = meta(4, dtype=dtype) if affine else None
    args = (x, w, w, *(meta(4, dtype=dtype) for _ in range(2)), False, 0.1, 1e-5)
    op = aten.native_batch_norm.default
    assert outline(shortcuts.run(op, args, {})[0]) == outline(op(*args)[0])
    numbers = tuple(torch.ones_like(a, device="cpu") if isinstance(a, torch.Tensor) else a for a in args)
    assert [t.shape for t in shortcuts.run(op, args, {})] == [t.shape for t in op(*numbers)]


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_convolution_gives_and_costs_what_torch_says(data):
    draw, n = data.draw, data.draw(st.integers(1, 3))
    groups, into, out = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([4, 8])), draw(st.sampled_from([4, 12]))
    numbers = lambda low, high: draw(st.lists(st.integers(low, high), min_size=n, max_size=n))  # noqa: E731
    x = meta(draw(st.integers(1, 3)), into, *numbers(1, 9))
    weight = meta(out, draw(st.sampled_from([into // groups, into])), *numbers(1, 4))
    if draw(st.booleans()) and n == 2:
        x = x.to(memory_format=torch.channels_last)
    bias = draw(st.sampled_from([None, meta(out), meta(out + 1)]))
    args = (x, weight, bias, numbers(1, 3), numbers(0, 2), numbers(1, 2), False, [0] * n, groups)
    try:
        theirs = shortcuts.CONVOLUTION(*args)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            shortcuts.run(shortcuts.CONVOLUTION, args, {})
        return
    assert outline(shortcuts.run(shortcuts.CONVOLUTION, args, {})) == outline(theirs)
    flops = flop_registry[aten.convolution](*args, out_val=theirs)
    assert shortcuts.convolution_macs(*args, out=theirs) * 2 == flops


def test_a_transposed_convolution_costs_what_torch_says():
    args = (meta(2, 4, 5, 5), meta(4, 3, 3, 3), None, [2, 2], [1, 1], [1, 1], True, [0, 0], 1)
    out = shortcuts.run(shortcuts.CONVOLUTION, args, {})
    assert shortcuts.convolution_macs(*args, out=out) * 2 == flop_registry[aten.convolution](*args, out_val=out)


_X = meta(2, 3, 4, 5)
_LAST = _X.to(memory_format=torch.channels_last)
_INTEGERS = meta(2, 3, 4, 5, dtype=torch.int64)


@pytest.mark.parametrize("op", [op for op in shortcuts._SHORT if op._schema.name.rpartition("::")[2] in (
    "relu silu sigmoid gelu hardtanh hardswish relu_ silu_ hardtanh_ hardswish_").split()], ids=str)  # fmt: skip
@pytest.mark.parametrize("x", [_X, _LAST, _INTEGERS, _X[:, ::2], _X.double(), _X[:0]])
def test_an_activation_gives_what_torch_gives(op, x):
    both = check_agrees(op, x)
    assert both is not None or not x.is_floating_point()
    assert both is None or (both[0] is x) == (both[1] is x)


@pytest.mark.parametrize("name", ["add", "mul", "add_", "mul_"])
@pytest.mark.parametrize(
    "x, other",
    [
        (_X, _X.clone()), (_X, meta(2, 3, 1, 1)), (meta(2, 3, 1, 1), _X), (_X, meta(5)), (_X, _LAST), (_LAST, _X),
        (_X, _X.double()), (_INTEGERS, _X), (_X, _INTEGERS), (_X, meta(2, 3, 4, 6)), (_X, meta()), (meta(), meta()),
        (_X, torch.tensor(2.0)), (_X, meta(1, 2, 3, 4, 5)),
    ],
)  # fmt: skip
def test_two_maps_give_what_torch_gives(name, x, other):
    both = check_agrees(getattr(aten, name).Tensor, x, other)
    assert both is None or (both[0] is x) == (both[1] is x)


@pytest.mark.parametrize("dims", [[-1, -2], [2, 3], [1], [-1], []])
@pytest.mark.parametrize("keep", [True, False])
def test_a_mean_gives_what_torch_gives(dims, keep):
    args = (_X, dims, keep)
    assert outline(shortcuts.run(aten.mean.dim, args, {})) == outline(aten.mean.dim(*args))


@pytest.mark.parametrize("op, args", [
    (aten.conv2d.default, (_X, meta(4, 3, 3, 3))),
    (aten.conv2d.default, (_X, meta(4, 3, 3, 3), meta(4), [2, 2], [1, 1])),
    (aten.batch_norm.default, (_X, None, None, meta(3), meta(3), False, 0.1, 1e-5, True)),
    (aten.adaptive_avg_pool2d.default, (_X, [1, 1])),
], ids=str)  # fmt: skip
def test_a_composite_operation_comes_to_one(op, args):
    _, _, out = shortcuts.made_of(op, args, {})
    assert outline(out)[0] == outline(op(*args))[0]


@pytest.mark.parametrize("op, args", [
    (aten.conv2d.default, (_X, meta(4, 2, 3, 3))), (aten.conv2d.default, (_X[0], meta(4, 3, 3, 3))),
    (aten.batch_norm.default, (_X, None, None, meta(4), meta(4), False, 0.1, 1e-5, True)),
    (aten.batch_norm.default, (_X, None, None, None, None, True, 0.1, 1e-5, True)),
    (aten.adaptive_avg_pool2d.default, (_X, [2, 2])), (aten.linear.default, (_X, meta(2, 5))),
    (aten.conv2d.default, (torch.zeros(2, 3, 4, 5), torch.zeros(4, 3, 3, 3))),
], ids=str)  # fmt: skip
def test_what_is_unusual_is_left_to_torch(op, args):
    assert shortcuts.made_of(op, args, {}) is None


def test_what_is_wrong_is_left_to_torch():
    with pytest.raises(ShapeError, match="C = 6"):
        ck.inspect(nn.Sequential(nn.Identity(), nn.BatchNorm2d(6)), (5, 4, 4)).require()


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=2), st.lists(st.integers(0, 4), min_size=1, max_size=2), st.data()
)
def test_products_of_matrices_give_what_torch_gives(left, right, data):
    x, dtypes = meta(*left), [torch.float32, torch.float16]
    other = meta(*right, dtype=data.draw(st.sampled_from(dtypes)))
    other = other.t() if data.draw(st.booleans()) else other
    bias = nn.Parameter(
        meta(*data.draw(st.lists(st.integers(0, 4), max_size=2)), dtype=data.draw(st.sampled_from(dtypes)))
    )
    check_agrees(aten.mm.default, x, other)
    check_agrees(aten.addmm.default, bias, x, other)


SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3)


@settings(deadline=None, max_examples=300)
@given(SHAPES, st.lists(SHAPES, max_size=3), st.integers(-4, 3), st.booleans())
def test_tensors_put_together_give_what_torch_gives(first, more, dim, half):
    parts = [meta(*first), *(meta(*shape[::-1]).permute(*range(len(shape))[::-1]) for shape in more)]
    parts[-1] = parts[-1].half() if half else parts[-1]
    check_agrees(shortcuts.CAT, parts, dim)


@settings(deadline=None, max_examples=300)
@given(SHAPES, SHAPES, st.sampled_from([aten.add.Tensor, aten.mul.Tensor]), st.booleans())
def test_sums_and_products_of_two_shapes_give_what_torch_gives(one, other, op, half):
    check_agrees(op, meta(*one), meta(*other, dtype=torch.float16 if half else torch.float32))


@settings(deadline=None, max_examples=200)
@given(SHAPES, SHAPES, st.booleans(), st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
def test_layer_norm_gives_what_torch_gives(shape, own, affine, dtype):
    own = own if sum(own) % 3 else shape[-1:]
    weight = meta(*own, dtype=dtype) if affine else None
    check_agrees(aten.native_layer_norm.default, meta(*shape, dtype=dtype), own, weight, weight, 1e-6)
