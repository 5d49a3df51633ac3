"""What is claimed of random programs holds: no entry sees a pixel outside of its receptive field."""

import math
import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from classykit.inspecting import tracer
from classykit.inspecting.receptive.receptive_field import receptive_field
from classykit.meta import empty_input

SIDE = 16


def _average(x, *shape):
    return torch.ones(shape, dtype=x.dtype, device=x.device) / math.prod(shape[1:])


def _as_map(x):
    side = math.isqrt(x.shape[1])
    return x.mT.reshape(1, x.shape[2], side, side) if side * side == x.shape[1] else x


def _window_means(x):
    n, c, h, w = x.shape
    x = x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, c, 2, 2).mean((2, 3))
    return x.view(n, h // 2, w // 2, c).permute(0, 3, 1, 2)


def _window_attention(x):
    n, c, h, w = x.shape
    x = x.view(n, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, h * w // 4, c)
    return (x @ x.mT @ x).view(n, 2, 2, h // 2, w // 2, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w)


def _shift_in_place(x):
    out = torch.zeros_like(x)
    out[..., 1:] = x[..., :-1]
    return out


def _space_to_depth(x):
    n, c, h, w = x.shape
    return x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


def _even(x):
    return x.ndim == 4 and x.shape[2] % 2 == x.shape[3] % 2 == 0


# (when it can be, what is done), with two small numbers
_STEPS = [
    (lambda x, a, b: x.ndim == 4 and min(x.shape[2:]) >= a,
     lambda x, a, b: F.conv2d(x, _average(x, x.shape[1], x.shape[1], a, a), stride=1 + b % 2, padding=min(b, a // 2))),
    (lambda x, a, b: x.ndim == 4 and min(x.shape[2:]) >= a, lambda x, a, b: F.avg_pool2d(x, a, 1 + b % 2)),
    (lambda x, a, b: x.ndim == 4, lambda x, a, b: x.flatten(2).mT),
    (lambda x, a, b: x.ndim == 3, lambda x, a, b: _as_map(x)),
    (lambda x, a, b: x.ndim == 3, lambda x, a, b: torch.cat([torch.zeros_like(x[:, :1]), x], 1)),
    (lambda x, a, b: x.ndim == 3 and x.shape[1] > 2, lambda x, a, b: x[:, 1:]),
    (lambda x, a, b: x.ndim == 3, lambda x, a, b: F.linear(x, _average(x, 3, x.shape[2]))),
    (lambda x, a, b: x.ndim == 3, lambda x, a, b: F.scaled_dot_product_attention(x, x, x)),
    (lambda x, a, b: x.ndim == 4, lambda x, a, b: F.pad(x, (a, b, b, a))),
    (lambda x, a, b: x.ndim == 4 and min(x.shape[2:]) > 3, lambda x, a, b: x[:, :, b:, :-1]),
    (lambda x, a, b: x.ndim == 4, lambda x, a, b: x[:, :, ::2]),
    (lambda x, a, b: _even(x), lambda x, a, b: _space_to_depth(x)),
    (lambda x, a, b: _even(x), lambda x, a, b: _window_means(x)),
    (lambda x, a, b: _even(x), lambda x, a, b: _window_attention(x)),
    (lambda x, a, b: True, lambda x, a, b: x.roll(b, -1)),
    (lambda x, a, b: x.ndim == 4, lambda x, a, b: x * x.mean((2, 3), keepdim=True)),
    (lambda x, a, b: x.ndim == 4, lambda x, a, b: x * x.mean(a % 2 + 2, keepdim=True)),
    (lambda x, a, b: True, lambda x, a, b: x.transpose(-1, -2)),
    (lambda x, a, b: x.ndim == 4, lambda x, a, b: torch.stack(x.unbind(2), 3)),
    (lambda x, a, b: x.ndim == 4 and x.shape[2] % 2 == 0,
     lambda x, a, b: x.reshape(1, x.shape[1] * 2, x.shape[2] // 2, x.shape[3])),
    (lambda x, a, b: x.ndim == 4 and x.shape[1] % 2 == 0,
     lambda x, a, b: x.reshape(1, x.shape[1] // 2, x.shape[2] * 2, x.shape[3])),
    (lambda x, a, b: x.ndim == 4 and x.numel() < 3000, lambda x, a, b: F.interpolate(x, scale_factor=2)),
    (lambda x, a, b: True, lambda x, a, b: _shift_in_place(x) + (x if b else 0)),
    (lambda x, a, b: x.ndim == 4 and min(x.shape[2:]) > 2 and x.numel() < 5000,
     lambda x, a, b: F.unfold(x, 3, padding=1, stride=1 + b % 2)),
]  # fmt: skip


class _Program(nn.Module):
    """Some steps in a row, the same for one seed, now and then joined with what came before."""

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def forward(self, x):
        r = random.Random(self.seed)
        before = [x]
        for _ in range(r.randrange(1, 8)):
            (can, step), a, b = r.choice(_STEPS), r.randrange(1, 4), r.randrange(3)
            if can(x, a, b):
                x = step(x, a, b)
            other = r.choice([y for y in before if y.shape == x.shape] or [x])
            join = r.randrange(8)
            x = x + other if join == 0 else torch.cat([x, other], 1) if join == 1 else x
            before.append(x)
        return x


def _position(field, index):
    """Where in the image an entry stands, along each axis; None for a token that is no patch."""
    at = [0] * len(field.axes)
    for dim, i in zip(field.dims, index, strict=True):
        if len(dim) == 1 and dim[0].inner:
            i -= dim[0].lead
            dim = dim[0].inner
            if not 0 <= i < math.prod(f.n for f in dim):
                return None
        for f in reversed(dim):
            if f.axis >= 0:
                at[f.axis] += i % f.n
            i //= f.n
    return at


@pytest.mark.parametrize("start", range(0, 300, 100))
def test_no_entry_sees_more_than_is_claimed(start):
    known = 0
    for seed in range(start, start + 100):
        program = _Program(seed)
        x = torch.rand(1, 2, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
        y = program(x)
        trace = tracer.trace(nn.Sequential(program), {"f": "0"}, empty_input((2, SIDE, SIDE), 1, x.dtype))
        assert trace.failure is None
        field = trace.blocks["f"].fields[id(trace.blocks["f"].output)]
        claimed = receptive_field(field, (SIDE, SIDE))
        if claimed.unknown:
            assert "operation" not in claimed.unknown
            continue
        known += 1
        for entry in random.Random(seed).sample(range(y.numel()), min(y.numel(), 4)):
            (gradient,) = torch.autograd.grad(y.reshape(-1)[entry], x, retain_graph=True)
            seen = gradient[0].abs().sum(0) > 0
            index = [int(i) for i in torch.unravel_index(torch.tensor(entry), y.shape)]
            allowed = torch.zeros_like(seen)
            if (at := _position(field, index)) is not None:
                allowed[claimed.pixels(at)] = True
            assert bool((seen <= allowed).all()), f"seed {seed}, entry {index}: {claimed}"
    assert known > 20
