"""classykit.widgets.present_heads: what each head is, gives and takes, and where it could go."""

import pytest
import torch

import classykit as ck
from classykit.exploring.explored import Explored
from classykit.exploring.scene import Scene
from classykit.heads import build_head
from classykit.widgets import present_heads

SMALL = {"name": "resnet18", "init_planes": 4}


def scene_of(model):
    picture = ck.load_image("chelsea")
    return Scene(Explored(model), "cpu", "chelsea", picture, "moving shapes")


def test_what_is_attached_before_and_after_a_run():
    scene = scene_of(SMALL)
    scene.subject.attach_head("block1-0", "fully_connected", "cls", {"num_classes": 3})
    scene.subject.attach_head("block2-0", "identity", "tap", {})
    cls, tap = present_heads.heads(scene)["attached"]
    assert (cls["id"], cls["block"], cls["title"], cls["classes"]) == (
        "cls",
        "block1-0",
        "fully connected",
        "3 classes",
    )
    assert (
        cls["untrained"]
        and cls["bars"] == []
        and [k["name"] for k in cls["keys"]][:2] == ["num_classes", "conv_planes"]
    )
    assert not tap["untrained"] and tap["keys"] == [], "it has no weights"
    scene.run()
    cls, tap = present_heads.heads(scene)["attached"]
    assert {bar["label"] for bar in cls["bars"]} == {"class 0", "class 1", "class 2"} and cls["untrained"]
    assert sum(bar["share"] for bar in cls["bars"]) == pytest.approx(1, abs=1e-4)
    assert tap["bars"] == [] and tap["note"].startswith("gave 16×14×14: ")
    with torch.no_grad():
        scene.subject.head_with_weights("cls").fc.weight.add_(1)
    assert not present_heads.heads(scene)["attached"][0]["untrained"]


def test_a_models_own_classifier_is_told_apart():
    own = present_heads.heads(scene_of("efficientnet_lite0"))["own"]
    assert (own["id"], own["classes"], own["trained"], own["bars"]) == ("fc", "1000 classes", "ImageNet-1k", [])
    assert present_heads.heads(scene_of("efficientnet_b0"))["own"]["trained"] == ""
    assert present_heads.heads(scene_of(SMALL))["own"] is None


def test_blocks_that_a_head_cannot_go_to_say_why():
    scene = scene_of("vit_demo")
    scene.subject.attach_head(scene.block_names[-1], "vision_transformer_head", "cls", {"num_classes": 3})
    (head,) = present_heads.heads(scene)["attached"]
    whys = {place["id"]: place["why"] for place in head["places"]}
    assert list(whys) == scene.block_names and whys["layer_0"] == "wants a vector" and whys[scene.block_names[-1]] == ""


HEAD = {"name": "linear_probe", "unique_id": "h", "in_plane": 4, "num_classes": 3}


def test_bars_of_what_was_given():
    head = build_head(HEAD)
    logits = torch.tensor([[0.0, 2.0, 1.0]])
    bars, note = present_heads.given(head, logits, None)
    assert [b["label"] for b in bars] == ["class 1", "class 2", "class 0"] and bars[0]["value"] == "67 %" and note == ""
    bars, _ = present_heads.given(head, logits, ["a", "b", "c"])
    assert [b["label"] for b in bars] == ["b", "c", "a"]
    head.labels = ["cat", "dog", "cow"]
    assert present_heads.given(head, logits, None)[0][0]["label"] == "dog", "its own labels first"
    bars, _ = present_heads.given(head, torch.tensor([[0.5, 0.3, 0.2]]), None)
    assert [b["value"] for b in bars] == ["50 %", "30 %", "20 %"], "shares are left as they are"


def test_values_that_are_no_classes():
    head = build_head({"name": "identity", "unique_id": "tap"})
    bars, note = present_heads.given(head, torch.tensor([[0.5, -2.0, 1.0, 0.0]]), None)
    assert [(b["label"], b["value"]) for b in bars] == [("channel 1", "-2"), ("channel 2", "1"), ("channel 0", "0.5")]
    assert bars[0]["share"] == 1 and note == "the largest of 4 values"
    assert present_heads.given(head, torch.zeros(1, 4, 2, 2), None) == ([], "gave 4×2×2: 0 to 0")


def test_the_keys_of_all_kinds_are_there_before_one_is_attached():
    kinds = present_heads.heads(scene_of(SMALL))["kinds"]
    assert [key["name"] for key in kinds["vision_transformer_head"]] == ["hidden_dim", "normalize_inputs"]
    assert kinds["identity"] == []
