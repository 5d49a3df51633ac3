"""What a network is and what it costs: one pass on the meta device, block by block."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit import formats
from classykit.analysis.tracer import REST, BlockTrace, trace
from classykit.errors import ClassyKitError, ConfigError, ShapeError
from classykit.features import Features, main_tensor, shape_text
from classykit.meta import dtype_of, empty_input, meta_twin
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import build_model

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class BlockInfo:
    """What there is to know about one block. Shapes leave the batch out; figures are for the whole batch.

    Attributes:
        name: the block's name; for a head's row its unique_id; "(rest)" for what runs outside all blocks.
        type: what it is, in words.
        stage: number of the run of blocks that share a resolution, from 0; None for a head.
        input_shape, output_shape: e.g. (24, 56, 56); None when it is no tensor.
        stride: pixels of the input per position of the output (224 / 56 = 4); None without a map.
        params: parameters, each counted once in the whole model.
        macs: multiply-accumulates of matrix products and convolutions; FLOPs are twice that. Counted.
        activations, activation_bytes: elements and bytes of all tensors that its operations write. Counted.
        heads: unique_ids of the heads attached to it.
        features: the kind of features it gives (see `classykit.features`), None when not known.
        is_head: whether the row is a head's.
        has_skip: whether the block adds its input to its output; known for this kit's own families.
    """

    name: str
    type: str
    stage: int | None
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None
    stride: float | None
    params: int
    macs: int
    activations: int
    activation_bytes: int
    heads: tuple[str, ...] = ()
    features: Features | None = None
    is_head: bool = False
    has_skip: bool = False


@dataclass(frozen=True)
class Inspection:
    """The blocks of a model and their totals; prints as a table, shows as one in a notebook.

    The columns of figures sum to the totals: heads have rows of their own after the blocks.

    Attributes:
        name: the model's name.
        input_shape: of one input, without the batch.
        batch_size: number of inputs that the figures are for.
        blocks: a `BlockInfo` each, in forward order, then the heads.
        buffer_bytes: BatchNorm statistics and the like.
        param_bytes: the weights in the model's dtype.
        uncounted: {operation: times seen} that do arithmetic and for which there is no MAC formula.
    """

    name: str
    input_shape: tuple[int, ...]
    batch_size: int
    blocks: tuple[BlockInfo, ...]
    param_bytes: int
    buffer_bytes: int
    uncounted: dict[str, int] = field(default_factory=dict)

    @property
    def params(self) -> int:
        """Parameters of the whole model, shared ones once."""
        return sum(b.params for b in self.blocks)

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

    def __getitem__(self, name: str) -> BlockInfo:
        """The row called ``name``."""
        for block in self.blocks:
            if block.name == name:
                return block
        raise KeyError(name)

    def to_pandas(self) -> pandas.DataFrame:
        """A row a block. Columns: block, type, stage, input_shape, output_shape (without the batch), stride
        (pixels of the input), params, macs, activation_bytes, heads (unique_ids, comma-separated)."""
        import pandas as pd

        return pd.DataFrame(
            {
                "block": [b.name for b in self.blocks],
                "type": [b.type for b in self.blocks],
                "stage": pd.array([b.stage for b in self.blocks], dtype="Int64"),
                "input_shape": [shape_text(b.input_shape) for b in self.blocks],
                "output_shape": [shape_text(b.output_shape) for b in self.blocks],
                "stride": pd.array([b.stride for b in self.blocks], dtype="Float64"),
                "params": [b.params for b in self.blocks],
                "macs": [b.macs for b in self.blocks],
                "activation_bytes": [b.activation_bytes for b in self.blocks],
                "heads": [", ".join(b.heads) for b in self.blocks],
            }
        )

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                b.name,
                b.type,
                shape_text(b.output_shape),
                "" if b.stride is None else f"{b.stride:g}",
                formats.count(b.params),
                formats.count(b.macs),
                formats.size(b.activation_bytes),
                ", ".join(b.heads),
            )
            for b in self.blocks
        ]

    @property
    def _title(self) -> str:
        batch = "" if self.batch_size == 1 else f", batch of {self.batch_size}"
        return f"{self.name}, input {shape_text(self.input_shape)}{batch}"

    @property
    def _totals(self) -> str:
        text = (
            f"{formats.count(self.params)} parameters ({formats.size(self.param_bytes)}), "
            f"{formats.count(self.macs)} MACs ({formats.count(self.flops)} FLOPs), "
            f"{formats.size(self.activation_bytes)} of activations"
        )
        if self.uncounted:
            text += "; not counted: " + ", ".join(f"{op} ×{n}" for op, n in self.uncounted.items())
        return text

    def _table(self) -> tuple[list[str], set[int], list[list[str]]]:
        """(headings, which columns hold figures, rows); without the column of heads when there are none."""
        headings = ["block", "type", "output", "stride", "params", "MACs", "activations", "heads"]
        rows = [list(row) for row in self._rows()]
        if not any(row[-1] for row in rows):
            headings.pop()
            rows = [row[:-1] for row in rows]
        return headings, {3, 4, 5, 6}, rows

    def __str__(self) -> str:
        headings, figures, rows = self._table()
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        lines = [
            "  ".join(
                text.rjust(width) if i in figures else text.ljust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in [headings, *rows]
        ]
        rule = "─" * max(map(len, lines))
        return "\n".join([self._title, rule, lines[0], rule, *lines[1:], rule, self._totals])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table with bars for parameters and MACs; readable without a kernel, in any theme."""
        headings, figures, rows = self._table()
        # a bar behind the figure, as long as its share of the largest block's
        largest = {4: max(b.params for b in self.blocks) or 1, 5: max(b.macs for b in self.blocks) or 1}
        body = []
        for info, row in zip(self.blocks, rows, strict=True):
            share = {4: info.params / largest[4], 5: info.macs / largest[5]}
            body.append("".join(_cell("td", text, i in figures, share.get(i)) for i, text in enumerate(row)))
        head = "".join(_cell("th", text, i in figures) for i, text in enumerate(headings))
        return (
            '<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:12px;'
            'font-variant-numeric:tabular-nums">'
            f'<caption style="text-align:left;padding:4px 8px"><b>{html.escape(self._title)}</b><br>'
            f"{html.escape(self._totals)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(f'<tr>{cells}</tr>' for cells in body)}</tbody></table></div>"
        )


