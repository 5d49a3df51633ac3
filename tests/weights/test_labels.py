"""classykit.weights.labels: the names of ImageNet's classes."""

import torch
from sources import models

from classykit.weights import imagenet_labels
from classykit.weights.labels import top_classes


def test_the_labels_are_torchvisions():
    categories = models.ResNet50_Weights.DEFAULT.meta["categories"]
    first = [[label.split()[0].lower() for label in labels] for labels in (imagenet_labels(), categories)]
    assert first[0] == first[1]  # six differ in what follows: "cardigan (sweater)", "cardigan"


def test_labels_are_a_copy():
    imagenet_labels().clear()
    assert imagenet_labels()[967] == "espresso"


def test_the_most_probable_classes_come_first():
    logits = torch.tensor([[1.0, 3.0, 2.0]], dtype=torch.float16, requires_grad=True)
    names, shares = zip(*top_classes(logits, ["a", "b", "c"], k=2), strict=True)
    assert names == ("b", "c")
    torch.testing.assert_close(torch.tensor(shares), torch.softmax(torch.tensor([3.0, 2.0, 1.0]), 0)[:2])


def test_no_more_classes_than_there_are():
    found = top_classes(torch.zeros(1, 2), ["a", "b"])
    assert sorted(found) == [("a", 0.5), ("b", 0.5)]
