"""What an inspection found: rows a block, totals, and the forms in which it can be had."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import ClassyKitError, ConfigError, ShapeError, quoted, suggest
from classykit.features import shape_text
from classykit.inspecting.block_info import REST, UNUSED, BlockInfo, Failure
from classykit.inspecting.memory_estimate import PeakMemory, estimate, largest_batch
from classykit.inspecting.report_table import html_of, text

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from classykit.inspecting.inside import Inside, Tree

_CLASSIFIERS = ("classifier", "fc", "head", "heads", "last_linear", "logits")


def _classifies(block: BlockInfo) -> bool:
    """Whether a block at the end of a trunk makes one vector of another, or of a map under a classifier's name."""
    is_vector = [
        shape is not None and all(n == 1 for n in shape[1:]) for shape in (block.input_shape, block.output_shape)
    ]
    return is_vector[1] and (is_vector[0] or block.name.rsplit(".", 1)[-1] in _CLASSIFIERS)


@dataclass(frozen=True)
class Inspection:
    """The blocks of a model and their totals; prints as a table, shows as one in a notebook.

    The columns of figures sum to the totals: heads have rows of their own after the blocks.

    Attributes:
        name: the model's name.
        input_shape: of one input, without the batch.
        batch_size: number of inputs that the figures are for.
        blocks: a `BlockInfo` each, in forward order, then the heads; up to where it failed if there is an error.
        buffers, buffer_bytes: elements and bytes of BatchNorm statistics and the like.
        param_bytes: the weights in the model's dtype.
        uncounted: {operation: times seen} that do arithmetic and for which there is no MAC formula.
        error: None, or where and why the pass broke off: the blocks and totals are then those until there.
        note: what else there is to say of how the figures were come by; "" when all is as usual.
        unreached_params: parameters of what the pass did not come to, because of the error; 0 without one.
        inputs: {keyword, or number of the argument: shape without the batch} where it takes several tensors; else {}.
    """

    name: str
    input_shape: tuple[int, ...]
    batch_size: int
    blocks: tuple[BlockInfo, ...]
    param_bytes: int
    buffer_bytes: int
    uncounted: dict[str, int] = field(default_factory=dict)
    buffers: int = 0
    error: Failure | None = None
    note: str = ""
    unreached_params: int = 0
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    # (batch size, dtype) -> a new twin on the meta device, and an input for it
    _make: Callable[[int, torch.dtype | None], tuple[nn.Module, Any]] | None = field(
        default=None, repr=False, compare=False
    )
    # {row: what its output sees}, from which a head's can be worked out without another pass
    _fields: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def trunk(self) -> list[BlockInfo]:
        """The rows that are blocks: without heads, and without what is outside of blocks."""
        return [b for b in self.blocks if not b.is_head and b.name not in (REST, UNUSED)]

    @property
    def classifier(self) -> list[BlockInfo]:
        """The rows that make classes of features: heads with weights, and the blocks at the end that take a vector.

        Empty where there are none: a trunk. A model of vectors from the beginning, such as an MLP, has none, either.

        >>> import classykit
        >>> [b.name for b in classykit.inspect("efficientnet_b0").classifier], classykit.inspect("resnet50").classifier
        (['fc'], [])
        """
        heads = [b for b in self.blocks if b.is_head and b.params]
        trunk, at_end = self.trunk, list[BlockInfo]()
        while trunk and _classifies(trunk[-1]):
            at_end.insert(0, trunk.pop())
        return ([] if not trunk else [b for b in at_end if b.params]) + heads

    def without_classifier(self) -> Inspection:
        """The same of the trunk alone; see `classifier`."""
        gone = {b.name for b in self.classifier}
        if not gone:
            return self
        per_weight = self.param_bytes / self.params if self.params else 0
        weights = round(per_weight * sum(b.params for b in self.blocks if b.name in gone))
        kept = tuple(b for b in self.blocks if b.name not in gone)
        return replace(self, blocks=kept, param_bytes=self.param_bytes - weights)

    @property
    def params(self) -> int:
        """Parameters of the whole model, shared ones once, whether the pass came to them or not."""
        return sum(b.params for b in self.blocks) + self.unreached_params

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one pass."""
        return sum(b.macs for b in self.blocks)

    @property
    def flops(self) -> int:
        """Floating-point operations of one pass: two a multiply-accumulate."""
        return 2 * self.macs

    @property
    def activation_bytes(self) -> int:
        """Bytes of all tensors that the operations of one pass write."""
        return sum(b.activation_bytes for b in self.blocks)

    @property
    def activations(self) -> int:
        """Elements of all tensors that the operations of one pass write."""
        return sum(b.activations for b in self.blocks)

    @property
    def input_text(self) -> str:
        """The input's shape in words: "3×224×224", or "ids 5, mask 5" for several."""
        several = ", ".join(f"{name} {shape_text(shape)}" for name, shape in self.inputs.items())
        return several or shape_text(self.input_shape)

    def __getitem__(self, name: str) -> BlockInfo:
        """The row called ``name``."""
        for block in self.blocks:
            if block.name == name:
                return block
        raise KeyError(name)

    def own_strides(self, name: str) -> tuple[float, ...]:
        """By how much a block itself thins out the positions that it is given, along each axis; () without maps.

        1 keeps them all, 1/2 makes twice as many. `BlockInfo.stride` is relative to the model's input; the first
        block's own is the same.

        >>> import classykit
        >>> i = classykit.inspect("resnet18")
        >>> i.own_strides("block1-0"), i.own_strides("block1-1"), i["block1-1"].stride
        ((2, 2), (1, 1), 8.0)
        """
        block = self[name]
        if name == self.blocks[0].name:
            return block.strides
        if not block.strides or block.input_shape is None or block.features is None:
            return ()
        given, made = block.input_shape[-len(block.strides) :], block.features.spatial
        if len(block.input_shape) != len(made) + 1 or not all(given) or not all(made):
            return ()
        return tuple(round(n / m) if n >= m else 1 / round(m / n) for n, m in zip(given, made, strict=True))

    def require(self) -> Inspection:
        """This inspection when the pass went through; else ShapeError with the failing block and the reason."""
        if self.error is not None:
            raise ShapeError(f"{self.name} cannot run on an input of {self.input_text}: it {self.error}")
        return self

    def to_pandas(self) -> pandas.DataFrame:
        """A row a block, with these columns:

        block, type; stage; input_shape, output_shape (without the batch); stride (pixels of the input per
        position; that of the last axis where the axes differ); params (elements); macs (multiply-accumulates of the
        batch); activations (elements) and activation_bytes (bytes), of the batch; receptive_field
        (pixels of the input that a position sees, its stride
        in pixels, or what made it global; in words); heads (unique_ids, comma-separated).
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "block": [b.name for b in self.blocks],
                "type": [b.type for b in self.blocks],
                "stage": pd.array([b.stage for b in self.blocks], dtype="Int64"),
                "input_shape": [shape_text(b.input_shape) for b in self.blocks],
                "output_shape": [shape_text(b.output_shape) for b in self.blocks],
                "stride": pd.array([b.strides[-1] if b.strides else None for b in self.blocks], dtype="Float64"),
                "params": [b.params for b in self.blocks],
                "macs": [b.macs for b in self.blocks],
                "activations": [b.activations for b in self.blocks],
                "activation_bytes": [b.activation_bytes for b in self.blocks],
                "receptive_field": ["" if b.receptive_field is None else str(b.receptive_field) for b in self.blocks],
                "heads": [", ".join(b.heads) for b in self.blocks],
            }
        )

    def plot(self, kind: str = "cost") -> Figure:
        """A matplotlib Figure that belongs to no pyplot window (see `classykit.plots`).

        Args:
            kind: "cost": parameters, MACs and activations by block; "shapes": how resolution falls and channels rise;
                "receptive field": how much of the input each block sees; "architecture": the blocks as one picture.

        Raises ConfigError for another kind, or where there is nothing to draw.
        """
        from classykit import plots

        kinds = {
            "cost": plots.cost_bars,
            "shapes": plots.shape_flow,
            "receptive field": plots.receptive_field_curve,
            "architecture": plots.architecture,
        }
        if kind not in kinds:
            raise ConfigError(f"kind is one of {', '.join(map(repr, kinds))}, not {kind!r}.{suggest(kind, kinds)}")
        return kinds[kind](self)

    @verb
    def peak_memory(
        self,
        mode: str = "inference",
        batch_size: int | None = None,
        dtype: torch.dtype | None = None,
        optimizer: str = "adam",
    ) -> PeakMemory:
        """The most memory that one pass holds at a time, estimated from the lifetimes of tensors in a meta pass.

        Args:
            mode: "inference": a pass without gradients; "training": forward, backward and an optimizer's step.
            batch_size: default: that of the inspection.
            dtype: of weights and activations; default: the model's own.
            optimizer: "sgd" (no state), "momentum" (one number a parameter) or "adam" (two); for training only.

        Returns a `PeakMemory` of bytes by kind. What kernels allocate for themselves (workspaces) is not in it.
        Raises ConfigError for what cannot be asked, ShapeError when the model cannot run so: BatchNorm, for one,
        cannot be trained on a single vector.
        """
        if batch_size is None:
            batch_size = self.batch_size
        if type(batch_size) is not int or batch_size < 1:
            raise ConfigError(f"batch_size is a positive number, not {quoted(batch_size)}.")
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise ConfigError(f"dtype is a floating-point type such as torch.bfloat16, not {quoted(dtype)}.")
        twin, x = self._again(batch_size, dtype)
        try:
            return estimate(twin, x, mode, optimizer)
        except (RuntimeError, ValueError, TypeError) as error:
            if isinstance(error, ClassyKitError):
                raise
            raise ShapeError(f"{self.name} cannot run for {mode} with a batch of {batch_size}: {error}") from error

    def largest_batch(
        self, memory: float, mode: str = "inference", dtype: torch.dtype | None = None, optimizer: str = "adam"
    ) -> int:
        """The largest batch whose `peak_memory` is within ``memory`` bytes, e.g. 16e9; 0 when not even one input is.

        >>> import classykit
        >>> i = classykit.inspect("resnet18")
        >>> n = i.largest_batch(2**30)
        >>> i.peak_memory(batch_size=n).total <= 2**30 < i.peak_memory(batch_size=n + 1).total
        True
        """

        def needed(n: int) -> int:
            return self.peak_memory(mode, batch_size=n, dtype=dtype, optimizer=optimizer).total

        if isinstance(memory, bool) or not isinstance(memory, (int, float)) or not 0 <= memory < math.inf:
            raise ConfigError(f"memory is a number of bytes, such as 16e9, not {quoted(memory)}.")
        try:
            return largest_batch(needed, int(memory))
        except ShapeError:  # what cannot be trained on one may be on two
            return largest_batch(lambda n: needed(max(n, 2)), int(memory))

    def layers(self, depth: int = 3) -> Any:
        """torchinfo's tree of layers, of the same model on the meta device (its ``ModelStatistics``).

        Args:
            depth: how many levels of modules are shown.

        Its counts of multiply-adds leave attention out; those of this inspection do not.
        Raises MissingDependencyError without torchinfo.
        """
        from classykit.inspecting.layers import layer_tree

        twin, x = self._again(self.batch_size, None)
        return layer_tree(twin, x, depth)

    @verb
    def inside(self, block: str) -> Inside:
        """The layers of a block in the order in which they run, and the functions between them, from a meta pass.

        Args:
            block: a block's name, or the dotted path of any module.

        Each has what it gives, its parameters and MACs, and from which of the others it takes its input: so one sees
        where a skip leaves and where it is added. Raises BlockError for what does not run.

        >>> import classykit
        >>> [part.name for part in classykit.inspect("efficientnet_b0").inside("stem").parts]
        ['conv_stem', 'bn0', 'act_stem']
        """
        return self._tree.inside(block)

    @cached_property
    def _tree(self) -> Tree:
        from classykit.inspecting.inside import tree_of

        twin, x = self._again(self.batch_size, None)
        return tree_of(twin, x, self.batch_size)

    def _again(self, batch_size: int, dtype: torch.dtype | None) -> tuple[nn.Module, Any]:
        self.require()
        if self._make is None:
            raise ShapeError(f"{self.name} had to be run on real numbers: this needs a pass on the meta device.")
        return self._make(batch_size, dtype)

    def __str__(self) -> str:
        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_of(self)
