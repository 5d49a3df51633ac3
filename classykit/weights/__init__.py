"""Where trained weights come from, and how their keys map onto ours."""

import classykit.weights.families  # noqa: F401, each registers what is known of it
from classykit.weights.labels import imagenet_labels
from classykit.weights.pretrained import load_pretrained

__all__ = ["imagenet_labels", "load_pretrained"]
