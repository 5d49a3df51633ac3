"""classykit.seeing.scores: what gives the scores of classes, and which class is meant."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, HeadError, ShapeError
from classykit.seeing.scores import as_scores, chosen_scores, class_numbers, classifies, rivals, score_paths


def chosen(model, x, head=None):
    from classykit.running.recording import record_paths

    paths = score_paths(model, head)
    return chosen_scores(record_paths(model, x, paths), paths, model, "net")


@pytest.fixture
def net():
    torch.manual_seed(0)
    return ck.build_model({"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}).eval()


X = torch.rand(2, 3, 32, 32)


def test_a_classifier_of_its_own():
    model = ck.build_model("efficientnet_lite0").eval()
    model.attach_head("block1-1", "fully_connected", unique_id="mine", num_classes=3)
    with torch.no_grad():
        assert torch.equal(chosen(model, X)[1], model.forward(X)), "the trunk's, whatever heads there are"
        assert torch.equal(chosen(model, X, "mine")[1], model(X))


def test_the_only_head(net):
    with pytest.raises(ShapeError, match=r"gives no scores of classes.*attach a head"):
        chosen(net, X)
    net.attach_head("block1-0", "fully_connected", unique_id="a", num_classes=4)
    assert torch.equal(chosen(net, X)[1], net(X))
    net.attach_head("block0-0", "fully_connected", unique_id="b", num_classes=5)
    with pytest.raises(ConfigError, match=r"several heads.*head='a' or 'b'"):
        chosen(net, X)
    assert chosen(net, X, "b")[1].shape == (2, 5)
    with pytest.raises(HeadError, match=r"no head 'c'; attached are 'a', 'b'"):
        chosen(net, X, "c")


def test_the_vector_of_a_trunk_is_no_classifier_where_there_is_a_head():
    vit = ck.build_model("vision_transformer", image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16,
                         mlp_dim=16).eval()  # fmt: skip
    assert chosen(vit, X)[1].shape == (2, 16)
    vit.attach_head("trunk_output", "vision_transformer_head", unique_id="classes", num_classes=7)
    assert chosen(vit, X)[1].shape == (2, 7)


@pytest.mark.parametrize("shape, found", [((2, 5), (2, 5)), ((2, 5, 1, 1), (2, 5)), ((2, 5, 3, 3), None), ((5,), None)])
def test_as_scores(shape, found):
    scores = as_scores(torch.rand(shape))
    assert scores is None if found is None else scores.shape == found
    assert as_scores("none") is None and as_scores(torch.zeros(2, 5, dtype=torch.long)) is None


class TestClasses:
    scores = torch.tensor([[0.1, 0.5, 0.3], [0.9, 0.1, 0.2]])

    @pytest.fixture
    def model(self):
        model = nn.Linear(2, 3)
        model.labels = ["tabby cat", "tiger cat", "dog"]
        return model

    @pytest.mark.parametrize(
        "target, numbers",
        [
            (None, [1, 0]), (2, [2, 2]), ([2, 0], [2, 0]), ("dog", [2, 2]), ("tiger", [1, 1]), (["dog", 1], [2, 1]),
            (torch.tensor([0, 2]), [0, 2]), (torch.tensor(1), [1, 1]),
        ],
    )  # fmt: skip
    def test_meant(self, target, numbers, model):
        assert class_numbers(target, self.scores, model) == numbers

    @pytest.mark.parametrize(
        "target, words",
        [
            (3, "There is no class 3: there are 3, from 0 to 2"), (-1, "no class -1"), ("dgo", "Did you mean 'dog'"),
            ("cat", "may be one of 'tabby cat', 'tiger cat'"), ([1], "2 inputs and 1 targets"), (1.5, "or a label"),
            (True, "or a label"),
        ],
    )  # fmt: skip
    def test_not_there(self, target, words, model):
        with pytest.raises(ConfigError, match=words):
            class_numbers(target, self.scores, model)

    def test_without_names(self):
        with pytest.raises(ConfigError, match="have no names here"):
            class_numbers("dog", self.scores, nn.Linear(2, 3))

    def test_rivals(self, model):
        assert rivals("runner-up", [1, 0], self.scores, model) == [2, 2]
        assert rivals("runner-up", [0, 2], self.scores, model) == [1, 0]
        assert rivals("dog", [1, 0], self.scores, model) == [2, 2]
        with pytest.raises(ConfigError, match="the same class is nothing"):
            rivals("dog", [1, 2], self.scores, model)
        with pytest.raises(ConfigError, match="no runner-up"):
            rivals("runner-up", [0, 0], self.scores[:, :1], model)


def test_classifies():
    assert classifies(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 7)), 7)
    assert not classifies(nn.Sequential(nn.Linear(4, 7), nn.ReLU()), 7) and not classifies(nn.Linear(4, 7), 4)
