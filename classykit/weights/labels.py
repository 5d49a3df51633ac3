"""The names of the classes that trained classifiers tell apart."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import torch


@cache
def _labels() -> tuple[str, ...]:
    return tuple(files("classykit.weights").joinpath("imagenet_labels.txt").read_text("utf-8").splitlines())


def imagenet_labels() -> list[str]:
    """The names of the 1000 ImageNet-1k classes, in the order of the logits.

    >>> imagenet_labels()[967]
    'espresso'
    """
    return list(_labels())


def top_classes(logits: torch.Tensor, labels: list[str], k: int = 5) -> list[tuple[str, float]]:
    """The ``k`` most probable classes of one row of logits (1, classes): [(label, probability), ...].

    >>> top_classes(torch.tensor([[0.0, 3.0, 1.0]]), ["a", "b", "c"], k=1)[0][0]
    'b'
    """
    probabilities = logits.detach().float().softmax(-1)[0]
    best = probabilities.topk(min(k, len(labels), len(probabilities)))
    return [(labels[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
