"""What is looked into: pictures, and models of torchvision, timm, transformers and ours that take them."""

import pytest
import torch

import classykit as ck

X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def torchvision(name):
    torch.manual_seed(0)
    return getattr(pytest.importorskip("torchvision.models"), name)().eval()


def timm(name, **keys):
    torch.manual_seed(0)
    return pytest.importorskip("timm").create_model(name, **keys).eval()


def transformers(kind, **keys):
    """A small model of two layers, for pictures of `X`'s size."""
    library = pytest.importorskip("transformers")
    config = getattr(library, f"{kind}Config")(
        image_size=64, patch_size=16, num_hidden_layers=2, hidden_size=32, num_attention_heads=4, intermediate_size=32,
        **keys,
    )  # fmt: skip
    return getattr(library, f"{kind}Model")(config).eval()


def small_vit(**keys):
    """One of ours, of two layers, for pictures of `X`'s size."""
    sizes = dict(image_size=64, patch_size=16, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=32) | keys
    return ck.build_model("vision_transformer", **sizes).eval()


def demo_attention():
    """What a trained model attends to in two pictures."""
    return ck.attention(ck.load_pretrained("vit_demo"), ["cat", "coffee"])
