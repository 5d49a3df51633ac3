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
    """What a function makes of the value.

    Attributes:
        function: its name.
        module: the path of the module that it runs in.
        value: what there is then.
        how: what was done, where that can be said in figures: "× 1.95 − 0.082"; else "".
    """

    function: str
    module: str
    value: float
    how: str = ""


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
    def tolerance(self) -> float:
        """By what share of the sum of the products' sizes, or of 1, the sum may be off: 1e-5 in float32."""
        return {torch.float64: 1e-12, torch.float32: 1e-5}.get(self.window.dtype, 1e-2)

    @property
    def agrees(self) -> bool:
        """Whether the sum is torch's value, to the `tolerance`."""
        return abs(self.sum - self.value) <= self.tolerance * max(1.0, float(self.products.abs().sum()))

    def largest(self, count: int = _SHOWN) -> list[tuple[tuple[int, ...], float, float, float]]:
        """The products of the greatest size, that first: (cell of the window, window, kernel, product)."""
        flat = self.products.flatten()
        first = flat.abs().argsort(descending=True, stable=True)[:count]
        cells = zip(*(part.tolist() for part in torch.unravel_index(first, self.products.shape)), strict=True)
        values = (self.window.flatten()[first], self.kernel.flatten()[first], flat[first])
        return list(zip(cells, *(v.tolist() for v in values), strict=True))

    def heading(self) -> str:
        where = f" at {self.at}" if self.at else ""
        checked = "as torch has it" if self.agrees else f"torch has {self.value:.6g}"
        return f"{self.layer} of {self.name}, channel {self.channel}{where}: {self.sum:.6g}, {checked}"

    def table(self) -> Table:
        """The largest products in rows, and what becomes of their sum."""
        largest, all_of = self.largest(), self.products.numel()
        lines = []
        for cell, *values in largest:
            lines.append(Line([Cell(str(cell)), *(Cell(f"{v:.4g}") for v in values)]))
        if all_of > len(largest):
            rest = float(self.products.sum()) - sum(product for *_, product in largest)
            lines.append(Line([Cell(f"and {all_of - len(largest)} others"), Cell(""), Cell(""), Cell(f"{rest:.4g}")]))
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
    return watch_layer(model, x, layer).arithmetic(channel, at)


