"""How heads get at a block's output: forward hooks that write into a record belonging to one call.

One record per call and thread, not one per model: a dict shared by threads would mix their features.
Nothing outlives the call. Only plain hooks are used, so torch.compile, torch.export, jit.trace, pickle,
deepcopy and data parallelism, which all know hooks, keep working.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

_running = threading.local()  # .calls: [(Taps, record), ...] of this thread, innermost last


class Taps:
    """The calls of one model; the model and its `Tap`s share it, and copies of the model get a copy."""

    def begin(self, module: nn.Module, args: Any) -> None:
        """Forward pre-hook of the model: open a record."""
        self._close()  # a record that is still open was left behind by a call that raised
        _running.calls.append((self, {}))

    def end(self, run_heads: Callable, module: nn.Module, args: Any, output: Any) -> Any:
        """Forward hook of the model: close the record and replace the output by what the heads say."""
        record = self._close()
        return output if record is None else run_heads(module, record)

    def abandon(self, module: nn.Module, args: Any, output: Any) -> None:
        """Forward hook that also runs when the pass raised: lets go of the tensors recorded so far."""
        self._close()

    def _close(self) -> dict[str, Any] | None:
        """Take this model's record, and any left open inside it, off the thread's stack."""
        calls = getattr(_running, "calls", None)
        if calls is None:
            calls = _running.calls = []
        for i in range(len(calls) - 1, -1, -1):
            if calls[i][0] is self:
                record = calls[i][1]
                while len(calls) > i:  # one by one: older compilers do not know how to delete a slice
                    calls.pop()
                return record
        return None


@dataclass(frozen=True)
class Reading:
    """How features are read off a block's output.

    ``key`` is where in a tuple, list or dict they are; ``clone`` is set where a later in-place operation would
    overwrite them.
    """

    key: int | str | None = None
    clone: bool = False


class Tap:
    """Forward hook of a block that a head is attached to: records what the block gave.

    A block that runs more than once in a pass is recorded the first time.
    """

    def __init__(self, taps: Taps, block: str, reading: Reading):
        self.taps, self.block, self.reading = taps, block, reading

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        for owner, record in getattr(_running, "calls", ()):
            if owner is self.taps and self.block not in record:
                features = output if self.reading.key is None else output[self.reading.key]
                record[self.block] = features.clone() if self.reading.clone else features
