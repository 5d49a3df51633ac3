"""Models to draw, and what a figure of matplotlib shows of them."""

import io

from PIL import Image

MLP = {"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [16, 8]}
SHOWN = ["resnet50", "vit_b_16", "efficientnet_b0", "r3d_18", "densenet201", MLP]


def name_of(model):
    return model if isinstance(model, str) else model["name"]


def picture(figure):
    return Image.open(io.BytesIO(figure._repr_png_()))


def texts(axes):
    return [t.get_text() for t in axes.texts]


def overlapping(boxes):
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
