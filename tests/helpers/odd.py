"""What no one should have given, and what sees that nothing large is made of it."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

FAMILIES = ["ResNeXt", "DenseNet", "EfficientNet", "AnyNet", "RegNet", "VisionTransformer", "ResNeXt3D", "MLP"]
every_family = pytest.mark.parametrize("family", FAMILIES)

#: values for any key of a config
ODD = [
    None, True, False, 0, -1, 1, 2, 3, 7, 1.5, 0.0, -0.5, float("nan"), float("inf"), 2**24, 2**24 + 1, 10**30, "",
    "3", "relu", "é", [], [1], [0], [2, 2], [1.0], [[1]], {}, {"x": 1}, (1, 2), b"1", 1j, object, torch.ones(1),
    np.int64(2), np.float64(0.5), {1: 2},
]  # fmt: skip

#: what may be given in the place of a table of names
NO_TABLE = [None, 5, "state", [], [1], torch.zeros(1), object()]

#: {family: keys that make it need 2 TB or more}
HUGE = {
    "ResNeXt": {"init_planes": 2**17, "base_width_and_cardinality": None},
    "DenseNet": {"init_planes": 2**16, "growth_rate": 2**18},
    "EfficientNet": {"width_divisor": 2**19},
    "AnyNet": {"widths": [2**20, 2**20], "group_widths": [2**20, 2**20]},
    "RegNet": {"w_0": 2**20, "group_width": 2**20},
    "VisionTransformer": {"hidden_dim": 2**20},
    "ResNeXt3D": {"stage_planes": 2**19, "width_per_group": 2**19},
    "MLP": {"hidden_dims": [2**20, 2**20]},
}
TB = 2**40


def fuzz(examples):
    """The same examples each time."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


class NothingLarge(TorchDispatchMode):
    """Fails as soon as a tensor of more than 8 MB is made outside the meta device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for made in tree_iter(out):
            if isinstance(made, torch.Tensor) and not made.is_meta and made.layout == torch.strided:
                assert made.untyped_storage().nbytes() <= 8e6, f"{func} made {tuple(made.shape)}"
        return out
