"""What runs within a block: its layers and the functions between them, in the order of one pass on the meta device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import flop_registry

from classykit import formats, shortcuts
from classykit.contexts import Mode
from classykit.errors import BlockError, quoted, suggest
from classykit.features import shape_text
from classykit.finding import Finding
from classykit.meta import registered
from classykit.models.head_dict import is_of_head
from classykit.nested import call, tensors_in
from classykit.recurrent import step_by_step
from classykit.tables import Cell, Column, Line, Table
from classykit.watch import Watch

_WORDS = {"matmul": "matrix product", "bmm": "matrix product", "scaled_dot_product_attention": "attention",
          "mul": "multiply", "cat": "join", "sub": "subtract"}  # fmt: skip
_IN_PLACE = {"__iadd__": "add", "__imul__": "mul", "__isub__": "sub", "__itruediv__": "div"}
# what gives the same numbers again, somewhere else in memory
_MOVES = {"contiguous", "reshape", "flatten", "clone", "to", "type", "type_as", "float", "half", "detach", "dropout",
          "__get__"}  # fmt: skip

ADD = "add"


@dataclass(frozen=True)
class Part:
    """A layer, or a function that is called between layers.

    Attributes:
        path: dotted path of the module; "" for a function.
        name: of the module within what it is part of, or of the function.
        type: what it does, in words.
        output_shape: of the first tensor that it gives, without the batch; None when it gives none.
        params: of the module and all in it, or those that the function is given, each once.
        macs: multiply-accumulates of one pass, counted as `classykit.inspect` counts.
        takes: what it takes its input from: places among the parts beside it, -1 for what goes into them all.
        parts: what runs within it, where that is more than one layer.
    """

    path: str
    name: str
    type: str
    output_shape: tuple[int, ...] | None
    params: int
    macs: int
    takes: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
    is_sequence: bool = False

    @property
    def adds(self) -> bool:
        """Whether it is a sum of two that have been worked out before."""
        return not self.path and self.name == ADD and len(self.takes) > 1


@dataclass(frozen=True, repr=False)
class Inside(Finding):
    """The parts of a block, in the order in which they run."""

    name: str
    parts: tuple[Part, ...]
    macs: int

    def heading(self) -> str:
        steps = "one step" if len(self.parts) == 1 else f"{len(self.parts)} steps"
        return f"{self.name}: {formats.count(self.macs)} MACs in {steps}"

    def table(self) -> Table:
        lines = []
        for part in self.parts:
            share = formats.percent(part.macs / self.macs) if part.macs else ""
            figures = [formats.count(n) if n else "–" for n in (part.params, part.macs)]
            lines.append(Line([Cell(part.name), Cell(part.type), Cell(shape_text(part.output_shape)),
                               *map(Cell, figures), Cell(share)]))  # fmt: skip
        names = ("layer", "what it does", "output", "parameters", "MACs", "%")
        return Table([Column(name, right=i > 2) for i, name in enumerate(names)], lines)


class Tree:
    """All that runs in one pass, by what it runs in."""

    def __init__(self, root: Part, listed: Mapping[str, str]):
        self.root, self.listed = root, dict(listed)

    def inside(self, name: str) -> Inside:
        """The parts of a block, or of a module by its dotted path; BlockError where none of that name runs.

        What runs between the block before and this one belongs to it, as in an inspection; a sequence of single layers
        is spread out.
        """
        paths = [self.listed.get(name, name), f"model.{name}"]
        chain = next(filter(None, (self._chain(path) for path in paths)), None)
        if chain is None:
            raise BlockError(f"{quoted(name)} does not run in a pass.{suggest(name, self.listed)}")
        within = name in self.listed
        parts = _spread(self._led_up_to(chain) if within else (chain[-1].parts or chain[-1:]))
        while len(parts) == 1 and parts[0].parts:
            parts = _spread(parts[0].parts)
        own = chain[-1].path
        parts = tuple(replace(p, name=name) if p.path == own and p.name.isdigit() else p for p in parts)
        return Inside(name, parts, sum(part.macs for part in parts))

    def _chain(self, path: str) -> tuple[Part, ...] | None:
        """From the whole model down to the first that runs of that path."""

        def found(part: Part) -> tuple[Part, ...] | None:
            if part.path == path:
                return (part,)
            for inner in part.parts:
                below = found(inner)
                if below is not None:
                    return (part, *below)
            return None

        return found(self.root)

    def _led_up_to(self, chain: tuple[Part, ...]) -> tuple[Part, ...]:
        """The block's own parts; or the block, after those that ran since the one before."""
        paths = set(self.listed.values())
        rows: tuple[Part, ...] = (replace(chain[-1], takes=(-1,)),)
        for around, inner in zip(reversed(chain[:-1]), reversed(chain[1:]), strict=True):
            at = next(i for i, part in enumerate(around.parts) if part is inner)
            first = at
            while first and not any(_all_paths(around.parts[first - 1]) & paths):
                first -= 1
            before = [_moved(part, {i: i - first for i in range(first, at)}) for part in around.parts[first:at]]
            given = _moved(inner, {i: i - first for i in range(first, at)}).takes
            rows = (*before, *(_shifted(row, len(before), given) for row in rows))
            if first or around.path in paths:
                break
        rows = tuple(row for row in rows if not is_of_head(row.path))
        own = chain[-1].parts
        return own if len(rows) == 1 and own else rows


