"""One's own work, saved and got back."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import classykit as ck
from classykit.errors import ClassyKitError, ConfigError, StateError
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


MLP = {"name": "mlp", "input_dim": 2, "output_dim": 1, "hidden_dims": [3]}
WHOLE = {"format": 1, "config": MLP, "preprocessing": None, "labels": None, "weights": None}


class TestFiles:
    @pytest.fixture
    def model(self):
        return ck.build_model(MLP)

    @pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
    def test_the_mode_is_that_of_any_file(self, model, suffix, tmp_path):
        plain = tmp_path / "plain"
        plain.touch()
        path = ck.save_checkpoint(model, tmp_path / f"a{suffix}")
        assert path.stat().st_mode == plain.stat().st_mode
        path.chmod(0o660)
        ck.save_checkpoint(model, path)
        assert path.stat().st_mode & 0o777 == 0o660

    @pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
    def test_a_link_stays_one(self, model, suffix, tmp_path):
        target, link = tmp_path / f"target{suffix}", tmp_path / f"link{suffix}"
        link.symlink_to(target)
        assert ck.save_checkpoint(model, link) == link and link.is_symlink() and target.stat().st_size > 0
        assert ck.load_checkpoint(link).config == MLP

    def test_nothing_is_left_of_a_save_that_fails(self, model, tmp_path, monkeypatch):
        ck.save_checkpoint(model, tmp_path / "a.pt")
        before = (tmp_path / "a.pt").read_bytes()
        full = OSError(28, "No space left on device")
        for problem, raised in ((full, StateError), (KeyboardInterrupt(), KeyboardInterrupt)):

            def fail(what, name, problem=problem):
                Path(name).write_bytes(b"half")
                raise problem

            monkeypatch.setattr(torch, "save", fail)
            with pytest.raises(raised) as said:
                ck.save_checkpoint(model, tmp_path / "a.pt")
            assert raised is KeyboardInterrupt or "cannot be written: No space left" in str(said.value)
            assert [p.name for p in tmp_path.iterdir()] == ["a.pt"] and (tmp_path / "a.pt").read_bytes() == before

    @pytest.mark.parametrize("path", [None, "", 5])
    def test_what_is_no_path(self, model, path):
        for ask in (lambda: ck.save_checkpoint(model, path), lambda: ck.load_checkpoint(path)):
            with pytest.raises(StateError, match="A checkpoint is a file"):
                ask()

    def test_a_folder(self, model, tmp_path):
        for ask in (lambda: ck.save_checkpoint(model, tmp_path), lambda: ck.load_checkpoint(tmp_path)):
            with pytest.raises(StateError, match="is a folder: name the file in it"):
                ask()

    def test_another_module(self, tmp_path):
        with pytest.raises(ConfigError, match="takes a ClassyModel, not Linear: adopt"):
            ck.save_checkpoint(torch.nn.Linear(2, 2), tmp_path / "a.pt")

    @pytest.mark.parametrize("labels", [5, [["x"]], "abc", [1, 2]])
    def test_labels_that_are_none(self, model, labels, tmp_path):
        model.labels = labels
        with pytest.raises(StateError, match="does not describe a model: of its labels"):
            ck.save_checkpoint(model, tmp_path / "a.pt")


NAMED = st.fixed_dictionaries({"name": st.none() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)})
ODD = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)


class TestDescriptionsOfSomebodyElse:
    def write(self, path, about, state):
        torch.save({"classykit": json.dumps(about), "state": state}, path)
        return path

    def check_refused_or_fine(self, path):
        for load in (lambda: ck.load_checkpoint(path), lambda: ck.load_pretrained("mlp", source=str(path))):
            try:
                assert isinstance(load(), ck.ClassyModel)
            except ClassyKitError as error:
                assert str(error)

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(about=st.dictionaries(st.sampled_from(list(WHOLE)), ODD | st.just(MLP) | NAMED), whole=st.booleans())
    def test_any_description(self, about, whole, tmp_path):
        about = {**WHOLE, **about} if whole else about
        self.check_refused_or_fine(self.write(tmp_path / "x.pt", about, ck.build_model(MLP).state_dict()))

    @pytest.mark.parametrize("state", [None, 5, [], {"a": 5}])
    def test_any_state(self, state, tmp_path):
        with pytest.raises(ClassyKitError):
            ck.load_checkpoint(self.write(tmp_path / "x.pt", WHOLE, state))

    @pytest.mark.parametrize("gone", ["config", "preprocessing", "labels", "weights"])
    def test_what_is_missing_is_named(self, gone, tmp_path):
        about = {k: v for k, v in WHOLE.items() if k != gone}
        with pytest.raises(StateError, match=f"does not describe a model: of its {gone}"):
            ck.load_checkpoint(self.write(tmp_path / "x.pt", about, ck.build_model(MLP).state_dict()))
