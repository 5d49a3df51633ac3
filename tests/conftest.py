"""Fixtures of general use: small models, inputs for them, random weights."""

import _imp
import contextlib
import copy

import pytest
import torch
from torch import nn

import classykit as ck

pytest.register_assert_rewrite("extractions", "odd")
#: in tests/helpers: fixtures that compare with the references, and that see whether anything of a module changed
pytest_plugins = ["parity", "unchanged"]

#: {family: the smallest config that has all its kinds of parts}
LIGHT = {
    "ResNeXt": {"name": "resnext", "num_blocks": [1, 2], "init_planes": 8, "base_width_and_cardinality": (4, 2)},
    "DenseNet": {"name": "densenet", "num_blocks": [2, 2], "init_planes": 8, "growth_rate": 4},
    "EfficientNet": {
        "name": "efficientnet",
        "model_params": {"width_coefficient": 0.1, "depth_coefficient": 0.1, "resolution": 32, "dropout_rate": 0.2},
        "num_classes": 7,
        # the reference has no defaults for these
        "bn_momentum": 0.01, "bn_epsilon": 1e-3, "width_divisor": 8, "min_width": None, "drop_connect_rate": 0.2,
        "use_se": True,
    },
    "AnyNet": {
        "name": "anynet", "depths": [1, 2], "widths": [8, 16], "group_widths": [4, 8],
        "bottleneck_multipliers": [1.0, 2.0], "strides": [2, 2], "stem_width": 8,
    },
    "RegNet": {
        "name": "regnet", "depth": 3, "w_0": 8, "w_a": 8.0, "w_m": 2.0, "group_width": 4, "stem_width": 8,
    },
    "VisionTransformer": {
        "name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2,
        "hidden_dim": 16, "mlp_dim": 24,
    },
    "ResNeXt3D": {
        "name": "resnext3d", "input_planes": 3, "clip_crop_size": 16, "frames_per_clip": 2, "num_blocks": [1, 2],
        "skip_transformation_type": "preactivated_shortcut",
        "residual_transformation_type": "preactivated_bottleneck_transformation",
        "stem_planes": 8, "stage_planes": 8, "width_per_group": 4,
    },
    "MLP": {"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [16, 8], "use_batchnorm": True},
}  # fmt: skip

torch.set_num_threads(1)  # the tensors here are small: a second thread would only wait


@pytest.fixture(scope="session")
def light_configs():
    """One light config a family."""
    return copy.deepcopy(LIGHT)


@pytest.fixture(params=LIGHT)
def light(request):
    """A light config of each family in turn."""
    return copy.deepcopy(LIGHT[request.param])


@pytest.fixture(scope="session")
def input_for():
    """A random batch that a model takes."""

    def make(model, batch=2, seed=0, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        shape = model.input_shape
        shape = (3, 64, 64) if shape == (3, 224, 224) else shape
        return torch.randn(batch, *shape, generator=generator).to(dtype)

    return make


@pytest.fixture(scope="session")
def randomise():
    """Give every parameter and buffer of a module a random value that keeps activations in range."""

    def make(module, seed=0):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in module.named_parameters():
                if p.ndim <= 1 and name.endswith("weight"):  # normalisation
                    p.copy_(0.5 + torch.rand(p.shape, generator=generator))
                elif p.ndim <= 1:
                    p.copy_(0.2 * torch.randn(p.shape, generator=generator))
                else:
                    fan = max(1, p[0].numel())
                    p.copy_(torch.randn(p.shape, generator=generator) / fan**0.5)
            for name, b in module.named_buffers():
                if name.endswith("running_mean"):
                    b.copy_(0.2 * torch.randn(b.shape, generator=generator))
                elif name.endswith("running_var"):
                    b.copy_(0.5 + torch.rand(b.shape, generator=generator))
        return module

    return make


@pytest.fixture(scope="session")
def shapes():
    """{state key: shape} as a list of pairs, so that the order counts."""
    return lambda module: [(k, tuple(v.shape)) for k, v in module.state_dict().items()]


class BatchNormThenInplace(nn.Module):
    """The output of ``bn`` is overwritten by the next operation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


@pytest.fixture
def inplace_net():
    return BatchNormThenInplace()


@pytest.fixture
def small():
    """A light ResNeXt with random BatchNorm statistics, in eval mode, and an input for it."""
    torch.manual_seed(0)
    model = ck.build_model(copy.deepcopy(LIGHT["ResNeXt"])).eval()
    return model, torch.randn(2, 3, 32, 32)


@pytest.fixture(autouse=True)
def _imports_of_other_threads():
    """Python's import lock is open: a test that is interrupted between two lines of it leaves it closed to threads."""
    with contextlib.suppress(RuntimeError):  # which says that it is not this thread's
        while _imp.lock_held():
            _imp.release_lock()
