"""classykit.weights.training_state: weights as training scripts write them."""

import logging

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights import training_state
from classykit.weights.training_state import unprefixed, weights_in

STATE = {"a": torch.arange(3.0), "b": torch.zeros(2, 2)}
EMA = {"a": torch.ones(3), "b": torch.ones(2, 2)}
SMALL = {"init_planes": 4}
KEYS = ("state_dict", "model", "model_state_dict", "net", "weights", "state_dict_ema", "model_ema")


@pytest.fixture
def mine(randomise):
    return randomise(ck.build_model("resnet18", **SMALL)).eval()


@pytest.fixture
def assert_loads_as_mine(mine, tmp_path):
    """Whether what a file with this content gives is ``mine``."""

    def check(content, **keys):
        torch.save(content, tmp_path / "c.pth")
        found = ck.load_pretrained("resnext", source=tmp_path / "c.pth", **keys)
        x = torch.rand(1, 3, 64, 64)
        assert torch.equal(found(x), mine(x))

    return check


@pytest.mark.parametrize("key", KEYS)
def test_under_any_key_which_is_logged(key, monkeypatch):
    heard = logging.Logger("heard")  # whatever others have made of the process's loggers
    records = []
    heard.addHandler(handler := logging.Handler())
    handler.emit = records.append
    monkeypatch.setattr(training_state, "log", heard)
    assert weights_in({"epoch": 3, key: STATE, "optimizer": {"state": {}}}, "it") == STATE
    assert [r.getMessage() for r in records] == [f"it: the weights under {key!r} were taken"]


def test_itself_or_keys_within_keys():
    assert weights_in(STATE, "it") == STATE
    assert weights_in({"model": {"net": {"state_dict": STATE}, "step": 1}}, "it") == STATE


@pytest.mark.parametrize(
    "content, words",
    [
        ({}, "it is empty"),
        ({"epoch": 3}, "under 'epoch' is a int"),
        ({3: STATE["a"]}, "under 3"),
        ({"model": {"epoch": 1}}, "under 'model' is a dict"),
    ],
)
def test_what_is_no_state(content, words):
    with pytest.raises(WeightsError, match=words):
        weights_in(content, "it")


class TestRawAndAveraged:
    CONTENT = {"state_dict": STATE, "state_dict_ema": EMA}

    def test_the_default_is_said(self):
        with pytest.warns(UserWarning, match=r"under 'state_dict' and their running average under 'state_dict_ema'"):
            assert weights_in(self.CONTENT, "it") == EMA

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("which", ["raw", "averaged", "ema", "state_dict", "state_dict_ema"])
    def test_one_is_chosen(self, which):
        assert weights_in(self.CONTENT, "it", which) == (EMA if "ema" in which or which == "averaged" else STATE)

    def test_one_that_is_not_there(self):
        with pytest.raises(WeightsError, match=r"no weights 'averaged'.* It has raw, model"):
            weights_in({"model": STATE}, "it", "averaged")
        with pytest.raises(WeightsError, match="goes with the path of a file"):
            ck.load_pretrained("resnet18", which="raw")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "net.", "backbone.", "module._orig_mod.model."])
def test_what_wrappers_put_before_the_keys(prefix, mine, assert_loads_as_mine):
    assert_loads_as_mine({"state_dict": {prefix + k: v for k, v in mine.state_dict().items()}})


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, AveragedModel])
def test_states_of_wrapped_models(wrap, mine, assert_loads_as_mine):
    assert_loads_as_mine(wrap(mine).state_dict())


def test_a_lightning_module_with_more_than_the_backbone(mine, assert_loads_as_mine):
    state = {f"model.backbone.{k}": v for k, v in mine.state_dict().items()} | {"model.fc.weight": torch.zeros(2, 32)}
    with pytest.warns(UserWarning, match=r"under 'model.backbone.' were taken, and 1 others were left out.*fc.weight"):
        assert_loads_as_mine({"state_dict": state, "epoch": 1, "pytorch-lightning_version": "2.0"})


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, AveragedModel])
def test_wrapped_objects_as_sources(wrap, randomise):
    source = randomise(pytest.importorskip("torchvision.models").resnet18(num_classes=3)).eval()
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(ck.load_pretrained("resnet18", source=wrap(source))(x), source(x), atol=1e-4, rtol=1e-4)


def test_what_is_not_known_stays_as_it_was():
    state = {"module.a": torch.ones(1)}
    assert unprefixed(state, lambda s: False, "it") is state
    assert unprefixed(state, lambda s: "module.a" in s, "it") is state


def test_a_half_precision_file_runs_with_what_preprocess_gives(mine, tmp_path):
    torch.save(mine.half().state_dict(), tmp_path / "h.pth")
    found = ck.load_pretrained("resnext", source=tmp_path / "h.pth")
    assert found(ck.preprocess("coffee", found)).dtype == torch.float16
