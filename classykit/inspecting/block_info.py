"""What an inspection says of one block, and of why a pass broke off."""

from __future__ import annotations

from dataclasses import dataclass

from classykit.features import Features
from classykit.inspecting.receptive.receptive_field import ReceptiveField

REST = "(rest)"  # the row of what runs after the last listed block
UNUSED = "(unused)"  # the row of weights that the pass does not come to


@dataclass(frozen=True)
class BlockInfo:
    """What there is to know about one block. Shapes leave the batch out; figures are for the whole batch.

    Attributes:
        name: the block's name; for a head's row its unique_id; "(rest)" for what runs outside all blocks,
            "(unused)" for the weights that a pass does not use.
        type: what it is, in words.
        stage: number of the run of blocks that share a resolution, from 0; None for a head.
        input_shape, output_shape: e.g. (24, 56, 56); None when it is no tensor.
        stride: pixels of the input from one position of the output to the next (4 for a map of 56 from 224): one
            number, or one an axis, (H, W), where these differ; None without a map.
        params: parameters, each counted once in the whole model.
        macs: multiply-accumulates of matrix products and convolutions; FLOPs are twice that. Counted.
        activations, activation_bytes: elements and bytes of the tensors that its operations make. Views and what is
            written in place are none; attention is one operation, which makes its output, however torch computes it
            (weights that a model's own code makes by a softmax count). So they do not move from release to release,
            nor from kernel to kernel. Counted.
        heads: unique_ids of the heads attached to it.
        receptive_field: which pixels of the input its output sees (a `ReceptiveField`); None when it gives no tensor,
            or the input has no spatial axes.
        features: the kind of features it gives (see `classykit.features`), None when not known.
        is_head: whether the row is a head's.
        has_skip: whether the block adds its input, as it is or projected, to what it makes of it.
        like: the name of an earlier block that is equal in all of these but name and receptive field; None when it is
            the first.
    """

    name: str
    type: str
    stage: int | None
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None
    stride: float | tuple[float, ...] | None
    params: int
    macs: int
    activations: int
    activation_bytes: int
    heads: tuple[str, ...] = ()
    receptive_field: ReceptiveField | None = None
    features: Features | None = None
    is_head: bool = False
    has_skip: bool = False
    like: str | None = None

    @property
    def strides(self) -> tuple[float, ...]:
        """The stride along each axis; () without a map."""
        if self.stride is None:
            return ()
        spatial = self.features.spatial if self.features is not None else (1,)
        return self.stride if isinstance(self.stride, tuple) else (self.stride,) * len(spatial)

    @property
    def stride_text(self) -> str:
        """The stride in words: "4", or "2×1" where the axes differ; "" without a map."""
        axes = self.strides if isinstance(self.stride, tuple) else self.strides[:1]
        return "×".join(f"{n:g}" for n in axes)

    @property
    def of_input(self) -> str:
        """How fine its map is beside the model's input: "1/8 of the input", "1×1/4×1/4 of the input"; "" without one.

        >>> import classykit
        >>> classykit.inspect("resnet18")["block1-0"].of_input
        '1/8 of the input'
        """
        axes = self.strides if isinstance(self.stride, tuple) else self.strides[:1]
        shares = ["1" if n == 1 else f"1/{n:.3g}" if n > 1 else f"{1 / n:.3g}" for n in axes]
        if shares == ["1"]:
            return "as fine as the input"
        return f"{'×'.join(shares)} of the input" if shares else ""


@dataclass(frozen=True)
class Failure:
    """Why a pass broke off.

    Attributes:
        block: the listed block that was running, or that would have ended next; None outside of all blocks.
        module: dotted path of the innermost module that was running ("" for the model itself).
        layer: that module in words, with its sizes: "Conv2d(3, 64, kernel_size=(7, 7), ...)".
        input_shape: what that module was given, batch included; None when it was no tensor.
        expected: what it takes, where that is known: "3 channels"; else None.
        reason: the exception, in one line.
        source: "file:line: code" of the innermost line outside of torch; None when there is no file.
    """

    block: str | None
    module: str
    layer: str
    input_shape: tuple[int, ...] | None
    expected: str | None
    reason: str
    source: str | None

    def __str__(self) -> str:
        where = f"block {self.block}" if self.block else "the model"
        if self.module and self.module != self.block:
            where += f", layer {self.module}"
        given = "no tensor" if self.input_shape is None else f"({', '.join(map(str, self.input_shape))})"
        expected = f" It takes {self.expected}, and was given {given}." if self.expected else f" It was given {given}."
        source = f" The line: {self.source}" if self.source else ""
        return f"failed in {where}: {self.layer}.{expected} {self.reason}{source}"
