"""One pass on the meta device, watched operation by operation: what runs in which block, at what cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch._C import DispatchKey
from torch._ops import HigherOrderOperator
from torch.utils.flop_counter import flop_registry

from classykit import shortcuts
from classykit.contexts import Mode
from classykit.inspecting.block_info import REST, UNUSED
from classykit.inspecting.folding import outline, redraw, structure_key
from classykit.inspecting.receptive.fields import ALL, Field, Site, Unfollowed, absolute, extent, plain, relative
from classykit.inspecting.receptive.sight import Sight
from classykit.inspecting.skips import Flow
from classykit.meta import registered
from classykit.nested import Inputs, call, tensors_in
from classykit.recurrent import FEW, Brief, drawn_out, is_recurrent, step_by_step, steps, time_dim
from classykit.watch import Watch


@dataclass
class Cost:
    """What operations cost: counted, and added up."""

    macs: int = 0
    activations: int = 0
    activation_bytes: int = 0
    uncounted: Counter[str] = field(default_factory=Counter)

    def minus(self, other: Cost) -> Cost:
        return Cost(
            self.macs - other.macs,
            self.activations - other.activations,
            self.activation_bytes - other.activation_bytes,
            self.uncounted - other.uncounted,
        )

    def extended(self, step: Cost, times: int) -> Cost:
        """With what a step costs, so many times."""
        return Cost(
            self.macs + times * step.macs,
            self.activations + times * step.activations,
            self.activation_bytes + times * step.activation_bytes,
            self.uncounted + Counter({name: times * n for name, n in step.uncounted.items()}),
        )

    def add(self, other: Cost) -> None:
        self.macs += other.macs
        self.activations += other.activations
        self.activation_bytes += other.activation_bytes
        self.uncounted += other.uncounted


@dataclass
class BlockTrace:
    """What was seen of one block."""

    input: Any = None
    output: Any = None
    cost: Cost = field(default_factory=Cost)
    params: list[torch.Tensor] = field(default_factory=list)
    site: Site = field(default_factory=Site)
    # {id of a tensor of the output: what it sees}; for what runs after the last block, the pass's output is id(None)
    fields: dict[int, Field | None] = field(default_factory=dict)
    has_skip: bool = False


@dataclass
class Trace:
    """What was seen of a pass: each listed block, in the order in which they ended.

    ``failure`` is what ended the pass early, and ``failed_in`` the blocks that were running then, outermost first.
    ``unlisted`` counts parameters that the pass uses and the model does not have among its own.
    """

    blocks: dict[str, BlockTrace]
    uncounted: Counter[str]
    output: Any = None
    failure: Exception | None = None
    failed_in: list[str] = field(default_factory=list)
    unlisted: int = 0


# Work that is no multiply-accumulate by convention (element by element, pooling, normalisation, moving data):
# known to cost 0 MACs, so no gap in the count. Views and in-place forms are recognised by their schema.
_FREE = set(
    """_adaptive_avg_pool2d _adaptive_avg_pool3d _assert_async _assert_scalar _fused_rms_norm _local_scalar_dense
    _log_softmax _native_batch_norm_legit _native_batch_norm_legit_no_training _prelu_kernel
    _record_function_enter _record_function_enter_new _record_function_exit _safe_softmax _softmax _to_copy
    _unique2 _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d _weight_norm_interface adaptive_max_pool2d
    adaptive_max_pool3d all amax amin aminmax any arange argmax argsort avg_pool2d avg_pool3d bernoulli bincount
    bucketize cat channel_shuffle clone col2im constant_pad_nd copy count_nonzero cumprod cumsum detach
    diag_embed dist embedding empty empty_like empty_strided eq equal eye fill flip floor_divide full full_like
    gather ge glu gt hardsigmoid hardswish histc im2col index index_add index_copy index_fill index_put
    index_select isin kthvalue le lerp lift_fresh linalg_vector_norm linspace logcumsumexp logspace logsumexp lt
    masked_fill masked_scatter masked_select max max_pool2d_with_indices max_pool3d_with_indices mean median min
    mode multinomial nansum native_batch_norm native_channel_shuffle native_dropout native_group_norm
    native_layer_norm ne new_empty new_empty_strided new_full new_ones new_zeros nms nonzero norm normal one_hot
    ones ones_like pad pixel_shuffle pixel_unshuffle prod rand rand_like randint randint_like randn randn_like
    random randperm reflection_pad1d reflection_pad2d reflection_pad3d renorm repeat replication_pad1d
    replication_pad2d replication_pad3d roll rot90 scalar_tensor scatter scatter_add scatter_reduce searchsorted
    select_backward set_data slice sort stack std std_mean sum take topk tril tril_indices triu triu_indices
    celu elu hardshrink hardtanh isfinite leaky_relu mish selu softplus softshrink threshold
    uniform unique_consecutive unique_dim unsafe_chunk unsafe_split unsafe_split_with_sizes upsample_bicubic2d
    upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    upsample_trilinear3d var var_mean where zeros zeros_like
    """.split()
)


class _Watch(Watch):
    """Sees every operation and books it on the block that is running, or on the next to end."""

    supports_higher_order_operators = True

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Tells torch.compile that it may compile what runs within: functions of a model may be compiled."""
        return True

    def __init__(self, owned: Mapping[int, str], names: set[str], sight: Sight):
        super().__init__()
        self.blocks: dict[str, BlockTrace] = {name: BlockTrace(site=Site(name)) for name in names}
        self.running: list[str] = []
        self.flows: list[Flow] = []  # through each of these
        self.order: list[str] = []
        self.between = BlockTrace()  # since the last block ended
        self.owned = owned
        self.sight = sight
        self.seen_params: set[int] = set()
        self.listed: set[int] = set()  # ids of the model's parameters
        self.unlisted: list[torch.Tensor] = []  # parameters that it uses and does not list
        self.paused = False

    @property
    def here(self) -> BlockTrace:
        return self.blocks[self.running[-1]] if self.running else self.between

    def enter(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        block = self.blocks[name]
        if block.input is None:
            block.input = next(iter((*args, *kwargs.values())), None)
        self.running.append(name)
        self.flows.append(Flow(tensors_in((args, kwargs))))

    def leave(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        block = self.blocks[name]
        self.running.pop()
        flow, outputs = self.flows.pop(), tensors_in(output)
        block.has_skip = block.has_skip or flow.adds(outputs)
        self.flow_through(flow.end(), outputs)
        if block.output is None:
            block.output = output
            block.fields = {id(t): self.sight.of(t) for t in outputs}
            self.order.append(name)
        if not self.running:  # what ran since the last block led up to this one
            block.cost.add(self.between.cost)
            block.params += self.between.params
            self.between.site.name = name
            self.between = BlockTrace()

    def flow_through(self, given: Any, outputs: Any) -> None:
        """Some work with weights, as one operation of the block that is running."""
        if self.flows:
            self.flows[-1].follow(None, given, outputs, weighs=True)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):  # flex_attention, cond and the like: what they are made of is seen
            made_of = func.py_kernels.get(DispatchKey.CompositeExplicitAutograd)
            if made_of is None:
                return NotImplemented
            with self:
                return made_of(*args, **kwargs)
        if not self.paused and _is_composite(func):  # not taken apart by now: in inference mode, for one
            known = shortcuts.made_of(func, args, kwargs)
            if known is not None:
                func, args, out = known
                self.book(func, args, {}, out)
                return out[0] if isinstance(out, tuple) else out
            with self:  # not func.decompose, which prefers what torch.compile wants
                return func._op_dk(DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        out = shortcuts.run(func, args, kwargs)
        if not self.paused:
            self.book(func, args, kwargs, out)
        return out

    def book(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """What an operation costs, on the block that is running."""
        here = self.here
        cost = here.cost
        self.sight.follow(func, args, kwargs, out, here.site)
        packet = func._overloadpacket
        formula = flop_registry.get(packet)
        if self.flows:
            self.flows[-1].follow(func, args, out, formula is not None or func is shortcuts.ATTENTION)
        if func is shortcuts.ATTENTION:
            cost.macs += shortcuts.attention_macs(*args, **kwargs)
        elif func is shortcuts.CONVOLUTION:
            cost.macs += shortcuts.convolution_macs(*args, **kwargs, out=out)
        elif formula is not None:
            cost.macs += formula(*args, **kwargs, out_val=out) // 2
        self._claim(args, here)
        if func.is_view or func._schema.is_mutable:
            return
        if (
            formula is None
            and func is not shortcuts.ATTENTION
            and torch.Tag.pointwise not in func.tags
            and packet.__name__ not in _FREE
        ):
            cost.uncounted[packet.__name__] += 1
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                numel = tensor.numel()
                cost.activations += numel
                cost.activation_bytes += numel * tensor.element_size()

    def _claim(self, args: Any, here: BlockTrace) -> None:
        """Book the parameters that belong to no block where they are used first; apart, those of no module listed."""
        for arg in args:
            kind = type(arg)
            if kind is tuple or kind is list:
                self._claim(arg, here)
            elif kind is torch.Tensor or not isinstance(arg, torch.Tensor) or id(arg) in self.owned:
                continue
            elif isinstance(arg, nn.Parameter) and id(arg) not in self.seen_params:  # slow to tell, so at last
                self.seen_params.add(id(arg))
                (here.params if id(arg) in self.listed else self.unlisted).append(arg)


class _WholeAttention(Mode):
    """Books attention as one operation where numbers are computed, too: there torch takes it apart, as it sees fit."""

    def __init__(self, watch: _Watch):
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention or self.watch.paused:
            return func(*args, **kwargs)
        self.watch.paused = True
        try:
            out = func(*args, **kwargs)
        finally:
            self.watch.paused = False
        self.watch.book(shortcuts.ATTENTION, args, kwargs, out)
        return out


@cache
def _is_composite(func: Any) -> bool:
    """Whether one of torch's operations is made of others, and has no formula of its own."""
    if func._overloadpacket in flop_registry or func is shortcuts.ATTENTION:
        return False
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


class _Folded:
    """Stands for the forward of a block on the twin: a block equal to an earlier one, with an equal input, is not
    run again; its output is drawn anew, its cost booked as it was then. What it sees is moved to where it stands."""

    def __init__(self, watch: _Watch, known: dict[Any, _Known], block: Any, forward: Any):
        self.watch, self.known, self.block, self.forward = watch, known, block, forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = outline((args, kwargs))
        if given is None:
            return self.forward(*args, **kwargs)
        sight = self.watch.sight
        tensors = tensors_in((args, kwargs))
        fields = [sight.of(t) for t in tensors]
        known = self.known.get((self.block, given))
        seen = None if known is None else known.sees(fields, self.watch.here.site)
        cost = self.watch.here.cost
        if known is None or seen is None:
            before = Cost(cost.macs, cost.activations, cost.activation_bytes, cost.uncounted.copy())
            output = self.forward(*args, **kwargs)
            drawn = outline(output, other_than=(args, kwargs))
            if drawn is not None and all(sight.of(t) == f for t, f in zip(tensors, fields, strict=True)):
                spent = cost.minus(before)
                adds = self.watch.flows[-1].adds(tensors_in(output))
                self.known.setdefault((self.block, given), _Known(drawn, spent, adds)).learn(
                    fields, [sight.of(t) for t in tensors_in(output)]
                )
            return output
        cost.add(known.cost)
        self.watch.paused = True
        try:
            output = redraw(known.output)
        finally:
            self.watch.paused = False
        for tensor, field_ in zip(tensors_in(output), seen, strict=True):
            sight.put(tensor, field_)
        block = self.watch.blocks[self.watch.running[-1]]
        block.has_skip = block.has_skip or known.has_skip
        return output


class _Recurrent(Brief):
    """Stands for the forward of a recurrent layer: two steps and three are watched, and tell the cost of all."""

    def __init__(self, watch: _Watch, module: nn.Module):
        super().__init__(module)
        self.watch = watch

    def __call__(self, x: Any, *state: Any, **kwargs: Any) -> Any:
        time = time_dim(self.module, x)
        if time is None:
            with step_by_step():
                return type(self.module).forward(self.module, x, *state, **kwargs)
        _, fewer = self._watched(FEW - 1, x, *state, **kwargs)
        given, few = self._watched(FEW, x, *state, **kwargs)
        here = self.watch.here
        here.cost.add(few.extended(few.minus(fewer), x.shape[time] - FEW))
        self.watch.paused = True
        try:
            if x.is_meta:
                output, last = drawn_out(self.module, x, given)
            else:
                output, last = type(self.module).forward(self.module, x, *state, **kwargs)
        finally:
            self.watch.paused = False
        self.watch.flow_through([x], tensors_in((output, last)))
        batch = 1 - time if x.ndim == 3 else None
        self.watch.sight.recur(x, output, batch, batch, here.site)
        for tensor in tensors_in(last):  # (layers, N, C), whatever the input's order
            self.watch.sight.recur(x, tensor, batch, None if batch is None else 1, here.site)
        return output, last

    def _watched(self, n: int, *given: Any, **kwargs: Any) -> tuple[Any, Cost]:
        """(what the first ``n`` steps give, what they cost)"""
        here = self.watch.here
        kept, here.cost = here.cost, Cost()
        try:
            with step_by_step():
                return steps(self.module, n, *given, **kwargs), here.cost
        finally:
            here.cost = kept


@dataclass
class _Known:
    """What a block gives for inputs of some shapes, and what that sees, by what the inputs see."""

    output: Any
    cost: Cost
    has_skip: bool
    seen: dict[Any, tuple[Field | None, ...]] = field(default_factory=dict)

    def learn(self, given: list[Field | None], seen: list[Field | None]) -> None:
        with suppress(Unfollowed):
            self.seen[relative(given, given)] = relative(seen, given)

    def sees(self, given: list[Field | None], here: Site) -> tuple[Field | None, ...] | None:
        """None when it is not known."""
        axes = [f.axes for f in given if f is not None]
        if axes and all(seen.status == ALL for seen in axes[0]) and all(a == axes[0] for a in axes):
            for known, found in self.seen.items():
                if [f is None for f in known] == [f is None for f in given]:
                    # from what sees the same everywhere, nothing else can come
                    return tuple(f and Field(tuple(plain(extent(dim)) for dim in f.dims), axes[0]) for f in found)
        try:
            found_here = self.seen.get(relative(given, given))
        except Unfollowed:
            return None
        return found_here and absolute(found_here, given, here)


def trace(
    twin: nn.Module,
    paths: Mapping[str, str],
    x: Any,
    fold: bool = True,
    as_tokens: bool = False,
    origin: tuple[tuple[int, ...], Field | None] | None = None,
) -> Trace:
    """Watch one pass of ``twin``, a module on the meta device that may be changed, on the meta input ``x``.

    Args:
        twin: a copy of the model (see `classykit.meta.meta_twin`).
        paths: {block name: dotted path}; a block inside another is booked on the inner one.
        fold: work out equal blocks with equal inputs once; what is counted is the same either way.
        as_tokens: whether an input of three dimensions is tokens (N, L, C), whose positions are not followed, and no
            sequence (N, C, L).
        origin: for a part of a model alone: the shape of the model's input, and what ``x`` sees of that.

    Each parameter is booked once: on the innermost block that runs whose module holds it, else on the block in which,
    or before whose end, it is used, else on `REST`; those that the pass does not come to on `UNUSED`. What a pass
    raises is given in the trace, with what was seen until then.
    """
    modules = {name: twin.get_submodule(path) for name, path in paths.items()}
    parts = list(twin.modules())
    parameters, buffers = registered(parts)
    owned = _owners(twin, paths)
    held: dict[str, list[nn.Parameter]] = {name: [] for name in paths}
    for parameter in parameters:
        if id(parameter) in owned:
            held[owned[id(parameter)]].append(parameter)
    image = None if Inputs.of(x).pictures else Inputs.of(x).main
    followed = image is not None and image.is_floating_point() and image.ndim > (3 if as_tokens else 2)
    others = (t for t in tensors_in(x) if t is not image or not followed)
    sight = Sight((*parameters, *buffers, *others), partial(_kept, twin))
    if origin is not None:
        sight.begin_amid(x, *origin)
    elif image is not None and followed:
        sight.begin(image)
    watch = _Watch(owned, set(paths), sight)
    watch.listed = {id(p) for p in parameters}
    forwards = {part: _Recurrent(watch, part) for part in parts if is_recurrent(part)}
    forwards |= _folded(watch, modules, forwards) if fold else {}
    output, failure = None, None
    try:
        # in inference mode nothing is taken apart before it is seen: attention is one operation
        on_meta = all(t.is_meta for t in tensors_in(x))
        whole = torch.inference_mode() if on_meta else torch.no_grad()
        with (
            _watched(watch, modules, forwards), torch.random.fork_rng(devices=[]), whole, watch,
            nullcontext() if on_meta else _WholeAttention(watch),
        ):  # fmt: skip
            output = call(twin, x)
    except Exception as error:  # whatever a stranger's code raises
        failure = error
    return _booked(watch, parameters, held, output, failure)


@contextmanager
def _watched(
    watch: _Watch, modules: Mapping[str, nn.Module], forwards: Mapping[nn.Module, Callable[..., Any]]
) -> Iterator[None]:
    """Within it the watch is told when a block begins and ends, and parts run by these forwards of ours."""
    own = {part: vars(part)["forward"] for part in forwards if "forward" in vars(part)}
    for part, forward in forwards.items():
        part.forward = forward
    handles = []
    for name, module in modules.items():
        handles.append(module.register_forward_pre_hook(partial(watch.enter, name), with_kwargs=True))
        handles.append(module.register_forward_hook(partial(watch.leave, name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for part in forwards:  # that holds its module, which the garbage collector would have to find out
            vars(part).pop("forward", None)
        for part, forward in own.items():
            part.forward = forward


def _booked(
    watch: _Watch,
    parameters: list[torch.Tensor],
    held: Mapping[str, list[nn.Parameter]],
    output: Any,
    failure: Exception | None,
) -> Trace:
    """What the watch has seen, with all parameters, and with what belongs to no block."""
    blocks = {name: watch.blocks[name] for name in watch.order}
    failed_in = list(watch.running) if failure is not None else []
    for name in reversed(failed_in):
        blocks.setdefault(name, watch.blocks[name])
    for name, block in blocks.items():
        block.params += held[name]
    rest = watch.between
    booked = {id(p) for block in blocks.values() for p in block.params} | {id(p) for p in rest.params}
    unused = [p for p in parameters if id(p) not in booked]
    if failure is None and (rest.params or rest.cost.macs or rest.cost.activations):
        rest.site.name = REST
        rest.fields = {id(None): watch.sight.of(t) for t in tensors_in(output)[:1]}
        blocks[REST] = rest
    if failure is None and unused:
        blocks[UNUSED] = BlockTrace(params=unused)
    spent = blocks.values() if REST in blocks else (*blocks.values(), rest)
    uncounted = sum((block.cost.uncounted for block in spent), Counter())
    return Trace(blocks, uncounted, output, failure, failed_in, sum(p.numel() for p in watch.unlisted))


def _owners(twin: nn.Module, paths: Mapping[str, str]) -> dict[int, str]:
    """{id of a parameter: the innermost of the named blocks that hold it}"""
    named = {path: name for name, path in paths.items()}
    order = {name: (-path.count("."), i) for i, (name, path) in enumerate(paths.items())}
    owned: dict[int, str] = {}
    within: dict[str, str | None] = {}
    for path, part in twin.named_modules(remove_duplicate=False):
        name = within[path] = named.get(path) or within.get(path.rpartition(".")[0])
        if name is None:
            continue
        for parameter in part._parameters.values():
            if parameter is not None:
                owned[id(parameter)] = min(name, owned.get(id(parameter), name), key=order.__getitem__)
    return owned


def _kept(twin: nn.Module) -> list[torch.Tensor]:
    """The tensors that modules keep in attributes of their own."""
    return [t for part in twin.modules() for value in vars(part).values() for t in tensors_in(value)]


def _folded(
    watch: _Watch, modules: Mapping[str, nn.Module], forwards: Mapping[nn.Module, Any]
) -> dict[nn.Module, _Folded]:
    """A `_Folded` for each block that occurs more than once and has no other listed block inside."""
    listed = {id(module) for module in modules.values()}
    prints = {name: structure_key(module, other_than=listed) for name, module in modules.items()}
    often = Counter(p for p in prints.values() if p is not None)
    known: dict[Any, _Known] = {}
    return {
        module: _Folded(watch, known, prints[name], forwards.get(module, module.forward))
        for name, module in modules.items()
        if prints[name] is not None and often[prints[name]] > 1
    }
