"""`capture`: features by block name, from one pass that stops as early as it can."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.running.recording import record
from classykit.subject import block_list, subject_of


@verb
def capture(
    model: nn.Module,
    x: Any,
    blocks: str | Iterable[str],
    *,
    grad: bool = False,
    on_block: Callable[[str], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Features of ``blocks`` for the input ``x``, from one pass in eval mode that stops after the last of them.

    Args:
        model: a ClassyModel or any nn.Module; nothing of it is changed.
        x: an input as the model takes it, on the model's device, e.g. (N, 3, H, W), or `classykit.Inputs`.
        blocks: block names, dotted paths or unique_ids of heads; one name, or several. Where a block is called as a
            head is, the block is meant.
        grad: keep the autograd graph, back through heads to the blocks and the input. Default False.
        on_block: called with each name as it is captured, for showing progress.

    Returns:
        ``{name: output}`` in the order asked for: what each block gave, even where a later in-place operation
        overwrites it. A block that runs several times in a pass gives its first output; of a block that gives
        several things (tokens with the size of their grid, say) it is the tensor that a head would get.

    Raises ConfigError for a description in place of a model, BlockError for names that are unknown, ambiguous or do
    not run, ShapeError when the pass fails, DeviceError when memory runs out, or there are no weights.

    >>> from classykit.models import build_model
    >>> net = build_model("resnet18")
    >>> capture(net, torch.zeros(1, 3, 64, 64), "block1-1")["block1-1"].shape
    torch.Size([1, 128, 8, 8])
    >>> head = net.attach_head("block1-1", "fully_connected", unique_id="early", num_classes=10)
    >>> capture(net, torch.zeros(1, 3, 64, 64), ["block1-1", "early"])["early"].shape
    torch.Size([1, 10])
    """
    return record(subject_of(model).with_weights(), x, block_list(blocks), grad, on_block)
