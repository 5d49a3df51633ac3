"""Heads: what is attached to a block to turn its features into an answer. One file a head."""

from classykit.heads.classy_head import (
    ClassyHead,
    build_head,
    heads_that_fit,
    list_heads,
    register_head,
)
from classykit.heads.fully_connected import FullyConnectedHead
from classykit.heads.fully_convolutional_linear import FullyConvolutionalLinearHead
from classykit.heads.identity import IdentityHead
from classykit.heads.linear_probe import LinearProbe
from classykit.heads.vision_transformer import VisionTransformerHead

__all__ = [
    "ClassyHead",
    "FullyConnectedHead",
    "FullyConvolutionalLinearHead",
    "IdentityHead",
    "LinearProbe",
    "VisionTransformerHead",
    "build_head",
    "heads_that_fit",
    "list_heads",
    "register_head",
]
