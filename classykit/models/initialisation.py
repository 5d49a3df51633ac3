"""Initial weights that several families share."""

from __future__ import annotations

from torch import nn

from classykit.models.repeats import has_no_weights


def init_convolutions(model: nn.Module) -> None:
    """He's normal initialisation of every 2-D convolution (He et al., 2015, arXiv 1502.01852), by its fan-out."""
    if has_no_weights(model):
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