def _cell(tag: str, text: str, is_figure: bool, share: float | None = None) -> str:
    style = f"padding:1px 8px;text-align:{'right' if is_figure else 'left'};white-space:nowrap;border:0"
    if share is not None:
        bar = "linear-gradient(#5b9bd555,#5b9bd555) right"
        style += f";min-width:84px;background:{bar}/{100 * share:.1f}% 76% no-repeat"
    return f'<{tag} style="{style}">{html.escape(text)}</{tag}>'


def inspect(
    model: str | Mapping[str, Any] | nn.Module, input_shape: tuple[int, ...] | None = None, batch_size: int = 1
) -> Inspection:
    """What a model is and what it costs, from one pass on the meta device: no weight is allocated.

    Args:
        model: a registered name, a config, a ClassyModel, or any nn.Module that takes one tensor. A module is
            inspected through a weightless copy; nothing of it is changed.
        input_shape: shape of one input without the batch. Default: the model's own, else (3, 224, 224).
        batch_size: number of inputs in the pass. Default 1.

    Figures are for inference (eval mode): MACs are counted by the operations that run, with the formulas of
    torch.utils.flop_counter.

    Raises ShapeError when the model cannot run on such an input, ConfigError and others for a bad config.

    >>> i = inspect("resnet50")
    >>> i.params, round(i.macs / 1e9, 2)
    (23508032, 4.09)
    """
    if isinstance(model, (str, Mapping)):
        twin = build_model(model, device="meta").eval()
    elif isinstance(model, nn.Module):
        twin = _twin_of(getattr(model, "_orig_mod", model))
    else:
        raise ConfigError(f"inspect takes a name, a config or an nn.Module, not {type(model).__name__}.")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigError(f"batch_size is a positive number, not {batch_size!r}.")
    heads = {h.unique_id: block for block, of_block in twin.get_heads().items() for h in of_block}
    paths = {**twin.block_paths(), **_extra_paths(twin)}
    x = twin.example_input(batch_size, "meta")
    if input_shape is not None:
        if not isinstance(input_shape, (tuple, list, torch.Size)) or not all(
            isinstance(n, int) and n > 0 for n in input_shape
        ):
            raise ConfigError(f"input_shape is a tuple of positive sizes such as (3, 224, 224), not {input_shape!r}.")
        x = empty_input(tuple(input_shape), batch_size, dtype_of(twin))
    shape = tuple(x.shape[1:]) if isinstance(x, torch.Tensor) else twin.input_shape
    try:
        seen = trace(twin, paths, x)
    except ClassyKitError:
        raise
    except Exception as error:
        raise ShapeError(
            f"{_name(twin)} cannot run on an input of {shape_text(shape)}: {error}"
        ) from error
    tensors = list({id(p): p for p in twin.parameters()}.values())
    return Inspection(
        name=_name(twin),
        input_shape=shape,
        batch_size=batch_size,
        blocks=tuple(_rows(twin, paths, seen.blocks, heads, shape, batch_size)),
        param_bytes=sum(p.numel() * p.element_size() for p in tensors),
        buffer_bytes=sum(b.numel() * b.element_size() for b in twin.buffers()),
        uncounted=dict(seen.uncounted),
    )


