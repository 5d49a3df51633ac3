"""`train_briefly`: a small network taught the digits in seconds, as design spaces are compared by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from classykit.contexts import verb
from classykit.datasets import digits
from classykit.errors import ConfigError, quoted
from classykit.models.factory import build_model

BATCH, RATE, DECAY = 64, 1e-2, 0.05
_SCORED = 360  # pictures at once, where nothing is learnt


@verb
def train_briefly(
    config: str | Mapping[str, Any],
    *,
    size: int = 16,
    epochs: int = 2,
    seed: int = 0,
    tell: Callable[[float], Any] | None = None,
) -> dict[str, float]:
    """Build a network, teach it the digits from scratch in one short cycle, and say how often it is wrong.

    AdamW with one cycle of the learning rate (up to 0.01), batches of 64, no augmentation. Running means of batch
    normalisation lag far behind in so few steps: they are taken anew over the training pictures at the end, else
    good networks would look as bad as guessing. Errors of so short a training tell spaces apart, not what a network
    can reach. It is a ``measure`` for `classykit.sweep`: ``functools.partial(train_briefly, epochs=4)``.

    Args:
        config: a name or config whose trunk gives a map or a vector, of three input channels; a classifier for ten
            classes is attached to its last block.
        size: side of the pictures in pixels, from 8 on.
        epochs: how often each of the 1,437 training pictures is seen.
        seed: of the first weights and the order of the pictures. The random state is left as it is.
        tell: called after each step with the share that is done; what it raises ends the training.

    Returns ``{"test_error": ..., "train_loss": ...}``: the share of the 360 test digits that it gets wrong, and the
    cross-entropy over the last epoch. Of the same seed the same, on the same machine and release of torch.

    Raises ConfigError for other numbers, and what `classykit.build_model` and `attach_head` raise.

    >>> found = train_briefly({"name": "resnet18", "init_planes": 4, "small_input": True}, size=8, epochs=1)
    >>> sorted(found), 0 <= found["test_error"] <= 1
    (['test_error', 'train_loss'], True)
    """
    for what, number, least in (("epochs", epochs, 1), ("seed", seed, 0)):
        if type(number) is not int or not least <= number < 2**32:
            raise ConfigError(f"{what} is a whole number from {least} on, not {quoted(number)}.")
    train, test = digits(size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _with_classifier(config)
    # Not in channels_last, though it is faster: the backward pass of narrow convolutions has written past its memory
    # there (torch 2.14 on a CPU).
    x = train.x
    order = torch.Generator().manual_seed(seed)
    batches = len(x) // BATCH  # those left over wait for the next epoch
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches)
    net.train()
    losses: list[float] = []
    with torch.enable_grad():
        for _ in range(epochs):
            losses = []
            for numbers in torch.randperm(len(x), generator=order).split(BATCH)[:batches]:
                loss = F.cross_entropy(_scores(net, x[numbers]), train.y[numbers])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                cycle.step()
                losses.append(loss.item())
                if tell is not None:
                    tell(cycle.last_epoch / (epochs * batches))
    with torch.no_grad():
        update_bn(x.split(_SCORED), net)
        net.eval()
        wrong = (_scores(net, test.x).argmax(1) != test.y).float().mean()
    return {"test_error": wrong.item(), "train_loss": sum(losses) / len(losses)}


def _with_classifier(config: str | Mapping[str, Any]) -> nn.Module:
    net = build_model(config, device="cpu")
    net.clear_heads()
    net.attach_head(net.block_names[-1], "fully_connected", num_classes=10)
    return net


def _scores(net: nn.Module, x: Tensor) -> Tensor:
    """(N, classes)."""
    scores: Tensor = net(x)
    return scores.flatten(1)