@verb
def watch_layer(model: nn.Module, x: Any, layer: str) -> Watched:
    """One pass, in which a convolution or linear layer was watched: any of its values can be taken apart then.

    Arguments, and what is raised, as with `arithmetic`.
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
    return Watched(look.name, layer, watch.call, tuple(watch.follows), watch.then, look.notes)


@dataclass(frozen=True, repr=False)
class Watched:
    """A layer in one pass: what went in, what came out, and what was made of that.

    Attributes:
        name, layer: of the model, and of the layer.
        call: the one call of the convolution, or of `linear`.
        follows: (function, path of the module that it runs in, what it gives, what is known of how).
        then, notes: as of `Arithmetic`.
    """

    name: str
    layer: str
    call: _Call
    follows: tuple[tuple[str, str, torch.Tensor, _How], ...]
    then: str
    notes: tuple[str, ...]

    @property
    def channels(self) -> int:
        """How many there are in its output."""
        return self.call.channels

    @property
    def sides(self) -> tuple[int, ...]:
        """Of its output's places; () for a vector."""
        return self.call.sides

    @property
    def output(self) -> torch.Tensor:
        """Of the first input, (channels, *sides)."""
        call = self.call
        output = call.output[0] if call.output.ndim > (1 if call.linear else call.space + 1) else call.output
        return output.movedim(-1, 0) if call.linear else output

    @property
    def input(self) -> torch.Tensor:
        """The first input, (channels, *sides)."""
        call = self.call
        image = call.input[0] if call.input.ndim > (1 if call.linear else call.space + 1) else call.input
        return image.movedim(-1, 0) if call.linear else image

    def corner(self, at: tuple[int, ...]) -> tuple[int, ...]:
        """Where in the input the window at a place begins, which may be in the padding; () where there is no window."""
        call = self.call
        if call.linear or call.transposed:
            return ()
        return tuple(p * s - pad for p, s, pad in zip(at, call.stride, call.pads, strict=True))

    def centre(self, at: tuple[int, ...]) -> tuple[int, ...]:
        """The place of the input in the middle of the window at a place."""
        call = self.call
        if call.linear:
            return at
        sides = self.input.shape[1:]
        if call.transposed:
            middle = [(p + pad) // s for p, s, pad in zip(at, call.stride, call.pads, strict=True)]
        else:
            reach = [d * (k - 1) // 2 for d, k in zip(call.dilation, call.weight.shape[2:], strict=True)]
            middle = [c + r for c, r in zip(self.corner(at), reach, strict=True)]
        return tuple(min(max(m, 0), side - 1) for m, side in zip(middle, sides, strict=True))

    def first_channel(self, channel: int) -> int:
        """Of the input, the first of the channels that a channel of the output is made of."""
        call = self.call
        return channel // (call.channels // call.groups) * (self.input.shape[0] // call.groups)

    def arithmetic(self, channel: int = 0, at: int | Sequence[int] = (0, 0)) -> Arithmetic:
        """One of its values, taken apart; ConfigError for a channel or place that is not there."""
        call, places, layer = self.call, _places(at), self.layer
        if not isinstance(channel, int) or isinstance(channel, bool) or not 0 <= channel < call.channels:
            raise ConfigError(f"{layer} has the channels 0 to {call.channels - 1}, not {quoted(channel)}.")
        sides = call.sides
        places = places[: len(sides)] if places == (0, 0) or not sides else places
        places = places if len(places) == len(sides) else (0,) * len(sides) if not any(places) else places
        if len(places) != len(sides) or not all(0 <= p < side for p, side in zip(places, sides, strict=True)):
            raise ConfigError(
                f"{layer} gives {' × '.join(map(str, sides)) or 'a vector'}: there is no place {quoted(at)}."
            )
        window, kernel, padding = call.apart(channel, places)
        index = call.index(channel, places)
        value = float(call.output[index])
        steps, before = [], value
        for function, module, output, how in self.follows:
            after = float(output[index])
            steps.append(Step(function, module, after, how(channel, before, after)))
            before = after
        return Arithmetic(
            name=self.name, layer=layer, channel=channel, at=places, window=window.cpu(), kernel=kernel.cpu(),
            padding=padding.cpu(), bias=0.0 if call.bias is None else float(call.bias[channel]), value=value,
            follows=tuple(steps), then=self.then, groups=call.groups, stride=call.stride, dilation=call.dilation,
            notes=self.notes,
        )  # fmt: skip


# What a function does to a value, in words: of (channel, value before, value after).
_How = Callable[[int, float, float], str]


def _how(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _How:
    """How a function changes a value, as far as that can be said in figures."""
    if name == "batch_norm":
        given = dict(zip(("input", "running_mean", "running_var", "weight", "bias"), args, strict=False)) | kwargs
        mean, var = given.get("running_mean"), given.get("running_var")
        if mean is None or var is None:
            return lambda channel, before, after: ""
        eps = given.get("eps", args[7] if len(args) > 7 else 1e-5)
        weight, bias = given.get("weight"), given.get("bias")
        scale = (1 if weight is None else weight) / (var + eps).sqrt()
        shift = (0 if bias is None else bias) - mean * scale
        return lambda channel, before, after: f"× {_figure(scale[channel])} {_signed(shift[channel])}"
    if name == "add":
        return lambda channel, before, after: _signed(after - before)
    limits = {"relu": "at least 0", "relu6": "between 0 and 6"}.get(name, "")
    if name == "hardtanh":
        low, high = (float(kwargs.get(k, d)) for k, d in (("min_val", -1), ("max_val", 1)))
        low, high = (float(a) for a in args[1:3]) if len(args) > 2 else (low, high)
        limits = f"between {low:g} and {high:g}"
    return lambda channel, before, after: limits


def _figure(value: Any) -> str:
    return f"{float(value):.3g}".replace("-", "−")


def _signed(value: Any) -> str:
    return f"{'−' if float(value) < 0 else '+'} {_figure(abs(float(value)))}"


def _places(at: Any) -> tuple[int, ...]:
    places = (at,) if isinstance(at, int) and not isinstance(at, bool) else at
    if not isinstance(places, Sequence) or isinstance(places, str) or not all(type(p) is int for p in places):
        raise ConfigError(f"at is (row, column), or the number of a token, not {quoted(at)}.")
    return tuple(places)


@dataclass(frozen=True)
class _Padded:
    """Zeros that a layer has put around its input: what that was, and how many stand before each of the last axes."""

    input: torch.Tensor
    output: torch.Tensor
    before: tuple[int, ...]

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor) -> _Padded | None:
        given = {**dict(zip(("input", "pad", "mode", "value"), args, strict=False)), **kwargs}
        sides = tuple(given["pad"])
        if given.get("mode", "constant") != "constant" or given.get("value") or min(sides, default=0) < 0:
            return None
        return cls(given["input"].detach().clone(), output, sides[-2::-2])


class _Call:
    """A call of a convolution or of `linear`: its tensors and how it goes over them."""

    def __init__(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor, padded: _Padded | None
    ):
        self.linear, self.transposed = name == "linear", name in _TRANSPOSED
        last = ("output_padding", "groups", "dilation") if self.transposed else ("dilation", "groups")
        names = ("input", "weight", "bias", "stride", "padding", *last)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        # a copy, as what comes next may write into it
        self.input = given["input"].detach().clone()
        self.weight, bias = given["weight"].detach(), given.get("bias")
        self.bias = None if bias is None else bias.detach()
        self.output = output.detach().clone()
        self.groups = given.get("groups", 1)
        self.stride, self.dilation = self._each(given.get("stride", 1)), self._each(given.get("dilation", 1))
        self.pads = self._pads(given.get("padding", 0))
        if padded is not None and padded.output is given["input"] and len(padded.before) <= self.space:
            # the layer's own zeros around its input are padding, too
            self.input = padded.input
            before = (0,) * (self.space - len(padded.before)) + padded.before
            self.pads = tuple(pad + own for pad, own in zip(self.pads, before, strict=True))

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
        self.follows: list[tuple[str, str, torch.Tensor, _How]] = []
        self.then = ""
        self._current: torch.Tensor | None = None
        self._padded: _Padded | None = None
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
                self.call = _Call(name, args, kwargs, output, self._padded)
                self._current = output
        elif self.path in self.within and self.call is None and name == "pad":
            self._padded = _Padded.of(args, kwargs, output)
        elif takes:
            self._follow(name, output, args, kwargs)
        return output

    def _follow(self, name: str, output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
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
        self.follows.append((name, where, output.detach().clone(), _how(name, args, kwargs)))
        self._current = output
