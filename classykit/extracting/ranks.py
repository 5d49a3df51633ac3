"""The processes that share one piece of work through torch.distributed; without it, this one alone."""

from __future__ import annotations

import datetime
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch.distributed as dist
from torch.utils.data import DistributedSampler

from classykit.errors import ClassyKitError, DeviceError

T = TypeVar("T")

_OF_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_stores: dict[tuple[str, ...], Any] = {}
_calls = itertools.count()
_PATIENCE = datetime.timedelta(days=30)  # a process may be done hours before the others


@dataclass(frozen=True)
class Ranks:
    """This process and those that it shares the work with.

    Attributes:
        rank: which of them this one is, from 0.
        size: how many there are.
        local: which of those on this machine this one is.
        group: through which they talk; None for one alone.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    group: Any = None

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part of ``items``: every item is in the part of exactly one process.

        >>> [Ranks(rank, 2).share("abcde") for rank in range(2)]
        [['a', 'c', 'e'], ['b', 'd']]
        """
        # the sampler repeats items until all parts are of one length; those would be done twice
        dealt = DistributedSampler(items, num_replicas=self.size, rank=self.rank, shuffle=False)
        real = len(range(self.rank, len(items), self.size))
        return [items[i] for i in list(dealt)[:real]]

    def from_first(self, ask: Callable[[], T]) -> T:
        """What ``ask()`` gives, or raises, in the first process: the same in all of them."""
        if self.group is None:
            return ask()
        answer: list[Any] = [None]
        if self.rank == 0:
            try:
                answer = [(ask(), None)]
            except ClassyKitError as error:
                answer = [(None, error)]
        with _explained():
            dist.broadcast_object_list(answer, src=0, group=self.group)
        value, error = answer[0]
        if error is not None:
            raise error
        return value

    def agree(self, problem: ClassyKitError | None) -> None:
        """Raise the first problem that any process has, in all of them; wait for all to come here."""
        problems: list[Any] = [problem]
        if self.group is not None:
            problems = [None] * self.size
            with _explained():
                dist.all_gather_object(problems, problem, group=self.group)
        for rank, found in enumerate(problems):
            if found is not None:
                where = f"In process {rank} of {self.size}: " if self.size > 1 else ""
                raise type(found)(f"{where}{found}")


@contextmanager
def together() -> Iterator[Ranks]:
    """The processes of torch.distributed; where ``torchrun`` started this one, it is initialised for the while.

    Leaving with an exception cuts the connections, so that the others fail too, and do not wait for ever.
    """
    if not dist.is_available():
        yield Ranks()
        return
    ours = not dist.is_initialized() and all(name in os.environ for name in _OF_TORCHRUN)
    if ours:
        _initialise()
    group = None
    try:
        if not dist.is_initialized() or dist.get_world_size() == 1:
            yield Ranks()
            return
        # a group of our own: on the CPU whatever the caller's is on, and patient
        group = dist.new_group(backend="gloo", timeout=_PATIENCE)
        rank = dist.get_rank()
        yield Ranks(rank, dist.get_world_size(), int(os.environ.get("LOCAL_RANK", rank)), group)
    finally:
        if group is not None:
            dist.destroy_process_group(group)
        if ours:
            dist.destroy_process_group()


def _initialise() -> None:
    """As init_process_group does, but again and again: it would find the addresses that the last time left behind."""
    where = tuple(os.environ[name] for name in _OF_TORCHRUN)
    if where not in _stores:
        _stores[where] = next(iter(dist.rendezvous("env://")))
    store, rank, size = _stores[where]
    mine = dist.PrefixStore(f"classykit/{next(_calls)}", store)
    dist.init_process_group("gloo", store=mine, rank=rank, world_size=size)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise DeviceError(
            "Another process of this run stopped before the work was done: its own error says why. What is written "
            f"stays; the same call goes on from there. ({error})"
        ) from error
