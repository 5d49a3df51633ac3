"""A family of one's own, in one file: all that the kit does with a family, it does with that one."""

import importlib.util
import sys

import pytest
import torch

import classykit as ck
from classykit.models.factory import MODELS
from classykit.weights import family_weights

FAMILY = '''
"""Rows of convolutions, as narrow as one likes."""

import torch
from pydantic import Field
from torch import nn

from classykit.configs import Config, PositiveInt
from classykit.models import ClassyModel, register_model
{more_imports}

class MineConfig(Config):
    widths: list[PositiveInt] = Field(description="channels of each block")


@register_model("mine", widths=[8, 16])
@register_model("mine_of_any_size")
class Mine(ClassyModel):
    Config = MineConfig

    def __init__(self, **keys):
        cfg = self._read(keys)
        channels = [3, *cfg.widths]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(channels, channels[1:])
        )

    @property
    def input_shape(self):
        return (3, 32, 32)

    def forward(self, x):
        for stage in self.stages:  # (N, C, H, W) -> (N, C', H / 2, W / 2)
            x = stage(x)
        return x

    def block_paths(self):
        return {{f"block{{i}}": f"stages.{{i}}" for i in range(len(self.stages))}}
'''
SIZES = """

def _sizes(state):
    return {"widths": [v.shape[0] for k, v in state.items() if k.endswith("0.weight")]}


register_weights(FamilyWeights(family="Mine", sizes=_sizes))
"""
IMPORTS = "from classykit.weights.family_weights import FamilyWeights, register_weights\n"


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Write the family's file and import it; the registers are afterwards as they were."""
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    monkeypatch.setattr(family_weights, "_known", dict(family_weights._known))

    def add(with_sizes=False):
        path = tmp_path / "mine.py"
        path.write_text(FAMILY.format(more_imports=IMPORTS if with_sizes else "") + (SIZES if with_sizes else ""))
        spec = importlib.util.spec_from_file_location("mine_of_the_tests", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "mine_of_the_tests", module)
        spec.loader.exec_module(module)
        return module.Mine

    return add


@pytest.fixture
def x():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_it_is_listed_built_and_inspected(added, x):
    cls = added()
    assert ck.list_models("mine*") == ["mine", "mine_of_any_size"]
    net = ck.build_model("mine", widths=[4, 8, 12])
    assert isinstance(net, cls) and net.block_names == ["block0", "block1", "block2"]
    found = ck.inspect("mine")
    assert found.params == sum(p.numel() for p in ck.build_model("mine").parameters())
    assert found["block1"].output_shape == (16, 8, 8) and not found.uncounted
    with pytest.raises(ck.errors.ConfigError, match="widths"):
        ck.build_model("mine_of_any_size")


def test_it_takes_heads_runs_and_is_explored(added, x):
    added()
    net = ck.build_model("mine").eval()
    net.attach_head("block0", "linear_probe", unique_id="probe", num_classes=5)
    assert net(x).shape == (2, 5)
    assert ck.run(net, x, device="cpu", blocks=["block1"]).features["block1"].shape == (2, 16, 8, 8)
    app = ck.explore("mine")
    app.attach_head("block1", "fully_connected", unique_id="cls", num_classes=3)
    app.run()
    assert [row["name"] for row in app.models if row["family"] == "Mine"] == ["mine"]  # the other needs a size


def test_its_own_weights_come_back(added, x, tmp_path):
    added()
    net = ck.build_model("mine").eval()
    torch.save(net.state_dict(), tmp_path / "state.pth")
    again = ck.load_pretrained("mine", source=tmp_path / "state.pth")
    assert torch.equal(again(x), net(x))
    net.attach_head("block1", "fully_connected", unique_id="cls", num_classes=3)
    ck.save_checkpoint(net, tmp_path / "mine.ckpt")
    assert torch.equal(ck.load_checkpoint(tmp_path / "mine.ckpt").eval()(x), net(x))
    with pytest.raises(ck.errors.WeightsError, match=r"mine_of_any_size has no sizes of its own.*ask for mine"):
        ck.load_pretrained("mine_of_any_size", source=tmp_path / "state.pth")


def test_it_can_say_how_its_sizes_are_read_from_weights(added, x, tmp_path):
    added(with_sizes=True)
    net = ck.build_model("mine", widths=[4, 6, 10]).eval()
    torch.save(net.state_dict(), tmp_path / "state.pth")
    again = ck.load_pretrained("mine_of_any_size", source=tmp_path / "state.pth")
    assert again.config["widths"] == [4, 6, 10] and torch.equal(again(x), net(x))


def test_a_file_of_something_else_is_refused(added, tmp_path):
    added()
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ck.errors.WeightsError, match=r"keys of no known layout: 'features.0.weight'"):
        ck.load_pretrained("mine", source=tmp_path / "other.pth")
