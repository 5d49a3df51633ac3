"""`fit_heads`: heads on a trunk that stays as it is, taught together; or the whole model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from classykit.contexts import uninterrupted, verb
from classykit.errors import ConfigError, HeadError, Interrupted, quoted
from classykit.heads.classy_head import ClassyHead
from classykit.learning.fit import Fit
from classykit.learning.lessons import UNKNOWN, Lesson, prepared
from classykit.models.classy_model import ClassyModel
from classykit.running.placement import choose
from classykit.seeing.view import untrained
from classykit.subject import subject_of

_LR = {False: 1e-2, True: 1e-3}


@verb
def fit_heads(
    model: ClassyModel,
    x: Any,
    targets: Mapping[str, Any],
    *,
    epochs: int = 5,
    lr: float | None = None,
    trunk: bool = False,
    seed: int = 0,
    batch_size: int = 32,
    test: float = 0.2,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Fit:
    """Teach attached heads together, each its own task, by cross-entropy and Adam; their weights are what changes.

    The trunk stays in eval mode and bit for bit as it is, batch normalisation included: its features are computed once
    and standardised, so that a head on any block learns. What that takes is absorbed by the head's first layer in the
    end, so ``model(x)`` needs nothing else.

    Args:
        model: a ClassyModel with heads. Also on another device than the one at hand.
        x: pictures, as `classykit.probe` takes them.
        targets: {unique_id of a head: the class of each picture}: numbers from 0, or names; None, NaN or -1 where it
            is not known. None for the labels of the folder or Dataset.
        epochs: how often each picture is seen.
        lr: Adam's step. Default 0.01; 0.001 with the trunk.
        trunk: teach the trunk, too, in training mode; features are taken as they are then. The statistics of batch
            normalisation are taken anew after each epoch, as running means lag far behind in so few steps.
        seed: of the order of the pictures, and which are held out. The random state is left as it is.
        batch_size: pictures a step.
        test: share of the pictures that accuracy is measured on, which are not learnt from; 0 for none.
        device: "auto": a GPU when there is one. What was learnt comes back to where the model is.
        progress: show a bar when it takes longer than a second. Default True.

    Returns a `Fit`: losses and accuracy a head, ``.plot()``, and the plain loop as ``.to_code()``.

    Raises HeadError for a head that is not attached or has no classes, ConfigError for labels that are none of a head's
    classes, ShapeError for another number of labels than of pictures. Interrupted, with the Fit until then, when it is
    interrupted: heads keep what they have learnt.

    >>> from classykit.models import build_model
    >>> net = build_model("resnet18").eval()
    >>> head = net.attach_head("block0-0", "linear_probe", unique_id="bright", num_classes=2)
    >>> x, y = torch.rand(40, 3, 32, 32), [0, 1] * 20
    >>> x[1::2] += 1
    >>> fit_heads(net, x, {"bright": y}, epochs=20).accuracy
    {'bright': 1.0}
    """
    subject = subject_of(model)
    module = subject.with_weights()
    heads = _heads(module, targets)
    rate = _checked(epochs, lr, trunk, seed, batch_size, test)
    notes = untrained(subject) if not trunk else ()
    fit = Fit(subject.name, {}, epochs, rate, batch_size, seed, float(test), trunk, notes=notes)
    with torch.random.fork_rng(devices=_cuda(module, device)):
        torch.manual_seed(seed)
        with prepared(fit, module, heads, x, targets, device, progress) as lesson:
            _learn(lesson, progress)
    return lesson.fit


def _heads(model: nn.Module, targets: Any) -> dict[str, tuple[str, ClassyHead]]:
    """{unique_id: (block, head)} of the heads that are to learn."""
    if not isinstance(model, ClassyModel):
        raise HeadError(f"{type(model).__name__} has no heads: adopt it (ClassyModel.from_model), and attach some.")
    if not isinstance(targets, Mapping) or not targets:
        raise ConfigError(f"targets is {{unique_id of a head: labels}}, not {quoted(targets)}.")
    attached = {head.unique_id: (block, head) for block, of in model.get_heads().items() for head in of}
    for name in targets:
        if name not in attached:
            there = ", ".join(map(quoted, attached)) or "none"
            raise HeadError(f"There is no head {quoted(name)}; attached are: {there}.")
        head = attached[name][1]
        if not head.num_classes:
            raise HeadError(f"Head {quoted(name)} has no classes to learn: give it num_classes when it is attached.")
        if not any(True for _ in head.parameters()):
            raise HeadError(f"Head {quoted(name)} has no weights, so there is nothing that it could learn.")
    return {name: attached[name] for name in targets}


def _checked(epochs: Any, lr: Any, trunk: Any, seed: Any, batch_size: Any, test: Any) -> float:
    for what, number, least in (("epochs", epochs, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if type(number) is not int or not least <= number < 2**32:
            raise ConfigError(f"{what} is a whole number from {least} on, not {quoted(number)}.")
    if not isinstance(trunk, bool):
        raise ConfigError(f"trunk is True or False, not {quoted(trunk)}.")
    if isinstance(test, bool) or not isinstance(test, (int, float)) or not 0 <= test < 1:
        raise ConfigError(f"test is a share of the pictures from 0 to below 1, not {quoted(test)}.")
    if lr is None:
        return _LR[trunk]
    if isinstance(lr, bool) or not isinstance(lr, (int, float)) or not 0 < lr < float("inf"):
        raise ConfigError(f"lr is a positive number, not {quoted(lr)}.")
    return float(lr)


def _cuda(model: nn.Module, device: Any) -> list[int]:
    place = choose(model, device)
    return [place.device.index or 0] if place.device.type == "cuda" else []


def _learn(lesson: Lesson, progress: bool) -> None:
    """The loop; what was reached is kept when it is interrupted."""
    from tqdm.auto import tqdm

    fit, module = lesson.fit, lesson.learning
    steps = -(-len(lesson.learn_from) // fit.batch_size)
    try:
        with tqdm(total=fit.epochs * steps, unit="step", delay=1, leave=False, disable=not progress) as bar:
            optimizer = torch.optim.Adam(module.parameters(), lr=fit.lr)
            for epoch in range(fit.epochs):
                module.train()
                _epoch(lesson, optimizer, epoch, bar.update)
                update_bn(lesson.learn_from.split(fit.batch_size), _Pass(lesson))  # running means lag in short lessons
                module.eval()
                for name, share in _accuracy(lesson).items():
                    fit.heads[name].accuracy.append(share)
    except KeyboardInterrupt:
        uninterrupted(lesson.keep)
        done = len(next(iter(fit.heads.values())).losses)
        raise Interrupted(
            f"Interrupted after {done} of {fit.epochs} epochs; the heads keep what they have learnt.", fit
        ) from None
    uninterrupted(lesson.keep)


class _Pass(nn.Module):
    """A lesson as a module that takes numbers of pictures."""

    def __init__(self, lesson: Lesson):
        super().__init__()
        self.learning, self._scores = lesson.learning, lesson.scores

    def forward(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        return self._scores(numbers)


def _epoch(lesson: Lesson, optimizer: torch.optim.Optimizer, epoch: int, tell: Callable[[], Any]) -> None:
    fit = lesson.fit
    order = torch.Generator().manual_seed(fit.seed + 1 + epoch)
    shuffled = lesson.learn_from[torch.randperm(len(lesson.learn_from), generator=order)]
    total, count = dict.fromkeys(fit.heads, 0.0), dict.fromkeys(fit.heads, 0)
    with torch.enable_grad():
        for numbers in shuffled.split(fit.batch_size):
            losses = []
            for name, scores in lesson.scores(numbers).items():
                wanted = lesson.labels[name][numbers].to(lesson.place.device)
                known = int((wanted != UNKNOWN).sum())
                if known:
                    losses.append(F.cross_entropy(_logits(scores, lesson.given[name]), wanted, ignore_index=UNKNOWN))
                    total[name] += float(losses[-1].detach()) * known
                    count[name] += known
            if losses:
                optimizer.zero_grad()
                torch.stack(losses).sum().backward()
                optimizer.step()
            tell()
    for name, head in fit.heads.items():
        head.losses.append(total[name] / max(count[name], 1))


def _logits(scores: torch.Tensor, head: ClassyHead) -> torch.Tensor:
    """(N, classes): a head that answers place by place gives (N, places × classes) in training."""
    return scores.reshape(len(scores), -1, head.num_classes or 1).mean(1)


def _accuracy(lesson: Lesson) -> dict[str, float]:
    """The share of right answers on the pictures held out; on all where none are."""
    numbers = lesson.held_out if len(lesson.held_out) else lesson.learn_from
    right, count = dict.fromkeys(lesson.given, 0), dict.fromkeys(lesson.given, 0)
    with torch.no_grad():
        for part in numbers.split(lesson.fit.batch_size):
            for name, scores in lesson.scores(part).items():
                wanted = lesson.labels[name][part]
                found = _logits(scores, lesson.given[name]).argmax(1).cpu()
                right[name] += int(((found == wanted) & (wanted != UNKNOWN)).sum())
                count[name] += int((wanted != UNKNOWN).sum())
    return {name: right[name] / count[name] if count[name] else float("nan") for name in right}
