"""Backbones: one file a family; `ClassyModel` is the interface that they share."""

from classykit.models.classy_model import ClassyModel
from classykit.models.efficientnet import EfficientNet
from classykit.models.factory import build_model, family_of, list_models, register_model
from classykit.models.mlp import MLP
from classykit.models.resnext import ResNet, ResNeXt
from classykit.models.vision_transformer import VisionTransformer

__all__ = [
    "MLP",
    "ClassyModel",
    "EfficientNet",
    "ResNeXt",
    "ResNet",
    "VisionTransformer",
    "build_model",
    "family_of",
    "list_models",
    "register_model",
]
