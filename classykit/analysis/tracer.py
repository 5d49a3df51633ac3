"""One pass on the meta device, watched operation by operation: what runs in which block, at what cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

REST = "(rest)"  # where goes what runs after the last listed block


@dataclass
class BlockTrace:
    """What was seen of one block."""

    input: Any = None
    output: Any = None
    macs: int = 0
    activation_bytes: int = 0
    activations: int = 0
    params: list[torch.Tensor] = field(default_factory=list)


@dataclass
class Trace:
    """What was seen of a pass: each listed block, in the order in which they ended."""

    blocks: dict[str, BlockTrace]
    uncounted: Counter[str]
    output: Any


# Work that is no multiply-accumulate by convention (element by element, pooling, normalisation, moving data):
# known to cost 0 MACs, so no gap in the count. Views and in-place forms are recognised by their schema.
_FREE = set(
    """_adaptive_avg_pool2d _adaptive_avg_pool3d _softmax _log_softmax _to_copy _unsafe_view adaptive_max_pool2d
    amax amin any arange argmax avg_pool2d avg_pool3d bernoulli cat clone constant_pad_nd copy cumsum detach empty
    empty_like eq fill flip full full_like gather ge gt index index_select le lift_fresh lt max
    max_pool2d_with_indices max_pool3d_with_indices mean min native_batch_norm _native_batch_norm_legit
    _native_batch_norm_legit_no_training native_dropout native_group_norm native_layer_norm ne new_empty new_zeros
    ones ones_like pad rand randn reflection_pad2d repeat roll scalar_tensor scatter select_backward slice stack
    sum topk tril triu upsample_bicubic2d upsample_bilinear2d upsample_nearest2d var_mean zeros zeros_like
    _safe_softmax argsort sort where native_channel_shuffle channel_shuffle pixel_shuffle linalg_vector_norm
    """.split()
)


class _Watch(TorchDispatchMode):
    """Sees every operation and books it on the block that is running, or on the next to end."""

    def __init__(self, owned: Mapping[int, str], names: set[str]):
        super().__init__()
        self.blocks: dict[str, BlockTrace] = {name: BlockTrace() for name in names}
        self.running: list[str] = []
        self.order: list[str] = []
        self.between = BlockTrace()  # since the last block ended
        self.uncounted: Counter[str] = Counter()
        self.owned = owned
        self.seen_params: set[int] = set()

    def enter(self, name: str, module: nn.Module, args: Any) -> None:
        block = self.blocks[name]
        if block.input is None and args:
            block.input = args[0]
        self.running.append(name)

    def leave(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        block = self.blocks[name]
        self.running.pop()
        if block.output is None:
            block.output = output
            self.order.append(name)
        if not self.running:  # what ran since the last block led up to this one
            block.macs += self.between.macs
            block.activation_bytes += self.between.activation_bytes
            block.activations += self.between.activations
            block.params += self.between.params
            self.between = BlockTrace()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        block = self.blocks[self.running[-1]] if self.running else self.between
        packet = func._overloadpacket
        formula = flop_registry.get(packet)
        if formula is not None:
            block.macs += formula(*args, **kwargs, out_val=out) // 2
        if not self.running:
            self._claim(args)
        if func.is_view or func._schema.is_mutable:
            return out
        if formula is None and torch.Tag.pointwise not in func.tags and packet.__name__ not in _FREE:
            self.uncounted[packet.__name__] += 1
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                block.activations += tensor.numel()
                block.activation_bytes += tensor.numel() * tensor.element_size()
        return out

    def _claim(self, args: Any) -> None:
        """Book the parameters that are used between blocks and belong to none."""
        for arg in args:
            if isinstance(arg, (tuple, list)):
                self._claim(arg)
            elif isinstance(arg, nn.Parameter) and id(arg) not in self.owned and id(arg) not in self.seen_params:
                self.seen_params.add(id(arg))
                self.between.params.append(arg)


def trace(twin: nn.Module, paths: Mapping[str, str], x: Any) -> Trace:
    """Watch one pass of ``twin``, a module on the meta device that may be changed, on the meta input ``x``.

    Args:
        twin: a copy of the model (see `classykit.meta.meta_twin`).
        paths: {block name: dotted path}; a block inside another is booked on the inner one.

    Each parameter is booked once: on the innermost block whose module holds it, else on the block before whose
    end it is used, else on `REST`.
    """
    modules = {name: twin.get_submodule(path) for name, path in paths.items()}
    owned: dict[int, str] = {}
    held: dict[str, list[nn.Parameter]] = {name: [] for name in paths}
    for name in sorted(paths, key=lambda n: -paths[n].count(".")):  # innermost first
        for parameter in modules[name].parameters():
            if id(parameter) not in owned:
                owned[id(parameter)] = name
                held[name].append(parameter)
    watch = _Watch(owned, set(paths))
    handles = []
    for name, module in modules.items():
        handles.append(module.register_forward_pre_hook(partial(watch.enter, name)))
        handles.append(module.register_forward_hook(partial(watch.leave, name)))
    try:
        with torch.no_grad(), watch:
            output = twin(x)
    finally:
        for handle in handles:
            handle.remove()
    blocks = {name: watch.blocks[name] for name in watch.order}
    for name, block in blocks.items():
        block.params += held[name]
    rest = watch.between
    booked = {id(p) for block in blocks.values() for p in block.params} | {id(p) for p in rest.params}
    for parameter in twin.parameters():
        if id(parameter) not in booked:
            booked.add(id(parameter))
            rest.params.append(parameter)
    if rest.params or rest.macs:
        blocks[REST] = rest
    return Trace(blocks, watch.uncounted, output)
