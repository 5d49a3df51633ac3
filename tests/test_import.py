"""`import classykit` is cheap, and its face holds what it promises."""

import json
import subprocess
import sys

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

import classykit as ck

HEAVY = ["matplotlib", "pandas", "ipywidgets", "anywidget", "torchinfo", "torchvision", "timm", "sklearn", "skimage"]
PROBE = "import json, sys; {}; print(json.dumps([m for m in {!r} if m in sys.modules]))"


def imported_by(statement):
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement, HEAVY)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "statement",
    [
        "import classykit",
        "import classykit.models, classykit.heads, classykit.inspecting, classykit.running, classykit.experiment;"
        "import classykit.seeing, classykit.measuring, classykit.extracting, classykit.comparing",
        "import torch, classykit as ck;"
        "ck.capture(ck.build_model('resnet18'), torch.zeros(1, 3, 64, 64), 'block0-0');"
        "str(ck.inspect('vit_b_16')); ck.inspect('resnet18')._repr_html_(); ck.preprocess('grace_hopper')",
    ],
)
def test_models_and_analyses_import_no_notebook_package(statement):
    assert imported_by(statement) == []


def test_the_plots_bring_no_pyplot():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, torch, classykit as ck; ck.plots.feature_grid(torch.rand(1, 4, 3, 3));"
         "print('matplotlib.pyplot' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize("name", ck.__all__)
def test_every_name_of_the_face_is_there(name):
    assert getattr(ck, name) is not None and name in dir(ck)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ck.nonsense


@pytest.mark.skipif(
    not hasattr(TorchDispatchMode, "_should_skip_dynamo"), reason="this torch imports its compiler for any mode"
)
@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "resnet50", "densenet121", "regnet_y_400mf", "efficientnet_b0", "vit_b_16"]
)
def test_inspecting_brings_no_compiler(name):
    """Which would take longer than all the rest."""
    words = f"import sys, classykit as ck; ck.inspect({name!r}); print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
