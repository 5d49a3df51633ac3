"""classykit.weights.labels: the names of ImageNet's classes."""

from sources import models

from classykit.weights import imagenet_labels


def test_the_labels_are_torchvisions():
    categories = models.ResNet50_Weights.DEFAULT.meta["categories"]
    first = [[label.split()[0].lower() for label in labels] for labels in (imagenet_labels(), categories)]
    assert first[0] == first[1]  # six differ in what follows: "cardigan (sweater)", "cardigan"


def test_labels_are_a_copy():
    imagenet_labels().clear()
    assert imagenet_labels()[967] == "espresso"
