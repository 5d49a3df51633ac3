"""`evidence`: where in the picture the score of a class comes from, exact where a model allows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import BlockError, ClassyKitError, ConfigError, quoted
from classykit.features import VECTOR, Features, as_maps, main_tensor
from classykit.finding import Finding
from classykit.harmless import harmless
from classykit.hooks import hooks
from classykit.models.classy_model import ClassyModel
from classykit.nested import Inputs, mapped, parts_of, rebuilt
from classykit.running.recording import record_paths
from classykit.seeing.explainers import explained
from classykit.seeing.scores import chosen_scores, class_numbers, rivals, score_paths
from classykit.seeing.view import View, untrained_heads, view
from classykit.subject import block_list, block_paths, refuse_blocks_that_did_not_run
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from classykit.seeing.faithfulness import Faithfulness

_FAR = 1e6  # times as strong as the features at hand, where what bends shows
OURS = ("auto", "gradcam")  # the methods that are no other library's
_EVEN = 1e-4  # how much a gradient may differ from place to place, to be the same everywhere


@dataclass(frozen=True, repr=False)
class Evidence(Finding):
    """Where the score of a class comes from, for a batch of pictures.

    Attributes:
        name: of the model.
        maps: {block: (N, h, w)}, signed: above zero speaks for the class, below against it. Maps of clips are
            (N, T, h, w); what a vector gives, which has no places, is (N, 1).
        exact: {block: whether the mean of its map plus the bias is the score}; else the map is approximate.
        score: (N,), the class's score, before any softmax that is not in the model.
        biases: {block: (N,)} of the blocks that are exact.
        target: the number of the class, for each picture.
        minus: the number of the class whose score is taken away, for each picture; None where none is.
        scores: (N, classes), of all classes.
        labels: what the classes are called; None where that is not known.
        head: the unique_id of the head that gave the score; None for the trunk's classifier.
        method: how maps that are not exact were made.
        notes: what else there is to say.
        channels: {block: (N, C)}, signed: what each channel has a part in. Where the block is exact they add up, with
            the bias, to the score; else they are Grad-CAM's, and approximate.
    """

    name: str
    maps: dict[str, torch.Tensor]
    exact: dict[str, bool]
    score: torch.Tensor
    biases: dict[str, torch.Tensor]
    target: list[int]
    labels: Sequence[str] | None
    head: str | None
    method: str
    look: View
    path: str  # of what gave the score
    notes: tuple[str, ...] = ()
    channels: dict[str, torch.Tensor] = field(default_factory=dict)
    minus: list[int] | None = None
    scores: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def bias(self) -> torch.Tensor | None:
        """(N,), of the last block that is exact: the mean of its map plus this is the score. None without one."""
        exact = [block for block in self.maps if self.exact[block]]
        return self.biases[exact[-1]] if exact else None

    def of_class(self, index: int = 0) -> str:
        """The class in words: "tabby", or "class 281"; "tabby minus lynx" for a difference."""
        numbers = [self.target[index], *([] if self.minus is None else [self.minus[index]])]
        return " minus ".join(self.labels[n] if self.labels is not None else f"class {n}" for n in numbers)

    def made_of(
        self, block: str | None = None, index: int = 0, most: int = 6, least: int = 3
    ) -> list[tuple[int, float]]:
        """The channels with the largest part in the score, of those for it and of those against it: (channel, part).

        ``most`` for it, ``least`` against it; the parts are those of ``channels``.
        """
        shares = self.channels[self.block(block)][index].float()
        order = shares.argsort(descending=True).tolist()
        chosen = [c for c in order[:most] if shares[c] > 0] + [c for c in order[::-1][:least] if shares[c] < 0]
        return [(c, shares[c].item()) for c in chosen]

    def picture(self, index: int = 0) -> np.ndarray | None:
        """A picture of the batch in ordinary colours, (H, W, 3) from 0 to 1; None where there is none."""
        return self.look.shown(index)

    def block(self, name: str | None = None) -> str:
        """A block that has a map: the one that is named, else the last; BlockError for one that has none."""
        if name is not None and name not in self.maps:
            raise BlockError(f"There is no map of {quoted(name)} here, but of {', '.join(self.maps)}.")
        return name if name is not None else list(self.maps)[-1]

    def faithfulness(self, block: str | None = None, steps: int = 16) -> Faithfulness:
        """How far the map can be trusted: what becomes of the class as the places it names are taken away, or shown.

        Args:
            block: whose map; default the last.
            steps: in how many the picture goes.

        Returns a `classykit.seeing.faithfulness.Faithfulness`.
        """
        from classykit.seeing.faithfulness import faithfulness

        return faithfulness(self, self.block(block), steps)

    def heading(self) -> str:
        by = "the trunk's classifier" if self.head is None else f"head {self.head}"
        classes = ", ".join(dict.fromkeys(self.of_class(i) for i in range(min(len(self.target), 3))))
        more = ", …" if len(set(self.target)) > 3 else ""
        return f"Evidence for {classes}{more} in {self.name}, by {by}: {len(self.target)} inputs"

    def table(self) -> Table:
        lines = []
        for block, maps in self.maps.items():
            size = " × ".join(map(str, maps.shape[1:]))
            sign = "exact" if self.exact[block] else f"approximate ({self.method})"
            found = f"{maps.float().mean():.3g}" if self.exact[block] else ""
            lines.append(Line([*map(Cell, (block, size, sign, found))]))
        return Table([Column("block"), Column("map"), Column("kind"), Column("mean", right=True)], lines)

    def has_places(self, block: str) -> bool:
        """Whether what a block gives has places, to be laid over the picture; a vector has none."""
        return self.maps[self.block(block)].ndim > 2

    def plot(self, block: str | None = None, index: int = 0) -> Figure:
        """Lay a map over the picture; with several blocks and none named, all of them, side by side.

        Of a vector, which has no places, the strongest channels as bars. Returns a matplotlib Figure that belongs to no
        pyplot window.
        """
        from classykit.plots.evidence import evidence_at_every_depth, evidence_map, evidence_of_channels

        if block is None and sum(map(self.has_places, self.maps)) > 1:
            return evidence_at_every_depth(self, index)
        block = self.block(block)
        return (evidence_map if self.has_places(block) else evidence_of_channels)(self, block, index)


@verb
def evidence(
    model: nn.Module,
    x: Any,
    target: int | str | Sequence[int | str] | None = None,
    *,
    head: str | None = None,
    blocks: str | Iterable[str] | None = None,
    method: str = "auto",
    minus: int | str | Sequence[int | str] | None = None,
    places: bool = True,
) -> Evidence:
    """Where in the picture the score of a class comes from, seen from one or several blocks, in one backward pass.

    Args:
        model: a ClassyModel or any nn.Module that gives scores (N, classes); nothing of it is changed.
        x: an input as the model takes it, e.g. (N, 3, H, W), or pictures as `classykit.run` takes them.
        target: the class: its number, its label where the model has ``labels``, or one for each picture. Default: of
            each picture the one with the best score.
        head: the unique_id of the head whose score is meant. Default: the trunk's classifier, or the only head.
        blocks: names of blocks or dotted paths, or "all": every block that has places and leads to the score.
            Default: the last of them.
        method: "auto": exact where it can be, else Grad-CAM. "gradcam": Grad-CAM everywhere. Or a method of torchcam's
            or captum's by its name, such as "LayerCAM" or "LayerIntegratedGradients" (extra ``explain``).
        minus: another class, as ``target`` says it, whose score is taken away: why this class and not that one.
            "runner-up": of each picture the class with the best score besides.
        places: whether only blocks with places count. False: vectors, too, of which ``channels`` tells all there is.

    Where a block is followed by global average pooling and a linear layer, and nothing else, the map is *exact* (class
    activation mapping, Zhou et al., CVPR 2016): its mean plus the bias is the score. That is found out by trying:
    gradients that are the same everywhere, and a second pass with other features. Elsewhere it is Grad-CAM (Selvaraju
    et al., ICCV 2017), *approximate*, with its sign kept. Tokens are put back on their grid.

    Raises ConfigError for a class that is not there, several heads of which none is named, or an unknown method;
    HeadError for an unknown head; BlockError for blocks that are unknown, have no places, or do not lead to the score;
    ShapeError for a model that gives no scores of classes.

    >>> import classykit
    >>> net = classykit.build_model("efficientnet_lite0")
    >>> e = evidence(net, torch.rand(2, 3, 224, 224), target=281)
    >>> e.maps["trunk_output"].shape, e.exact
    (torch.Size([2, 7, 7]), {'trunk_output': True})
    >>> bool(torch.allclose(e.maps["trunk_output"].mean((1, 2)) + e.bias, e.score, atol=1e-4))
    True
    """
    _check(method, minus)
    look = view(model, x)
    module = look.model
    everything = blocks is None or (isinstance(blocks, str) and blocks == "all")
    paths = _all_blocks(module) if everything else block_paths(module, block_list(blocks))
    of_scores = score_paths(module, head)
    outputs = _features(look, [*paths.values(), *of_scores])
    if not everything:
        refuse_blocks_that_did_not_run(name for name, path in paths.items() if path not in outputs)
    with torch.enable_grad():
        path, scores = chosen_scores(outputs, of_scores, module, look.name)
        target = class_numbers(target, scores, module)
        rival = None if minus is None else rivals(minus, target, scores, module)
        score = _of_classes(scores, target, rival)
        total = score.sum()  # each score depends on its own picture alone
    seen = {name: outputs[at] for name, at in paths.items() if isinstance(outputs.get(at), torch.Tensor) and at != path}
    seen = {name: out for name, out in seen.items() if out.requires_grad}
    gradients = torch.autograd.grad(total, list(seen.values()), allow_unused=True) if seen else ()
    found = _Maps(look, path, score.detach(), target, rival, paths, places)
    with torch.no_grad():
        for (name, features), gradient in zip(seen.items(), gradients, strict=True):
            if places or not _are(features, scores):
                found.add(name, features.detach(), gradient)
    chosen = found.chosen(paths, blocks if everything else list(paths))
    exact = {name: method == "auto" and found.is_exact(name) for name in chosen}
    biases = {name: found.bias(name) for name in chosen if exact[name]}
    if method in OURS:
        maps = {name: found.exact_map(name) if exact[name] else found.maps[name] for name in chosen}
    else:
        maps = explained(method, look, path, {name: paths[name] for name in chosen}, target)
        exact = dict.fromkeys(maps, False)
    heads = {at: one for one, at in module.head_paths().items()} if isinstance(module, ClassyModel) else {}
    return Evidence(
        name=look.name, maps=maps, exact=exact, score=score.detach(), biases=biases, target=target,
        labels=look.labels if look.labels is not None and len(look.labels) == scores.shape[1] else None,
        head=heads.get(path), method="Grad-CAM" if method in OURS else method, look=look, path=path,
        notes=(*(look.notes or untrained_heads(module, [heads[path]] if path in heads else [])), *found.notes(chosen)),
        minus=rival, scores=scores.detach(),
        channels={name: found.channels[name] for name in chosen},
    )  # fmt: skip


def _check(method: Any, minus: Any) -> None:
    if not isinstance(method, str):
        raise ConfigError(
            f'method is "auto", "gradcam" or the name of one of torchcam\'s or captum\'s, not {quoted(method)}.'
        )
    if minus is not None and method not in OURS:
        raise ConfigError(f"minus goes with the methods 'auto' and 'gradcam', not with {quoted(method)}.")


def _all_blocks(module: nn.Module) -> dict[str, str]:
    """{name: dotted path} of all listed blocks."""
    if isinstance(module, ClassyModel):
        return module.block_paths()
    listed = ClassyModel.from_model(module).block_paths()
    return {name: path.removeprefix("model").removeprefix(".") for name, path in listed.items()}


def _features(look: View, paths: list[str]) -> dict[str, Any]:
    """What is given at these dotted paths, with a graph, whether weights are frozen or not."""
    with torch.enable_grad():
        x = mapped(lambda t: t.detach().requires_grad_().clone() if t.is_floating_point() else t, look.x)
        return record_paths(look.model, x, paths, grad=True)


def _of_classes(scores: torch.Tensor, target: list[int], minus: list[int] | None = None) -> torch.Tensor:
    """(N,) scores, of each input that of its class; less that of another."""
    found = scores.gather(1, torch.tensor(target, device=scores.device)[:, None])[:, 0]
    return found if minus is None else found - _of_classes(scores, minus)


def _are(features: torch.Tensor, scores: torch.Tensor) -> bool:
    """Whether a block gives the scores themselves, which nothing is behind."""
    return features is scores or (features.shape == scores.shape and torch.equal(features, scores))


class _Maps:
    """The maps of one batch and class, by block."""

    def __init__(
        self, look: View, path: str, score: torch.Tensor, target: list[int], minus: list[int] | None,
        paths: dict[str, str], places: bool,
    ):  # fmt: skip
        self.look, self.path, self.score, self.paths, self.places = look, path, score, paths, places
        self.target, self.minus = target, minus
        self.maps: dict[str, torch.Tensor] = {}  # Grad-CAM
        self.weights: dict[str, torch.Tensor] = {}  # (N, C): the mean gradient of each channel
        self.channels: dict[str, torch.Tensor] = {}  # (N, C): that times the sum over all places
        self.even: set[str] = set()  # blocks whose gradients are the same in all places
        self.blind: list[str] = []  # blocks whose places have no influence on the score

    def add(self, name: str, features: torch.Tensor, gradient: torch.Tensor | None) -> None:
        known = self._known(features, self.score.shape[0])
        maps = self._as_maps(features, known)
        slopes = None if gradient is None else self._as_maps(gradient, known)
        if maps is None or slopes is None:
            return
        places = tuple(range(2, maps.ndim))
        weights = slopes.mean(places)  # (N, C)
        if not slopes.any():
            self.blind.append(name)
        spread = (slopes - weights.reshape(*weights.shape, *(1 for _ in places))).abs().max()
        counted = maps.numel() == features.numel()  # no tokens before the patches
        if counted and spread <= _EVEN * weights.abs().max() and name not in self.blind:
            self.even.add(name)
        self.weights[name] = weights
        self.channels[name] = weights * maps.sum(places)
        self.maps[name] = torch.einsum("nc,nc...->n...", weights, maps)

    def _as_maps(self, values: torch.Tensor, known: Features | None) -> torch.Tensor | None:
        """Features, or gradients of such, as maps; a vector as maps of one place, where vectors count."""
        if known is not None and known.kind == VECTOR and not self.places:
            return values[:, :, None]
        return as_maps(values, self.look.size, known)

    def chosen(self, paths: dict[str, str], blocks: Any) -> list[str]:
        """The blocks that are wanted; BlockError for one that has no map."""
        if isinstance(blocks, list):
            for name in blocks:
                if name not in self.maps:
                    raise BlockError(
                        f"There is no map of {quoted(name)} to put on the picture: it gives a vector, has no places, "
                        f"or does not lead to the score. Blocks that do: {', '.join(self.maps) or 'none of these'}."
                    )
            return blocks
        able = [name for name in paths if name in self.maps and name not in self.blind]
        if not able:
            raise BlockError(
                f"No block of {self.look.name} that leads to the score has places, so there is no map to put on the "
                f"picture. Attach a head to a block that gives a map, and name it (head=...)."
            )
        return able if blocks == "all" else able[-1:]

    def exact_map(self, name: str) -> torch.Tensor:
        """The map whose mean plus the bias is the score."""
        return self.maps[name] * self.maps[name][0].numel()

    def bias(self, name: str) -> torch.Tensor:
        """(N,): what is left of the score."""
        return self.score - self.exact_map(name).flatten(1).mean(1)

    def is_exact(self, name: str) -> bool:
        """Whether the score is the mean of the map plus the bias for other features, too: weaker and far stronger ones.

        They are mixtures of the features at hand, each times a positive number, so that what cannot be negative, after
        a ReLU, is not. One picture is enough to try what follows the block: thrice, from the block on.
        """
        if name not in self.even:
            return False
        if not isinstance(self.look.x, torch.Tensor):
            return self._holds(name, self.look.x, Inputs.of(self.look.x).batch_size)
        one = self.look.x[:1]
        try:
            if self._holds(name, one, 3):
                return True
        except ClassyKitError:  # what follows knows the batch, or meets what came before the block
            pass
        return self._holds(name, one.expand(3, *one.shape[1:]), 3)

    def _holds(self, name: str, x: Any, n: int) -> bool:
        """The same for one input, of which the block is made to give ``n`` kinds of features."""
        alike = isinstance(self.look.x, torch.Tensor)  # then they are all of the first picture
        weights = self.weights[name][:1].expand(n, -1) if alike else self.weights[name]
        bias = self.bias(name)[:1].expand(n) if alike else self.bias(name)
        target = self.target[:1] * n if alike else self.target
        minus = self.minus[:1] * n if alike and self.minus is not None else self.minus
        summands = torch.empty(0)

        def other(module: nn.Module, args: Any, output: Any) -> Any:
            nonlocal summands
            key, features = main_tensor(output, Inputs.of(x).batch_size)
            assert isinstance(features, torch.Tensor)
            new = 0.5 * features + 0.25 * features.flip(-1) + 0.125 * features.flip(-2)
            new = new.expand(n, *new.shape[1:]) if len(new) == 1 else new
            far = _FAR if features.dtype in (torch.float32, torch.float64) else 100.0
            new = new * torch.logspace(0, math.log10(far), n).to(new).view(n, *(1 for _ in new.shape[1:]))
            shares = 0.5 + torch.rand(new[0].shape, generator=torch.Generator().manual_seed(0))
            new = new * shares.to(new)
            maps = self._as_maps(new, self._known(new, n))
            summands = torch.einsum("nc,nc...->n...", weights, maps).flatten(1)
            return new if key is None else rebuilt(output, {**(parts_of(output) or {}), key: new})

        with torch.no_grad(), harmless(self.look.model), hooks() as on:
            on.after(self.look.model.get_submodule(self.paths[name]), other, first=True)  # heads see it, too
            scores = record_paths(self.look.model, x, [self.path])[self.path].flatten(1)
        if len(scores) != n:
            return False
        wanted, size = summands.sum(1) + bias, summands.abs().sum(1) + bias.abs() + 1e-12
        return bool(((_of_classes(scores, target, minus) - wanted).abs() <= 1e-4 * size).all())

    def _known(self, features: torch.Tensor, n: int) -> Features | None:
        return Features.of(features, n, self.look.size is None or self.look.size[0] == self.look.size[1])

    def notes(self, chosen: list[str]) -> Iterable[str]:
        blind = [name for name in self.blind if name in chosen or name == next(reversed(self.maps), None)]
        if blind:
            yield f"After {blind[0]} the class token alone is read: patches have no more say there"
