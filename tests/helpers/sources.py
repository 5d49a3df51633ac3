"""Models of torchvision and timm whose weights are converted."""

import pytest
import torch

models = pytest.importorskip("torchvision.models")
timm = pytest.importorskip("timm")

#: name: (keyword arguments of torchvision's model, side of the test picture, head's id or None)
SOURCES = {
    "resnet18": ({}, 64, "classifier"),
    "resnet50": ({}, 64, "classifier"),
    "resnext50_32x4d": ({}, 64, "classifier"),
    "efficientnet_b0": ({}, 64, None),
    "vit_b_32": ({"image_size": 64}, 64, "classifier"),
}


def make(name, randomise, **keys):
    options, _, _ = SOURCES[name]
    return randomise(getattr(models, name)(**{**options, "num_classes": 11, **keys})).eval()


def of_torchvision(name, **keys):
    return lambda: models.get_model(name, **{"num_classes": 11, **keys})


def of_timm(name, **keys):
    return lambda: timm.create_model(name, **{"num_classes": 11, **keys})


#: (our name, the model that wrote the file)
EXACT = [
    ("resnet18", of_torchvision("resnet18")),
    ("densenet", of_timm("densenet121")),
    ("efficientnet_b0", of_torchvision("efficientnet_b0")),
    ("regnet_y_400mf", of_torchvision("regnet_y_400mf")),
    ("anynet", of_torchvision("regnet_x_400mf")),
    ("regnet_x_400mf", of_timm("regnetx_004")),
    ("anynet", of_timm("regnetz_005")),
]


def assert_float64_parity(model, source, label, parity):
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        ours, theirs = model.double()(x), source.double()(x)
    worst = (ours - theirs).abs().max().item()
    parity(label, "outputs", f"float64 {worst:.0e}")
    assert theirs.std() > 1e-2 and worst <= 1e-12 * max(1, theirs.abs().max().item())