def _twin_of(model: nn.Module) -> ClassyModel:
    try:
        twin = meta_twin(model)
    except Exception as error:
        raise ShapeError(
            f"{type(model).__name__} cannot be inspected: copying its module tree raised {type(error).__name__}: "
            f"{error}. Something that it holds cannot be copied."
        ) from error
    if isinstance(model, ClassyModel):
        heads = model.get_heads()
        if heads:  # the copy has lost its hooks, the heads' among them
            twin._install([(b, h) for b, of in twin.get_heads().items() for h in of], model._readings)
        return twin
    return ClassyModel.from_model(twin)


def _name(model: ClassyModel) -> str:
    return model.config.get("name", type(model).__name__)


def _extra_paths(model: ClassyModel) -> dict[str, str]:
    """Rows besides the listed blocks: one a head, and blocks with heads that are not listed."""
    listed = model.block_paths()
    extra = {block: model.find_block(block)[1] for block in model.get_heads() if block not in listed}
    for name, head in model.named_modules():
        if name.startswith("_heads.") and name.count(".") == 1:
            extra[_row_of_head(head.unique_id, listed)] = name
    return extra


def _row_of_head(unique_id: str, listed: Mapping[str, str]) -> str:
    return f"head {unique_id}" if unique_id in listed else unique_id


def _rows(
    twin: ClassyModel,
    paths: Mapping[str, str],
    seen: Mapping[str, BlockTrace],
    heads: Mapping[str, str],
    shape: tuple[int, ...],
    batch_size: int,
) -> list[BlockInfo]:
    rows: list[BlockInfo] = []
    stage, resolution = -1, None
    square = len(shape) < 3 or shape[-1] == shape[-2]
    for name in seen:
        block = seen[name]
        path = paths.get(name, "")
        is_head = path.startswith("_heads.")
        output = main_tensor(block.output, batch_size, square)[1]
        given = Features.of(output, batch_size, square)
        spatial = given.spatial if given is not None else ()
        here = spatial or (given.kind if given is not None else None)
        if not is_head and name != REST and here != resolution:
            stage, resolution = stage + 1, here
        rows.append(
            BlockInfo(
                name=name,
                type=_type_of(twin.get_submodule(path)) if path else "outside the listed blocks",
                stage=None if is_head or name == REST else stage,
                input_shape=_shape(main_tensor(block.input, batch_size, square)[1], batch_size),
                output_shape=_shape(output, batch_size),
                stride=shape[-1] / spatial[-1] if spatial and len(shape) >= 3 and spatial[-1] else None,
                params=sum(p.numel() for p in block.params),
                macs=block.macs,
                activations=block.activations,
                activation_bytes=block.activation_bytes,
                heads=tuple(h for h, of_block in heads.items() if of_block == name and not is_head),
                features=given,
                is_head=is_head,
                has_skip=bool(path) and getattr(twin.get_submodule(path), "has_skip", False) is True,
            )
        )
    return rows


def _shape(value: Any, batch_size: int) -> tuple[int, ...] | None:
    if not isinstance(value, torch.Tensor):
        return None
    features = Features.of(value, batch_size)
    return features.shape if features is not None else tuple(value.shape[1:])


def _type_of(module: nn.Module) -> str:
    words = getattr(module, "block_type", None)
    if isinstance(words, str):
        return words
    registered = getattr(module, "registered_name", None)
    if isinstance(registered, str):
        return registered.replace("_", " ").removesuffix(" head") + " head"
    name = type(module).__name__
    kernel = getattr(module, "kernel_size", None)
    if isinstance(kernel, tuple) and all(isinstance(k, int) for k in kernel):
        name += " " + "×".join(map(str, kernel))
    return name
