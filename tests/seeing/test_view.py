"""classykit.seeing.view: what is looked at, as a model takes it and as a person sees it."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, DeviceError
from classykit.images import Preprocessing
from classykit.seeing.view import labels_of, shown, untrained, view
from classykit.subject import UNTRAINED, subject_of


@pytest.fixture(scope="module")
def lite():
    return ck.load_pretrained("efficientnet_lite0")


def test_a_batch_pictures_or_one_picture(lite):
    x = ck.preprocess("cat", lite)
    for given in ("cat", ["cat"], x, x[0]):
        look = view(lite, given)
        assert torch.equal(look.x, x) and look.size == (224, 224) and look.notes == ()
    assert view(lite, ["cat", "coffee"]).x.shape == (2, 3, 224, 224)
    assert view(lite, x.double()).x.dtype == torch.float32, "in the model's number type"


def test_inputs_of_another_kind():
    look = view(nn.Embedding(9, 4), ck.Inputs(torch.zeros(2, 5, dtype=torch.long)))
    assert look.images is None and look.size is None and look.shown() is None


def test_a_description_and_no_weights():
    with pytest.raises(ConfigError, match="needs a model with its weights"):
        view("resnet18", torch.rand(1, 3, 32, 32))
    with pytest.raises(DeviceError, match="meta device"):
        view(ck.build_model("resnet18", device="meta"), torch.rand(1, 3, 32, 32))


def test_a_picture_in_ordinary_colours(lite):
    wanted = np.asarray(lite.preprocessing.to_display("cat")) / 255
    assert np.abs(view(lite, "cat").shown() - wanted).max() < 1e-5
    assert view(lite, "cat").shown(1) is None
    grey = shown(torch.rand(1, 4, 5))
    assert grey.shape == (4, 5, 3) and (grey[..., 0] == grey[..., 2]).all()
    stretched = shown(torch.randn(3, 4, 5) * 9)
    assert stretched.min() == 0 and stretched.max() == 1
    model = nn.Conv2d(3, 3, 1)
    model.preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    assert shown(torch.zeros(3, 2, 2), model).mean() == 0.5


class TestUntrained:
    def test_as_it_was_made(self, light):
        assert untrained(subject_of(ck.build_model(light))) == (UNTRAINED,)

    def test_after_a_step_of_training(self, light, input_for):
        model = ck.build_model(light)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        out = model(input_for(model))
        out.square().sum().backward()
        optimizer.step()
        assert untrained(subject_of(model)) == ()

    def test_trained_ones(self, lite):
        assert untrained(subject_of(lite)) == ()

    def test_foreign_ones(self):
        model = pytest.importorskip("torchvision.models").resnet18()
        assert untrained(subject_of(model)) == (UNTRAINED,)
        model.bn1.bias.data[0] = 0.1
        assert untrained(subject_of(model)) == ()
        assert untrained(subject_of(nn.Conv2d(3, 4, 3))) == (), "nothing is known of it"

    def test_a_head_on_a_trained_trunk(self, lite):
        """It is said of the head whose score is explained, until it has learnt something, copied and saved or not."""
        lite = copy.deepcopy(lite)
        lite.attach_head("trunk_output", "linear_probe", unique_id="new", num_classes=3)
        x, note = torch.rand(1, 3, 64, 64), ("Untrained: the weights of head 'new' are random",)
        assert ck.evidence(lite, x, 1, head="new").notes == note
        assert ck.evidence(lite, x, 1).notes == ()
        assert ck.ablate(lite, x, {"block1-1": 3}).notes == note
        assert ck.evidence(pickle.loads(pickle.dumps(lite)), x, 1, head="new").notes == note
        assert ck.evidence(copy.deepcopy(lite).double(), x.double(), 1, head="new").notes == note
        head = lite.get_heads()["trunk_output"][0]
        lite.eval()(x).sum().backward()
        torch.optim.SGD(head.parameters(), lr=0.01).step()
        assert ck.evidence(lite, x, 1, head="new").notes == ()


def test_labels(lite):
    assert labels_of(lite)[281] == "tabby" and labels_of(nn.Conv2d(3, 4, 3)) is None
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        num_hidden_layers=1, hidden_size=8, num_attention_heads=2, intermediate_size=8, id2label={0: "cat", 1: "dog"},
        label2id={"cat": 0, "dog": 1},
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config)
    assert labels_of(model) == ["cat", "dog"] == labels_of(ck.ClassyModel.from_model(model))
