"""The blocks that a person would draw: those of the module tree, put right by what runs in a pass without weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import ShapeError
from classykit.features import Features, main_tensor
from classykit.harmless import harmless
from classykit.meta import has_weights, meta_twin, shared_twin
from classykit.models.blocks import depth_of, find_blocks
from classykit.models.head_dict import is_of_head
from classykit.nested import Inputs, call, mapped, random_like, tensors_in
from classykit.scripted import is_scripted
from classykit.shortcuts import Shortened

if TYPE_CHECKING:
    from classykit.models.classy_model import ClassyModel

T = TypeVar("T")

PROBE_BATCH = 11  # unlikely to be a size that a model has by itself, so it marks the batch dimension
HEAVY = 0.5  # a block with more of the work is opened, where it can be
FEWEST = 4  # of fewer blocks the heaviest is opened, where it holds blocks


@dataclass
class Watch(Generic[T]):
    """Hooks on a copy of a model, and what they have written.

    Attributes:
        seen: whatever they write.
        shapes: {path: shape of the main tensor that the module there gave}.
        handles: of the hooks.
    """

    seen: T
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    handles: list[Any] = field(default_factory=list)

    def on(self, module: nn.Module, after: Callable[..., None], before: Callable[..., None] | None = None) -> None:
        """Have ``after`` called with a module, its arguments and its output, and ``before`` without that."""
        if before is not None:
            self.handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        self.handles.append(module.register_forward_hook(after))

    def off(self) -> None:
        """Take the hooks off."""
        for handle in self.handles:
            handle.remove()


@dataclass
class Part:
    """What was seen of one module in a pass.

    Attributes:
        ended: when it ended for the first time, as a number that rises.
        known: whether what it gave is features of a kind known here.
        work: multiply-accumulates of the layers that ran in it, about.
        branches: how many of its parts took what it was given itself: of two or more it is a unit, whatever its size.
    """

    ended: int
    known: bool
    work: float = 0
    branches: int = 0


@verb
def probed(
    model: ClassyModel, watch: Callable[[ClassyModel, int], Watch[T]]
) -> tuple[T, dict[str, tuple[bool, ...]], int]:
    """What ``watch`` saw of a pass of a copy of a model: without weights, else, where that fails, on numbers.

    ``watch`` puts hooks on the copy, for a batch of the size that it is told. Also given is which dimensions of what
    was seen move with the input's size, as far as a pass at another size tells, and the size of the batch. Raises what
    the first pass raised when the others fail, too.
    """
    batches = [PROBE_BATCH, 1 if model.example is None else model.example.batch_size]
    failed: Exception | None = None
    for batch in dict.fromkeys(batches):
        twin: Any = meta_twin(model, without=model._heads)
        hooks = watch(twin, batch)
        x = twin.example_input(batch, "meta")
        try:
            ours = Shortened() if model.channels_first else nullcontext()  # a stranger's runs as it does
            with torch.random.fork_rng(devices=[]), torch.no_grad(), ours:
                call(twin.forward, x)
        except Exception as error:  # whatever a stranger's code does on meta tensors
            failed = failed or error
            continue
        hooks.off()
        return hooks.seen, {} if model.channels_first else _moves(twin, x, hooks.shapes), batch
    if failed is not None and not has_weights(model):
        raise failed
    again: Any = shared_twin(model, own_hooks=True)
    hooks = watch(again, batches[-1])
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with suppress(Exception):  # as above, and the first says more
        x = again.example_input(batches[-1], device)
        with harmless(again), torch.random.fork_rng(devices=[]), torch.no_grad():
            call(again.forward, x if model.example is not None else random_like(x))
        return hooks.seen, {}, batches[-1]
    raise failed or ShapeError("There was nothing to run.")


def _moves(twin: nn.Module, x: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[bool, ...]]:
    """{path: for each dimension of what the module there gave, whether it moves with the input's size}.

    From another pass of a twin on the meta device; of one that breaks off, being made for one size, what it gave
    until then. "" is the input itself.
    """
    of_signals = (nn.Conv1d, nn.ConvTranspose1d)
    told = {path: (False, False, True) for path in shapes if isinstance(twin.get_submodule(path), of_signals)}
    best: dict[str, tuple[int, ...]] = {}
    batch = Inputs.of(x).batch_size
    for larger in _stretched(x):
        found: dict[str, tuple[int, ...]] = {"": tuple(tensors_in(larger)[0].shape)}
        hooks = Watch(found)

        def note(path: str, module: nn.Module, args: Any, output: Any, found: dict[str, Any] = found) -> None:
            output = main_tensor(output, batch)[1]
            if isinstance(output, torch.Tensor):
                found.setdefault(path, tuple(output.shape))

        for path in shapes:
            hooks.on(twin.get_submodule(path), partial(note, path))
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                call(twin.forward, larger)
            best = found
            break
        except Exception:  # a model for inputs of one size
            best = found if len(found) > len(best) else best
        finally:
            hooks.off()
    first = {"": tuple(tensors_in(x)[0].shape), **shapes} if best else {}
    return told | {
        path: tuple(a != b for a, b in zip(first[path], shape, strict=True))
        for path, shape in best.items()
        if path in first and len(first[path]) == len(shape)
    }


def _stretched(x: Any) -> Iterator[Any]:
    """Larger inputs: of maps (N, C, H, W), of signals and tokens' numbers (N, L), all but channels twice as large.

    Of three dimensions of numbers, (N, C, L) is tried, then (N, L, C).
    """
    tensors = tensors_in(x)
    lengths = {n for t in tensors if not t.is_floating_point() for n in t.shape[1:]}
    orders = {t.ndim for t in tensors if t.is_floating_point()}

    def twice(t: torch.Tensor, kept: int) -> torch.Tensor:
        shape = list(t.shape)
        for axis in range(1, t.ndim):
            if not t.is_floating_point():
                larger = True
            elif t.ndim == 2:  # a mask, or a vector
                larger = shape[axis] in lengths
            else:
                larger = axis != (kept if t.ndim == 3 else 1)
            shape[axis] *= 2 if larger else 1
        return t.new_empty(shape)

    if orders - {1, 2} or lengths:
        yield mapped(partial(twice, kept=1), x)
    elif 2 in orders:  # a vector, or the samples of a signal
        yield mapped(lambda t: t.new_empty(t.shape[0], 2 * t.shape[1]) if t.ndim == 2 else t, x)
    if 3 in orders:
        yield mapped(partial(twice, kept=2), x)


def parts_that_ran(model: ClassyModel) -> tuple[dict[str, Part], dict[str, tuple[bool, ...]]]:
    """{path: what was seen of it} of all modules that run in a pass, innermost first; and what moves (see `probed`)."""
    (ran, work, branches), moves, _ = probed(model, _watched)
    for path, part in ran.items():
        part.work, part.branches = work[path], branches[path]
    return ran, moves


def _watched(twin: ClassyModel, batch: int) -> Watch[tuple[dict[str, Part], Counter[str], Counter[str]]]:
    """What hooks will write of the modules of a copy: {path: what was seen}, {path: work}, {path: branches}."""
    ran: dict[str, Part] = {}
    running: list[tuple[str, Any]] = []  # with what each was given, which is alive as long as it runs
    work: Counter[str] = Counter()
    branches: Counter[str] = Counter()
    watch = Watch((ran, work, branches))

    def enter(path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = next(iter((*args, *kwargs.values())), None)
        if running and path not in ran and given is not None and given is running[-1][1]:
            branches[running[-1][0]] += any(True for _ in module.parameters())
        running.append((path, given))

    def leave(path: str, module: nn.Module, args: Any, output: Any) -> None:
        weight = None if isinstance(module, nn.Embedding) else getattr(module, "weight", None)  # a table is looked up
        if isinstance(weight, torch.Tensor) and isinstance(output, torch.Tensor) and weight.ndim > 1:
            channels = output.shape[-1] if isinstance(module, nn.Linear) else output.shape[1 if output.ndim > 1 else 0]
            spent = weight.numel() * output.numel() / max(channels, 1)
            for around, _ in running:
                work[around] += spent
        running.pop()
        if path not in ran:
            output = main_tensor(output, batch)[1]
            ran[path] = Part(len(ran), Features.of(output, batch) is not None)
            if isinstance(output, torch.Tensor):
                watch.shapes[path] = tuple(output.shape)

    for path, module in twin.named_modules():
        if path and not is_of_head(path):
            watch.on(module, partial(leave, path), partial(enter, path))
    return watch


@dataclass(frozen=True)
class Found:
    """What was found of a foreign model.

    Attributes:
        blocks: paths of the blocks, in the order in which they end; "" is a module without parts.
        others: paths of what works outside of them and gives features of no kind known here, to which no head can be
            attached: a detector's heads, whose outputs have a row for each box.
        moves: {path in the model: for each dimension, whether it moves with the input's size}; see `probed`.
    """

    blocks: list[str]
    others: list[str] = field(default_factory=list)
    moves: dict[str, tuple[bool, ...]] = field(default_factory=dict)


def blocks_that_run(model: ClassyModel, root: nn.Module, prefix: str) -> Found:
    """The blocks of ``root``, which lies at ``prefix`` in the model.

    Beginning with those that the module tree shows (see `find_blocks`):

    - one that does not run, but has parts that do, gives way to these;
    - one whose output is of no kind known here (windows folded into the batch, a dict of lists) gives way to the
      nearest module around it that gives features, else to its parts;
    - one with more than half of the work is opened, unless it is a unit of branches or has nothing in it to list;
    - where that leaves fewer than four, those that hold blocks are opened too, the heaviest first;
    - layers that run outside of all of them are added.

    Those of the module tree, as defined, where no pass is possible.
    """
    tree = list(find_blocks(root))
    try:
        parts, moves = parts_that_ran(model)
    except Exception:  # whatever a stranger's code does on meta tensors
        return Found(tree or [""])
    rows = _Rows(root, {path.removeprefix(prefix): part for path, part in parts.items() if path.startswith(prefix)})
    for path in tree:
        rows.chosen |= rows.shown(path)
    rows.chosen = {path for path in rows.chosen if not any(around in rows.chosen for around in _ancestors(path))}
    rows.open_the_heavy()
    rows.open_the_few()
    rows.add_layers()
    order = sorted(rows.chosen, key=rows.ended)
    return Found(order or [""], sorted(rows.others(), key=rows.ended), moves)


class _Rows:
    """Which modules stand in a list for the parts of a tree; ``chosen`` are those of the list."""

    def __init__(self, root: nn.Module, ran: dict[str, Part]):
        self.root, self.ran = root, ran
        self.chosen: set[str] = set()
        self.total = sum(part.work for path, part in ran.items() if not any(a in ran for a in _ancestors(path)))

    def ended(self, path: str) -> int:
        return self.ran[path].ended

    def known(self, path: str) -> bool:
        return path in self.ran and self.ran[path].known

    def open(self, path: str) -> set[str]:
        """Put what is in a chosen block in its place, where that is worth it; what was put there."""
        inside = self.opened(path)
        split = self.ran[path].branches > 1 or sum(self.ran[one].work for one in inside) < 0.9 * self.ran[path].work
        if split or len(inside) < 2:
            return set()
        self.chosen = (self.chosen - {path}) | inside
        return inside

    def open_the_heavy(self) -> None:
        """Open the blocks with more than half of the work."""
        heavy = [path for path in self.chosen if self.ran[path].work > HEAVY * self.total]
        while heavy:
            heavy += [one for one in self.open(heavy.pop()) if self.ran[one].work > HEAVY * self.total]

    def open_the_few(self) -> None:
        """Of a few large parts open those that hold blocks themselves."""
        while 0 < len(self.chosen) < FEWEST:
            deep = [path for path in self.chosen if depth_of(self.root.get_submodule(path)) > 2]
            if not deep or not self.open(max(deep, key=lambda path: self.ran[path].work)):
                return

    def add_layers(self) -> None:
        """Add what runs outside of all blocks, innermost first."""
        for path, part in self.ran.items():
            if part.known and part.work > 0 and self.is_apart(path):
                self.chosen.add(path)

    def others(self) -> set[str]:
        """What works outside of all blocks, outermost first, or its parts."""
        found: set[str] = set()
        for path in reversed(self.ran):
            if path and self.ran[path].work > 0 and self.is_apart(path) and not found & {path, *_ancestors(path)}:
                inside = {one for one in self.ran if _ancestors(one)[:1] == [path] and self.ran[one].work > 0}
                found |= inside if len(inside) > 1 else {path}
        return found

    def is_apart(self, path: str) -> bool:
        """Whether no chosen block is this, around it or in it."""
        return not self.chosen & {path, *_ancestors(path)} and not any(path in _ancestors(one) for one in self.chosen)

    def shown(self, path: str) -> set[str]:
        """What is listed in the place of a block of the module tree."""
        if self.known(path):
            return {path}
        if path in self.ran:
            around = next((one for one in _ancestors(path) if self.known(one)), None)
            return {around} if around is not None else self.opened(path)
        return self.opened(path)

    def opened(self, path: str) -> set[str]:
        """What is listed in the place of a block that is opened: its own blocks, else the parts that run in it."""
        module = self.root.get_submodule(path)
        if is_scripted(module):
            return set()
        inside = {f"{path}.{name}" for name in find_blocks(module)}
        inside = {one for one in inside if self.known(one)}
        if len(inside) > 1:
            return inside
        found: set[str] = set()
        for name, child in module.named_children():
            if any(True for _ in child.parameters()):
                one = f"{path}.{name}"
                found |= {one} if self.known(one) else self.opened(one)
        if len(found) == 1:  # a wrapper: what it holds is looked into
            return self.opened(next(iter(found))) or found
        return found


def _ancestors(path: str) -> list[str]:
    """The modules around ``path``, nearest first: "a.b.c" -> ["a.b", "a"]."""
    parts = path.split(".")
    return [".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1)]
