"""The names of the classes that trained classifiers tell apart."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def _labels() -> tuple[str, ...]:
    return tuple(files("classykit.weights").joinpath("imagenet_labels.txt").read_text("utf-8").splitlines())


def imagenet_labels() -> list[str]:
    """The names of the 1000 ImageNet-1k classes, in the order of the logits.

    >>> imagenet_labels()[967]
    'espresso'
    """
    return list(_labels())
