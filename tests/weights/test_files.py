"""Reading files of weights: as data only, and what is wrong with one is said in words."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights import files
from classykit.weights.training_state import weights_in

STATE = {"a": torch.arange(3.0), "b": torch.zeros(2, 2)}


class Evil:
    """Unpickling it would leave a trace."""

    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


def write(path, kind):
    good = path / "good.pth"
    torch.save(STATE, good)
    data = good.read_bytes()
    target = path / ("file.safetensors" if "safetensors" in kind else "file.pth")
    if kind == "cut":
        target.write_bytes(data[: len(data) // 2])
    elif kind == "old and cut":
        torch.save(STATE, good, _use_new_zipfile_serialization=False)
        target.write_bytes(good.read_bytes()[:-20])
    elif kind == "empty":
        target.write_bytes(b"")
    elif kind == "a page":
        target.write_bytes(b"<html>404 Not Found</html>")
    elif kind == "text":
        target.write_text("hello")
    elif kind == "evil":
        torch.save({"a": Evil()}, target)
    elif kind == "old and evil":
        torch.save({"a": Evil()}, target, _use_new_zipfile_serialization=False)
    elif kind == "arguments":
        torch.save({"args": argparse.Namespace(lr=1), **STATE}, target)
    elif kind == "a list":
        torch.save([1, 2], target)
    elif kind == "cut safetensors":
        save_file(STATE, target)
        target.write_bytes(target.read_bytes()[:-4])
    elif kind == "safetensors of text":
        target.write_text("hello, this is no file of tensors")
    elif kind == "safetensors of nothing":
        target.write_bytes(b"")
    return target


@pytest.mark.parametrize(
    "kind, words",
    [
        ("cut", "damaged or cut short"),
        ("old and cut", "damaged"),
        ("empty", "damaged or cut short"),
        ("a page", "damaged, or no file that torch.save wrote"),
        ("text", "damaged or cut short"),
        ("evil", "holds more than data: reading it would call builtins.setattr|would call setattr"),
        ("old and evil", "holds more than data"),
        ("arguments", "would call argparse.Namespace.*weights_only=False"),
        ("a list", "holds a list, not a dict"),
        ("cut safetensors", "damaged, or no safetensors file"),
        ("safetensors of text", "damaged, or no safetensors file"),
        ("safetensors of nothing", "damaged, or no safetensors file"),
        ("missing", "There is no file"),
    ],
)
def test_what_cannot_be_read(kind, words, tmp_path):
    path = write(tmp_path, kind)
    for read in (files.read_file, lambda p: ck.load_pretrained("resnet18", source=p)):
        with pytest.raises(WeightsError, match=words) as refusal:
            read(path)
        assert str(path) in str(refusal.value) and refusal.value.__cause__ is None
    assert not Evil.ran


def test_a_folder_names_its_files(tmp_path):
    (tmp_path / "checkpoint.torch").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"is a folder: name the file in it \(checkpoint.torch\)"):
        files.read_file(tmp_path)


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.bin", "a.torch", "a.safetensors"])
def test_what_can_be_read(name, tmp_path):
    (save_file if name.endswith("safetensors") else torch.save)(STATE, tmp_path / name)
    state = weights_in(files.read_file(tmp_path / name), name)
    assert state.keys() == STATE.keys() and all(torch.equal(state[k], v) for k, v in STATE.items())