def _all_paths(part: Part) -> set[str]:
    return {part.path}.union(*map(_all_paths, part.parts))


def _moved(part: Part, places: Mapping[int, int]) -> Part:
    return replace(part, takes=_sorted(places.get(t, -1) for t in part.takes))


def _shifted(part: Part, by: int, given: tuple[int, ...]) -> Part:
    """Among others that run before it, where what came from outside is ``given`` by some of them."""
    return replace(part, takes=_sorted(new for t in part.takes for new in ((t + by,) if t >= 0 else given)))


def _sorted(takes: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(takes)))


def _spread(parts: Iterable[Part]) -> tuple[Part, ...]:
    """With the layers of a plain sequence in its place."""
    rows: list[Part] = []
    last: dict[int, int] = {-1: -1}  # {place of a part: the row that has its output}
    for i, part in enumerate(parts):
        given = _sorted(last[t] for t in part.takes)
        if part.is_sequence and part.parts and not any(inner.parts for inner in part.parts):
            rows += [replace(_shifted(inner, len(rows), given), name=f"{part.name}.{inner.name}")
                     for inner in part.parts]  # fmt: skip
        else:
            rows.append(replace(part, takes=given))
        last[i] = len(rows) - 1
    return tuple(rows)


class _Running:
    """A module that is running."""

    def __init__(self, path: str, given: Iterable[torch.Tensor], takes: tuple[int, ...], macs: int):
        self.path, self.takes, self.macs = path, takes, macs
        self.parts: list[Part] = []
        self.origin: dict[int, tuple[int, ...]] = {id(t): (-1,) for t in given}

    def takes_of(self, tensors: Iterable[torch.Tensor]) -> tuple[int, ...]:
        return _sorted(place for t in tensors for place in self.origin.get(id(t), ()))

    def made(self, part: Part, output: Iterable[torch.Tensor]) -> None:
        self.origin.update((id(t), (len(self.parts),)) for t in output)
        self.parts.append(part)


class _Count(Watch):
    """Counts multiply-accumulates."""

    macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = shortcuts.run(func, args, kwargs)
        formula = flop_registry.get(func._overloadpacket)
        if func is shortcuts.CONVOLUTION:
            self.macs += shortcuts.convolution_macs(*args, **kwargs, out=out)
        elif formula is not None:
            self.macs += formula(*args, **kwargs, out_val=out) // 2
        return out


