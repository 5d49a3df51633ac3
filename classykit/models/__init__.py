"""Backbones: one file a family; `ClassyModel` is the interface that they share."""

from classykit.models.anynet import AnyNet
from classykit.models.classy_model import ClassyModel
from classykit.models.densenet import DenseNet
from classykit.models.efficientnet import EfficientNet
from classykit.models.factory import build_model, family_of, list_models, register_model
from classykit.models.mlp import MLP
from classykit.models.regnet import RegNet
from classykit.models.resnext import ResNet, ResNeXt
from classykit.models.resnext3d import ResNeXt3D
from classykit.models.vision_transformer import VisionTransformer

__all__ = [
    "MLP",
    "AnyNet",
    "ClassyModel",
    "DenseNet",
    "EfficientNet",
    "RegNet",
    "ResNeXt",
    "ResNeXt3D",
    "ResNet",
    "VisionTransformer",
    "build_model",
    "family_of",
    "list_models",
    "register_model",
]
