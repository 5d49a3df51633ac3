"""`arithmetic`: one value of a convolution or linear layer taken apart, and what the next layers make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import BlockError, ConfigError, quoted
from classykit.finding import Finding
from classykit.running.recording import passed
from classykit.seeing.view import view
from classykit.seeing.watching import Watch, watching
from classykit.subject import block_paths, refuse_blocks_that_did_not_run
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
_TRANSPOSED = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
_WEIGHTED = {*_CONVOLUTIONS, *_TRANSPOSED, "linear", "matmul", "__matmul__", "bmm", "einsum", "addmm"}
_SHOWN = 6


@dataclass(frozen=True)
class Step:
    """What a function makes of the value: its name, the path of the module that it runs in, and the value then."""

    function: str
    module: str
    value: float


@dataclass(frozen=True, repr=False)
class Arithmetic(Finding):
    """One output value: the sum of window × kernel, plus the bias.

    Attributes:
        name, layer: of the model, and of the layer.
        channel, at: which of its output's values: the channel, and the position along each axis of space.
        window: what the kernel lies on, (channels of the group, kernel's sides); zeros where that is padding.
        kernel: its weights, of the same shape.
        padding: of the kernel's sides, whether a cell lies outside of the input: padding, or a gap of a transposed one.
        bias: 0 where there is none.
        value: what torch has there.
        follows: what is made of it until the next layer with weights, `Step` by `Step`.
        then: what takes it next, in words; "" at the end of the model.
        groups, stride, dilation: of the layer.
    """

    name: str
    layer: str
    channel: int
    at: tuple[int, ...]
    window: torch.Tensor
    kernel: torch.Tensor
    padding: torch.Tensor
    bias: float
    value: float
    follows: tuple[Step, ...]
    then: str
    groups: int = 1
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def products(self) -> torch.Tensor:
        """Window × kernel, cell by cell, in float64."""
        return self.window.double() * self.kernel.double()

    @property
    def sum(self) -> float:
        """Of the products, and the bias, in float64."""
        return float(self.products.sum()) + self.bias

    @property
    def agrees(self) -> bool:
        """Whether the sum is torch's value: in float32 to 1e-5 of the sum of the products' sizes."""
        eps = {torch.float64: 1e-12, torch.float32: 1e-5}.get(self.window.dtype, 1e-2)
        return abs(self.sum - self.value) <= eps * max(1.0, float(self.products.abs().sum()))

    def heading(self) -> str:
        where = f" at {self.at}" if self.at else ""
        checked = "as torch has it" if self.agrees else f"torch has {self.value:.6g}"
        return f"{self.layer} of {self.name}, channel {self.channel}{where}: {self.sum:.6g}, {checked}"

    def table(self) -> Table:
        """The largest products in rows, and what becomes of their sum."""
        flat = self.products.flatten()
        first = flat.abs().argsort(descending=True, stable=True)[:_SHOWN].tolist()
        lines = []
        for i in first:
            cell = tuple(int(j) for j in torch.unravel_index(torch.tensor(i), self.products.shape))
            values = (self.window.flatten()[i], self.kernel.flatten()[i], flat[i])
            lines.append(Line([Cell(str(cell)), *(Cell(f"{float(v):.4g}") for v in values)]))
        if len(flat) > _SHOWN:
            rest = float(flat.sum() - flat[first].sum())
            lines.append(Line([Cell(f"and {len(flat) - _SHOWN} others"), Cell(""), Cell(""), Cell(f"{rest:.4g}")]))
        lines.append(Line([Cell("bias"), Cell(""), Cell(""), Cell(f"{self.bias:.4g}")]))
        lines.append(
            Line([Cell("sum", bold=True), Cell(""), Cell(""), Cell(f"{self.sum:.4g}", bold=True)], parted=True)
        )
        for step in self.follows:
            lines.append(
                Line([Cell(f"{step.function} ({step.module})"), Cell(""), Cell(""), Cell(f"{step.value:.4g}")])
            )
        headings = ("(channel, place)", "window", "kernel", "product")
        return Table([Column(h, right=i > 0) for i, h in enumerate(headings)], lines)

    def plot(self) -> Figure:
        """Window × kernel = products: a matplotlib Figure that belongs to no pyplot window."""
        from classykit.plots.arithmetic import arithmetic_figure

        return arithmetic_figure(self)


@verb
def arithmetic(model: nn.Module, x: Any, layer: str, channel: int = 0, at: int | Sequence[int] = (0, 0)) -> Arithmetic:
    """One output value of a convolution or linear layer, taken apart: window, kernel, products, bias and sum.

    Args:
        model: a ClassyModel or any nn.Module; nothing of it is changed.
        x: an input as the model takes it, or a picture; of a batch the first is looked at.
        layer: a dotted path, or a block's name, of a layer that is one convolution (transposed or not) or one linear
            layer, whatever its class.
        channel: which channel of the output.
        at: where: (row, column) of a map, (frame, row, column), or the number of a token. Of a vector it has no say.

    The sum is torch's own value: to 1e-5 in float32. Padding is marked; groups, strides and dilation are the layer's.
    What follows until the next layer with weights (normalisation, activation, a skip that is added) is there step by
    step.

    Raises BlockError for a layer that is unknown, does not run, or is no such layer; ConfigError for a channel or place
    that is not there.

    >>> from classykit.models import build_model
    >>> net = build_model("resnet18")
    >>> a = arithmetic(net, torch.rand(1, 3, 64, 64), "initial_block._module.0", channel=5, at=(3, 4))
    >>> a.window.shape, a.agrees, [step.function for step in a.follows][:2]
    (torch.Size([3, 7, 7]), True, ['batch_norm', 'relu'])
    """
    if not isinstance(layer, str):
        raise BlockError(f"layer is one layer's dotted path, not {quoted(layer)}.")
    look = view(model, x)
    path = block_paths(look.model, [layer])[layer]
    watch = _Following(path)
    with torch.no_grad(), watching(watch, look.model):
        passed(look.model, look.x)
    refuse_blocks_that_did_not_run([] if watch.ran else [layer])
    if watch.call is None or watch.several:
        inside = [
            p for p, m in look.model.get_submodule(path).named_modules() if p and getattr(m, "weight", None) is not None
        ]
        shown = ", ".join(f"{path}.{p}" for p in inside[:3]) or "none"
        raise BlockError(
            f"{quoted(layer)} is no single convolution or linear layer; layers with weights in it: {shown}."
        )
    call, places = watch.call, _places(at)
    if not isinstance(channel, int) or isinstance(channel, bool) or not 0 <= channel < call.channels:
        raise ConfigError(f"{layer} has the channels 0 to {call.channels - 1}, not {quoted(channel)}.")
    sides = call.sides
    places = places[: len(sides)] if places == (0, 0) or not sides else places
    places = places if len(places) == len(sides) else (0,) * len(sides) if not any(places) else places
    if len(places) != len(sides) or not all(0 <= p < side for p, side in zip(places, sides, strict=True)):
        raise ConfigError(f"{layer} gives {' × '.join(map(str, sides)) or 'a vector'}: there is no place {quoted(at)}.")
    window, kernel, padding = call.apart(channel, places)
    index = call.index(channel, places)
    follows = tuple(Step(f, m, float(t[index])) for f, m, t in watch.follows)
    return Arithmetic(
        name=look.name, layer=layer, channel=channel, at=places, window=window.cpu(), kernel=kernel.cpu(),
        padding=padding.cpu(), bias=0.0 if call.bias is None else float(call.bias[channel]),
        value=float(call.output[index]), follows=follows, then=watch.then, groups=call.groups, stride=call.stride,
        dilation=call.dilation, notes=look.notes,
    )  # fmt: skip


def _places(at: Any) -> tuple[int, ...]:
    places = (at,) if isinstance(at, int) and not isinstance(at, bool) else at
    if not isinstance(places, Sequence) or isinstance(places, str) or not all(type(p) is int for p in places):
        raise ConfigError(f"at is (row, column), or the number of a token, not {quoted(at)}.")
    return tuple(places)


class _Call:
    """A call of a convolution or of `linear`: its tensors and how it goes over them."""

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor):
        self.linear, self.transposed = name == "linear", name in _TRANSPOSED
        last = ("output_padding", "groups", "dilation") if self.transposed else ("dilation", "groups")
        names = ("input", "weight", "bias", "stride", "padding", *last)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        self.input, self.weight, self.bias = given["input"].detach(), given["weight"].detach(), given.get("bias")
        self.output = output.detach().clone()
        self.groups = given.get("groups", 1)
        self.stride, self.dilation = self._each(given.get("stride", 1)), self._each(given.get("dilation", 1))
        self.pads = self._pads(given.get("padding", 0))

    @property
    def space(self) -> int:
        """How many axes of space a kernel has."""
        return 0 if self.linear else self.weight.ndim - 2

    @property
    def channels(self) -> int:
        return self.output.shape[-1] if self.linear else self.output.shape[self.output.ndim - self.space - 1]

    @property
    def sides(self) -> tuple[int, ...]:
        """Of the output's places."""
        return tuple(self.output.shape[1:-1] if self.linear else self.output.shape[self.output.ndim - self.space :])

    def index(self, channel: int, places: tuple[int, ...]) -> tuple[int, ...]:
        """Of a value of the first output."""
        if self.linear:
            return (0, *places, channel) if self.output.ndim > 1 else (channel,)
        return (*((0,) if self.output.ndim > self.space + 1 else ()), channel, *places)

    def apart(self, channel: int, places: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(window, kernel, which cells are outside of the input)"""
        if self.linear:
            first = (0, *places)
            row = self.input[first] if self.input.ndim > 1 else self.input
            return row, self.weight[channel], torch.zeros((), dtype=torch.bool)
        image = self.input[0] if self.input.ndim > self.space + 1 else self.input  # (C, sides)
        of_group = self.channels // self.groups
        group, width = channel // of_group, image.shape[0] // self.groups
        window = image[group * width : (group + 1) * width]
        if self.transposed:
            kernel = self.weight[group * width : (group + 1) * width, channel % of_group]
        else:
            kernel = self.weight[channel]
        outside = torch.zeros(kernel.shape[1:], dtype=torch.bool, device=window.device)
        for axis, (place, side) in enumerate(zip(places, kernel.shape[1:], strict=True)):
            taps = torch.arange(side, device=window.device) * self.dilation[axis]
            if self.transposed:
                reached = place + self.pads[axis] - taps
                at, gap = reached // self.stride[axis], reached % self.stride[axis] != 0
            else:
                at = place * self.stride[axis] - self.pads[axis] + taps
                gap = torch.zeros_like(at, dtype=torch.bool)
            here = image.shape[axis + 1]
            off = gap | (at < 0) | (at >= here)
            window = window.index_select(axis + 1, at.clamp(0, here - 1))
            outside |= off.view(*(side if a == axis else 1 for a in range(self.space)))
        return window.masked_fill(outside, 0), kernel, outside

    def _each(self, value: Any) -> tuple[int, ...]:
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        return values * self.space if len(values) == 1 else values

    def _pads(self, padding: Any) -> tuple[int, ...]:
        """Before each axis."""
        if padding == "valid" or self.linear:
            return (0,) * self.space
        if padding == "same":
            return tuple(d * (k - 1) // 2 for d, k in zip(self.dilation, self.weight.shape[2:], strict=True))
        return self._each(padding)


class _Following(Watch):
    """Catches the one call of a layer, and what is made of its output until the next layer with weights."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path
        self.call: _Call | None = None
        self.ran = self.several = False
        self.follows: list[tuple[str, str, torch.Tensor]] = []
        self.then = ""
        self._current: torch.Tensor | None = None
        self._left = False  # the layer has run, once

    def entered(self, path: str, module: nn.Module, args: Any) -> None:
        self.ran = self.ran or path == self.path

    def left(self, path: str, module: nn.Module, output: Any) -> None:
        self._left = self._left or path == self.path

    def seen(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__name__", "")
        takes = self._current is not None and any(a is self._current for a in (*args, *kwargs.values()))
        output = func(*args, **kwargs)
        if self.path in self.within and not self._left and name in _WEIGHTED:
            known = name == "linear" or name in _CONVOLUTIONS or name in _TRANSPOSED
            self.several = self.several or self.call is not None or not known
            if not self.several:
                self.call = _Call(name, args, kwargs, output)
                self._current = output
        elif takes:
            self._follow(name, output)
        return output

    def _follow(self, name: str, output: Any) -> None:
        assert self._current is not None
        if name.startswith("__get") or name in ("size", "dim", "numel", "dropout", "is_floating_point", "stride"):
            return
        where = self.within[-1] if self.within else ""
        if name in _WEIGHTED or not isinstance(output, torch.Tensor) or output.shape != self._current.shape:
            if isinstance(output, torch.Tensor):
                self.then, self._current = f"{name} ({where or 'the model'})", None
            return
        name = name.strip("_")  # relu_, __iadd__ and __radd__ are relu and add
        name = name[1:] if name in ("iadd", "radd", "imul", "rmul", "isub") else name
        self.follows.append((name, where, output.detach().clone()))
        self._current = output
