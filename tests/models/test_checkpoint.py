"""One's own work, saved and got back."""

import pickle

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import StateError
from classykit.images import Preprocessing
from classykit.models.checkpoint import load_checkpoint, save_checkpoint

SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "base_width_and_cardinality": [2, 4]}
SUFFIXES = [".safetensors", ".pt"]


@pytest.fixture
def work():
    model = ck.build_model(SMALL)
    model.attach_head("block1-0", "fully_connected", unique_id="a.b", num_classes=3)
    model.attach_head("block0-0", "linear_probe", unique_id="type", num_classes=2)
    model.preprocessing, model.labels, model.weights = Preprocessing(size=64), ["x", "y", "z"], "my pictures"
    model(torch.randn(2, 3, 64, 64))  # moves the BatchNorm statistics
    return model.eval()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_everything_comes_back(work, tmp_path, suffix):
    path = save_checkpoint(work, tmp_path / f"work{suffix}")
    back = load_checkpoint(path)
    x = torch.randn(2, 3, 64, 64)
    for unique_id, output in work(x).items():
        assert torch.equal(back(x)[unique_id], output)
    assert back.config == work.config
    assert (back.preprocessing, back.labels, back.weights) == (work.preprocessing, work.labels, work.weights)
    assert not back.training and [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupted_save_leaves_the_old_file(work, tmp_path, suffix, monkeypatch):
    path = save_checkpoint(work, tmp_path / f"work{suffix}")
    before = path.read_bytes()

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(work, path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_an_adopted_module_is_loaded_into_its_twin(tmp_path):
    def adopt():
        return ck.ClassyModel.from_model(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), input_shape=(3, 8, 8))

    model, other = adopt(), adopt()
    path = save_checkpoint(model, tmp_path / "mine.safetensors")
    with pytest.raises(StateError, match=r"no registered model.*model=\.\.\."):
        load_checkpoint(path)
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(load_checkpoint(path, model=other)(x), model(x))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_checkpoint_says_so(work, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    with pytest.raises(StateError, match="no file"):
        load_checkpoint(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(StateError):
        load_checkpoint(path)
    whole = save_checkpoint(work, path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StateError):
        load_checkpoint(path)


def test_nothing_in_a_file_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    path = tmp_path / "trap.pt"
    path.write_bytes(pickle.dumps({"classykit": Trap()}))
    with pytest.raises(StateError):
        load_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


def test_what_cannot_be_saved_says_so(work, tmp_path):
    with pytest.raises(StateError, match="meta device"):
        save_checkpoint(ck.build_model(SMALL, device="meta"), tmp_path / "x.pt")
    with pytest.raises(StateError, match="cannot be written"):
        save_checkpoint(work, tmp_path / "no" / "folder" / "x.pt")
    other = ck.build_model(SMALL)
    path = save_checkpoint(work, tmp_path / "x.pt")
    with pytest.raises(StateError, match="does not fit"):
        load_checkpoint(path, model=other)