class _Watch(Mode):
    """Sees modules and functions as they run."""

    def __init__(self, batch_size: int, listed: set[str], count: _Count):
        super().__init__()
        self.batch_size, self.listed, self.count = batch_size, listed, count
        self.running: list[_Running] = []
        self.root: Part | None = None
        self.kept: list[torch.Tensor] = []  # so that an id is one tensor's

    def enter(self, path: str, args: Any, kwargs: Any) -> None:
        given = self._keep((args, kwargs))
        takes = self.running[-1].takes_of(given) if self.running else ()
        self.running.append(_Running(path, given, takes, self.count.macs))

    def leave(self, path: str, module: nn.Module, output: Any) -> None:
        while (done := self.running.pop()).path != path:  # those that raised what the model caught
            pass
        outer = self.running[-1] if self.running else None
        name = path.removeprefix(f"{outer.path}." if outer is not None and outer.path else "")
        given, macs = self._keep(output), self.count.macs - done.macs
        if outer is not None and type(module) is nn.Identity and path not in self.listed:
            outer.origin.update((id(t), done.takes) for t in given if done.takes)
            return
        parameters = registered(module.modules())[0]
        shown = any(p.path for p in done.parts) or sum(p.macs > 0 for p in done.parts) > 1
        part = Part(
            path, name, layer_words(module), self._shape(given), sum(p.numel() for p in parameters), macs, done.takes,
            tuple(done.parts) if shown else (), type(module).forward is nn.Sequential.forward,
        )  # fmt: skip
        if outer is None:
            self.root = part
        else:
            outer.made(part, given)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, before = kwargs or {}, self.count.macs
        output = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        fresh = name.startswith("new_") or name.endswith("_like")  # numbers of its own
        if self.running and tensors_in(output) and not fresh:
            self._called(name, self._keep((args, kwargs)), output, self.count.macs - before)
        return output

    def _called(self, name: str, given: list[torch.Tensor], output: Any, macs: int) -> None:
        here, made = self.running[-1], self._keep(output)
        takes = here.takes_of(given)
        in_place = name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))
        same = all(t._is_view() or any(t is g for g in given) for t in made) and not in_place
        name = _IN_PLACE.get(name, name.strip("_"))
        name = name[1:] if name in ("radd", "rmul", "rsub") else name
        if macs == 0 and (same or name in _MOVES or not takes):
            here.origin.update((id(t), takes) for t in made if takes)
            return
        params = sum({id(p): p.numel() for p in map(_parameter, given) if p is not None}.values())
        here.made(Part("", name, self._words(name, takes), self._shape(made), params, macs, takes), made)

    @staticmethod
    def _words(name: str, takes: tuple[int, ...]) -> str:
        if name == ADD and len(takes) > 1:
            return "add the input" if -1 in takes else "add"
        return _WORDS.get(name, name.replace("_", " "))

    def _keep(self, value: Any) -> list[torch.Tensor]:
        tensors = tensors_in(value)
        self.kept += tensors
        return tensors

    def _shape(self, tensors: list[torch.Tensor]) -> tuple[int, ...] | None:
        if not tensors:
            return None
        shape = tuple(tensors[0].shape)
        return shape[1:] if shape and shape[0] == self.batch_size else shape


def _parameter(tensor: torch.Tensor) -> nn.Parameter | None:
    """The parameter that a tensor is, or is a view of."""
    return next((t for t in (tensor, tensor._base) if isinstance(t, nn.Parameter)), None)


def layer_words(module: nn.Module) -> str:
    """What a layer does, in words.

    >>> layer_words(nn.Conv2d(8, 8, 3, stride=2, groups=8)), layer_words(nn.BatchNorm2d(8))
    ('conv 3×3, stride 2, a channel each', 'BatchNorm')
    """
    words = getattr(module, "block_type", None)
    if isinstance(words, str) and module._modules:
        return words
    if isinstance(module, nn.modules.conv._ConvNd):
        return ", ".join(_conv_words(module))
    if isinstance(module, nn.Linear):
        return "linear"
    name = type(module).__name__
    return name[:-2] if name[-2:] in ("1d", "2d", "3d") and name[0].isupper() else name


def _conv_words(conv: nn.modules.conv._ConvNd) -> Iterator[str]:
    yield f"{'transposed conv' if conv.transposed else 'conv'} {_times(conv.kernel_size)}"
    if set(conv.stride) != {1}:
        yield f"stride {_one(conv.stride)}"
    if set(conv.dilation) != {1}:
        yield f"dilation {_one(conv.dilation)}"
    if conv.groups > 1:
        yield "a channel each" if conv.groups == conv.in_channels else f"{conv.groups} groups"


def _times(sides: tuple[int, ...]) -> str:
    return "×".join(map(str, sides))


def _one(sides: tuple[int, ...]) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else _times(sides)


def tree_of(twin: Any, x: Any, batch_size: int) -> Tree:
    """What runs in a pass of ``twin``, a module on the meta device that may be changed, on the meta input ``x``."""
    listed = {**twin.block_paths(), **twin.other_paths()}
    count = _Count()
    watch = _Watch(batch_size, set(listed.values()), count)

    def before(path: str) -> Any:
        return lambda module, args, kwargs: watch.enter(path, args, kwargs)

    def after(path: str) -> Any:
        return lambda module, args, output: watch.leave(path, module, output)

    handles = []
    for path, module in twin.named_modules():
        handles.append(module.register_forward_pre_hook(before(path), with_kwargs=True))
        handles.append(module.register_forward_hook(after(path)))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), step_by_step(), count, watch:
            call(twin, x)
    finally:
        for handle in handles:
            handle.remove()
    assert watch.root is not None
    return Tree(watch.root, listed)
