"""The blocks that a person would draw: those of the module tree, put right by what runs in a pass without weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from classykit.features import Features, main_tensor
from classykit.harmless import harmless
from classykit.meta import meta_twin, shared_twin
from classykit.models.blocks import find_blocks
from classykit.models.head_dict import is_of_head

if TYPE_CHECKING:
    from classykit.models.classy_model import ClassyModel

T = TypeVar("T")

PROBE_BATCH = 11  # unlikely to be a size that a model has by itself, so it marks the batch dimension
HEAVY = 0.5  # a block with more of the work is opened, where it can be


@dataclass
class Part:
    """What was seen of one module in a pass.

    Attributes:
        ended: when it ended for the first time, as a number that rises.
        features: what it gave, None where that is of no kind known here.
        work: multiply-accumulates of the layers that ran in it, about.
        branches: how many of its parts took what it was given itself: of two or more it is a unit, whatever its size.
    """

    ended: int
    features: Features | None
    work: float = 0
    branches: int = 0


def probed(model: ClassyModel, watch: Callable[[ClassyModel], T]) -> T:
    """What ``watch`` saw of a pass of a copy of a model: without weights, else, where that fails, on random numbers.

    ``watch`` puts hooks on the copy and says where it writes what they see. Raises what the first pass raised when
    the other fails, too.
    """
    twin: Any = meta_twin(model, without=model._heads)
    seen = watch(twin)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            twin.forward(twin.example_input(PROBE_BATCH, "meta"))
        return seen
    except Exception:  # whatever a stranger's code does on meta tensors
        if any(t.is_meta for t in (*model.parameters(), *model.buffers())):
            raise
        again: Any = shared_twin(model, own_hooks=True)
        seen = watch(again)
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        with suppress(Exception):  # as above, and the first says more
            with harmless(again), torch.random.fork_rng(devices=[]), torch.no_grad():
                again.forward(_random(again.example_input(PROBE_BATCH, device)))
            return seen
        raise


def _random(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: _random(value) for key, value in x.items()}
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        return x
    return torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device, x.dtype)


def parts_that_ran(model: ClassyModel) -> dict[str, Part]:
    """{path: what was seen of it} of all modules that run in a pass (see `probed`), innermost first."""
    ran, work, branches = probed(model, _watched)
    for path, part in ran.items():
        part.work, part.branches = work[path], branches[path]
    return ran


def _watched(twin: ClassyModel) -> tuple[dict[str, Part], Counter[str], Counter[str]]:
    """What hooks will write of the modules of a copy: {path: what was seen}, {path: work}, {path: branches}."""
    shape = twin.input_shape
    square = len(shape) < 3 or shape[-1] == shape[-2]
    ran: dict[str, Part] = {}
    running: list[tuple[str, Any]] = []  # with what each was given, which is alive as long as it runs
    work: Counter[str] = Counter()
    branches: Counter[str] = Counter()

    def enter(path: str, module: nn.Module, args: Any) -> None:
        given = args[0] if args else None
        if running and path not in ran and given is not None and given is running[-1][1]:
            branches[running[-1][0]] += any(True for _ in module.parameters())
        running.append((path, given))

    def leave(path: str, module: nn.Module, args: Any, output: Any) -> None:
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and isinstance(output, torch.Tensor) and weight.ndim > 1:
            channels = output.shape[-1] if isinstance(module, nn.Linear) else output.shape[1 if output.ndim > 1 else 0]
            spent = weight.numel() * output.numel() / max(channels, 1)
            for around, _ in running:
                work[around] += spent
        running.pop()
        if path not in ran:
            ran[path] = Part(len(ran), Features.of(main_tensor(output, PROBE_BATCH, square)[1], PROBE_BATCH, square))

    for path, module in twin.named_modules():
        if path and not is_of_head(path):
            module.register_forward_pre_hook(partial(enter, path))
            module.register_forward_hook(partial(leave, path))
    return ran, work, branches


def blocks_that_run(model: ClassyModel, root: nn.Module, prefix: str) -> list[str]:
    """The blocks of ``root``, which lies at ``prefix`` in the model, in the order in which they end.

    Beginning with those that the module tree shows (see `find_blocks`):

    - one that does not run, but has parts that do, gives way to these;
    - one whose output is of no kind known here (windows folded into the batch, a dict of lists) gives way to the
      nearest module around it that gives features, else to its parts;
    - one with more than half of the work is opened, unless it is a unit of branches or has nothing in it to list;
    - layers that run outside of all of them are added.

    Those of the module tree, as defined, where no pass is possible; "" is a module that has no parts.
    """
    tree = list(find_blocks(root))
    try:
        ran = {
            path.removeprefix(prefix): part for path, part in parts_that_ran(model).items() if path.startswith(prefix)
        }
    except Exception:  # whatever a stranger's code does on meta tensors
        return tree or [""]
    rows = _Rows(root, ran)
    chosen: set[str] = set()
    for path in tree:
        chosen |= rows.shown(path)
    chosen = {path for path in chosen if not any(around in chosen for around in _ancestors(path))}
    total = sum(part.work for path, part in ran.items() if not any(around in ran for around in _ancestors(path)))
    heavy = [path for path in chosen if ran[path].work > HEAVY * total]
    while heavy:
        path = heavy.pop()
        inside = rows.opened(path)
        if ran[path].branches > 1 or len(inside) < 2 or sum(ran[one].work for one in inside) < 0.9 * ran[path].work:
            continue
        chosen = (chosen - {path}) | inside
        heavy += [one for one in inside if ran[one].work > HEAVY * total]
    for path, part in ran.items():  # innermost first
        apart = not any(around in chosen for around in (path, *_ancestors(path)))
        holds = any(path in _ancestors(one) for one in chosen)
        if apart and not holds and part.features is not None and part.work > 0:
            chosen.add(path)
    return sorted(chosen, key=lambda path: ran[path].ended) or [""]


class _Rows:
    """Which modules stand in a list for a part of the tree."""

    def __init__(self, root: nn.Module, ran: dict[str, Part]):
        self.root, self.ran = root, ran

    def known(self, path: str) -> bool:
        return path in self.ran and self.ran[path].features is not None

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
