"""The head of a Vision Transformer: a linear layer, or a small tanh MLP, on its output vector."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from classykit.configs import PositiveInt
from classykit.features import VECTOR
from classykit.heads.classy_head import ClassyHead, InPlaneConfig, register_head


class VisionTransformerHeadConfig(InPlaneConfig):
    """Config of `VisionTransformerHead`."""

    hidden_dim: PositiveInt | None = Field(None, description="width of a hidden tanh layer; None for none")
    normalize_inputs: Literal["l2"] | None = Field(None, description="scale the vector to unit length")


@register_head("vision_transformer_head")
class VisionTransformerHead(ClassyHead):
    """Linear, at wish after L2 normalisation and a hidden tanh layer (Dosovitskiy et al., 2020, arXiv 2010.11929).

    Takes a vector (N, C), gives logits (N, num_classes), or the vector itself when ``num_classes`` is
    None. The classifier starts at zero, as in the paper: an untrained head says 0 for every class.

    >>> head = VisionTransformerHead(unique_id="cls", in_plane=768, num_classes=10)
    >>> head(torch.zeros(2, 768)).shape
    torch.Size([2, 10])
    """

    takes = (VECTOR,)
    Config = VisionTransformerHeadConfig
    positional = ("unique_id", "in_plane", "num_classes", "hidden_dim", "normalize_inputs")

    def __init__(self, /, *args: Any, **config: Any):
        cfg = self._read(args, config)
        self.in_plane, self.normalize_inputs = cfg.in_plane, cfg.normalize_inputs
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if cfg.num_classes is not None:
            width = cfg.in_plane
            if cfg.hidden_dim is not None:
                layers["pre_logits"] = nn.Linear(width, cfg.hidden_dim)
                nn.init.trunc_normal_(layers["pre_logits"].weight, std=width**-0.5)
                nn.init.zeros_(layers["pre_logits"].bias)
                layers["act"] = nn.Tanh()
                width = cfg.hidden_dim
            layers["head"] = nn.Linear(width, cfg.num_classes)
            nn.init.zeros_(layers["head"].weight)
            nn.init.zeros_(layers["head"].bias)
        self.layers = nn.Sequential(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.expect(x, self.in_plane)  # (N, C)
        if self.normalize_inputs == "l2":
            x = F.normalize(x, dim=1)
        return self.layers(x)  # (N, num_classes)
