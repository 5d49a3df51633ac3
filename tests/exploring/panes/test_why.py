"""classykit.exploring.panes.why: the classes, sums that add up, what is said where nothing is exact or has places."""

import json
import re

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, HeadError
from classykit.exploring.explored import Explored
from classykit.exploring.panes.why import THUMBS, WhyPane, thinned
from classykit.exploring.scene import Scene
from classykit.images import load_image

SMALL = {"name": "resnext", "num_blocks": [1, 1, 1], "init_planes": 8, "small_input": True}
VIT = {"name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2,
       "hidden_dim": 16, "mlp_dim": 32}  # fmt: skip
MLP = {"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [8, 6]}


def scene_of(model, example=None, image="chelsea"):
    return Scene(Explored(model, example), "cpu", image, None if image is None else load_image(image), "moving shapes")


def pane_of(model, *heads, **keys):
    scene = scene_of(model, **keys)
    for block, unique_id, classes in heads:
        scene.subject.attach_head(block, "linear_probe", unique_id, {"num_classes": classes})
    said = []
    pane = WhyPane(scene, lambda words, done=0, total=0: said.append(words))
    pane.said = said
    return pane


def ask(pane, kind, **message):
    holds, act = pane.acts[kind]
    assert {name: type(message[name]) for name in holds} == holds
    return act(message)


@pytest.fixture(scope="module")
def _lite():
    pane = pane_of("efficientnet_lite0", ("block4-2", "cats", 3))
    pane.scene.run()
    pane.work()
    return pane


@pytest.fixture
def lite(_lite):
    """The trained model with a head of one's own, its evidence worked out."""
    _lite.scene.choose("trunk_output")
    _lite._turn(head="", target=None, minus=False)
    yield _lite


def number(text):
    return float(text.replace("−", "-"))


def adds_up(state):
    """The sum as it is written comes to what is written, within its last digit."""
    s = state["sum"]
    bias = number(s["bias"]) * (1 if s["sign"] == "+" else -1)
    last = 10.0 ** -len(s["score"].partition(".")[2])
    assert abs(number(s["map"]) + bias - number(s["score"])) <= 1.01 * last
    return number(s["score"])


class TestATrainedModel:
    def test_the_classes_and_the_sum(self, lite):
        state, pixels = lite.show()
        logits = lite.scene.last.trunk[0]
        best = logits.topk(5).indices.tolist()
        assert [row["number"] for row in state["classes"]] == best
        assert state["classes"][0] | {"share": 0} == {
            "number": 285, "label": "Egyptian cat", "share": 0, "value": f"{100 * logits.softmax(0)[285]:.0f} %",
        }  # fmt: skip
        assert state["title"] == "Evidence for Egyptian cat" and state["target"] == 285 and not state["untrained"]
        assert state["exact"] and adds_up(state) == pytest.approx(logits[285].item(), abs=0.006)
        assert len(pixels) == 2 * sum(a["shape"][0] * a["shape"][1] for a in state["arrays"])
        assert state["heads"] == [{"id": "", "label": "ImageNet-1k · 1000"}, {"id": "cats", "label": "cats · 3"}]

    def test_channels(self, lite):
        state, _ = lite.show()
        fc = lite.scene.subject.live.get_submodule(lite.scene.subject.live.block_paths()["fc"])
        mean = ck.capture(lite.scene.subject.live, lite.scene.input_for(lite.scene.subject.live), "trunk_output")
        wanted = next(p for p in fc.parameters() if p.ndim == 2)[285].detach() * mean["trunk_output"][0].mean((1, 2))
        parts = [(row["channel"], number(row["value"])) for row in state["channels"]]
        assert [c for c, _ in parts[:6]] == wanted.topk(6).indices.tolist()
        assert [c for c, _ in parts[6:]] == (-wanted).topk(3).indices.tolist()
        assert all(value == pytest.approx(wanted[c].item(), abs=0.006) for c, value in parts)
        assert state["parts"] == "6 of 1280 for, 3 against"

    def test_every_depth(self, lite):
        state, _ = lite.show()
        assert [t["name"] for t in state["thumbs"]] == lite.scene.block_names[:-1], "all but the vector"
        assert [t["label"] for t in state["thumbs"]][-2:] == ["6-0", "out"]
        assert [t["name"] for t in state["thumbs"] if t["exact"]] == ["trunk_output"]

    def test_another_block_costs_nothing(self, lite):
        before, pixels = lite.found, lite.show()[1]
        lite.scene.choose("block3-1")
        state, same = lite.show()
        assert lite.found is before and same == pixels and not lite.due
        assert state["block"] == "block3-1" and not state["exact"] and state["sum"] is None
        assert "is not linear" in state["why"] and len(json.dumps(state)) < 5000

    def test_a_vector_has_no_places(self, lite):
        lite.scene.choose("fc")
        state, _ = lite.show()
        assert state["block"] == "trunk_output"
        assert state["instead"] == "fc gives a vector, which has no places: this is trunk_output."

    def test_another_class(self, lite):
        ask(lite, "why_class", number=282)
        state, _ = lite.show()
        assert lite.scene.target == 282 and state["title"] == "Evidence for tiger cat"
        assert adds_up(state) == pytest.approx(lite.scene.last.trunk[0, 282].item(), abs=0.006)
        ask(lite, "why_class", number=285)
        assert lite.scene.target is None, "the most probable one goes with the picture"
        ask(lite, "why_class", number=0)
        assert [row["number"] for row in lite.show()[0]["classes"]][5:] == [0], "below the five"
        with pytest.raises(ConfigError, match="no class 1000"):
            ask(lite, "why_class", number=1000)
        assert lite.scene.target == 0

    def test_minus_the_runner_up(self, lite):
        ask(lite, "why_minus", on=True)
        state, _ = lite.show()
        logits = lite.scene.last.trunk[0]
        assert state["rival"] == "tiger cat" and state["title"] == "Evidence for Egyptian cat minus tiger cat"
        assert adds_up(state) == pytest.approx((logits[285] - logits[282]).item(), abs=0.006)
        assert state["sum"]["is"] == "difference" and "difference of the logits" in state["why"]

    def test_a_head_of_one_s_own(self, lite):
        ask(lite, "why_class", number=700)
        ask(lite, "why_head", head="cats")
        state, _ = lite.show()
        assert state["own"] and state["untrained"] and state["count"] == 3 and not lite.scene.target
        assert state["block"] == "block4-2" and "has no map that leads to what cats reads" in state["instead"]
        assert state["exact"] and [t["name"] for t in state["thumbs"]][-1] == "block4-2"
        gave = lite.scene.subject.live(lite.scene.input_for(lite.scene.subject.live))
        assert adds_up(state) == pytest.approx(gave.max().item(), abs=0.006)
        with pytest.raises(HeadError, match="no head 'dogs'"):
            ask(lite, "why_head", head="dogs")
        assert lite.head == "cats"

    @pytest.mark.parametrize(
        "typed, first, words",
        [
            ("ESPRESSO", "espresso", r"\d+ classes"), ("tabby", "tabby", "1 class"), ("281", "tabby", "1 class"),
            ("cat", "catamaran", r"\d+ classes"), ("tigr cat", "tiger cat", r"No class is called so\."),
            ("xqzw", None, r"No class is called so\."),
        ],
    )  # fmt: skip
    def test_search(self, typed, first, words, lite):
        ask(lite, "why_find", text=f" {typed} ")
        state, _ = lite.show()
        assert re.fullmatch(words, state["said"]) and len(state["hits"]) <= 8
        assert (state["hits"][0]["label"] if state["hits"] else None) == first
        ask(lite, "why_class", number=281)
        assert lite.show()[0]["hits"] == [] and lite.show()[0]["typed"] == "", "what was found is chosen"

    def test_a_channel_and_a_position(self, lite):
        ask(lite, "why_position", x=1, y=3)
        assert lite.scene.position == (3, 1) and lite.show()[0]["at"] == (1, 3)
        with pytest.raises(ConfigError, match=r"7 × 7: there is no \(7, 0\)"):
            ask(lite, "why_position", x=7, y=0)
        lite.scene.choose("fc")
        ask(lite, "why_channel", channel=254)
        assert lite.scene.block == "trunk_output" and lite.scene.channel == 254
        with pytest.raises(ConfigError, match="channels 0 to 1279"):
            ask(lite, "why_channel", channel=1280)

    @pytest.mark.parametrize("turn", [{}, {"minus": True}, {"head": "cats"}, {"target": 967}])
    def test_the_code_gives_what_is_shown(self, turn, lite):
        lite._turn(**turn)
        space = {}
        exec(lite.scene.experiment.to_code() + lite.code() + "figure = ev.plot()", space)
        ev, found = space["ev"], lite.found
        assert ev.target == found.target if "head" not in turn else ev.head == "cats"
        assert list(ev.maps) == list(found.maps) and ev.exact == found.exact and ev.minus == (found.minus and ev.minus)
        if "head" not in turn:  # whose weights are random
            torch.testing.assert_close(ev.maps["trunk_output"], found.maps["trunk_output"])

    def test_nothing_holds_on_to_weights(self, lite):
        assert not list(lite.found.look.model.parameters()) and lite.found.look.x is None


class TestWhatIsStale:
    @pytest.fixture
    def pane(self):
        pane = pane_of(SMALL, ("block2-0", "mine", 4), ("block1-0", "early", 6))
        pane.work()
        assert pane.found is not None and pane.scene.last is not None, "it was run first"
        return pane

    def test_another_picture(self, pane):
        pane.scene.image, pane.scene.picture = "coffee", load_image("coffee")
        pane.scene.forget()
        state, pixels = pane.show()
        assert pane.found is None and state["button"] == "Show why" and not pixels
        assert not pane.due, "not before it was run"
        pane.scene.run()
        assert pane.due
        pane.work()
        assert pane.show()[0]["classes"]

    def test_another_model_or_head(self, pane):
        first = pane.show()[0]["heads"]
        pane.scene.subject.remove_head("mine")
        assert pane.found is None and [h["id"] for h in pane.show()[0].get("heads", [])] == []
        assert [h["id"] for h in first] == ["mine", "early"] and list(pane.heads) == ["early"]
        pane.work()
        assert pane.found.head == "early"
        pane.scene.subject.remove_head("early")
        pane.scene.subject.attach_head("block1-0", "linear_probe", "early", {"num_classes": 6})
        assert pane.found is None, "another head of the same name has other weights"
        pane.work()
        pane.scene.open(Explored(SMALL))
        assert pane.found is None and not pane.heads

    def test_a_class_that_the_head_has_not(self, pane):
        pane.scene.target = 5
        assert pane.target is None and pane.found is not None
        ask(pane, "why_head", head="early")
        assert pane.scene.target is None
        ask(pane, "why_class", number=5)
        assert pane.found.target == [5]

    def test_cancelled_all_is_as_it_was(self, pane, monkeypatch):
        before, found = pane.show(), pane.found

        def stopped(*args, **keys):
            raise KeyboardInterrupt

        monkeypatch.setattr("classykit.exploring.panes.why.evidence", stopped)
        other = 1 - pane.found.target[0] if pane.found.target[0] < 2 else 0
        for kind, message in (
            ("why_class", {"number": other}),
            ("why_minus", {"on": True}),
            ("why_head", {"head": "early"}),
        ):
            with pytest.raises(KeyboardInterrupt):
                ask(pane, kind, **message)
            assert pane.show() == before and pane.found is found


class TestOtherModels:
    def test_an_untrained_one_without_classes_says_what_it_needs(self):
        pane = pane_of(SMALL)
        state, _ = pane.show()
        assert pane.applies and not pane.due and pane.code() == ""
        assert state["offer"] == {"block": "block2-0", "head": "linear_probe", "classes": 10}
        assert "no scores of classes" in state["reason"]
        with pytest.raises(HeadError, match="attach one first"):
            pane.work()
        pane.scene.subject.attach_head("block2-0", "linear_probe", None, {"num_classes": 10})
        pane.work()
        state, _ = pane.show()
        assert state["untrained"] and state["exact"] and not state["named"]
        assert state["classes"][0]["label"].startswith("class ") and adds_up(state) is not None
        ask(pane, "why_find", text="7")
        assert [hit["label"] for hit in pane.show()[0]["hits"]] == ["class 7"]

    def test_tokens_are_approximate(self):
        pane = pane_of(VIT, ("trunk_output", "mine", 4))
        pane.work()
        assert re.fullmatch(r"class \d, \d+ %: the evidence adds up at trunk_output\.", pane.said[-1])
        pane.scene.choose("layer_0")
        state, _ = pane.show()
        assert state["block"] == "layer_0" and not state["exact"] and state["sum"] is None and state["places"]
        assert [a["shape"] for a in state["arrays"]] == [[4, 4]] * 3
        pane.scene.choose("trunk_output")
        assert "gives a vector, which has no places" in pane.show()[0]["instead"]
        assert "ev.plot(" in pane.code()

    def test_adopted(self):
        torchvision = pytest.importorskip("torchvision.models")
        torch.manual_seed(0)
        pane = pane_of(torchvision.resnet18())
        assert list(pane.heads.values()) == [1000]
        pane.work()
        assert pane.said[-1].endswith("the evidence adds up at layer4.1.")
        state, _ = pane.show()
        assert state["thumbs"][-1] == {"name": "layer4.1", "label": state["thumbs"][-1]["label"], "exact": True}
        pane.scene.choose("layer4.1")
        assert adds_up(pane.show()[0]) is not None and state["untrained"]

    def test_vectors_only(self):
        torch.manual_seed(0)
        mlp = ck.build_model(MLP)
        pane = pane_of(mlp, example=torch.rand(1, 12), image=None)
        assert pane.applies and pane.heads == {"": 5}
        pane.scene.choose("hidden1")
        pane.work()
        state, pixels = pane.show()
        assert not state["places"] and not state["thumbs"] and not pixels and state["exact"]
        assert adds_up(state) == pytest.approx(pane.found.score.item(), abs=0.006) and state["sum"]["of"] == "channels"
        assert len(state["channels"]) <= 6 and "What each channel adds" in state["why"]
        pane.scene.choose("output")
        assert pane.show()[0]["instead"].startswith("output comes after all")
        space = {"module": mlp}
        exec(pane.scene.experiment.to_code() + pane.code(), space)
        assert space["ev"].maps.keys() == pane.found.maps.keys() and "places=False" in pane.code()

    def test_without_an_example_it_cannot_be_run(self):
        assert not pane_of(MLP).applies

    def test_a_clip_at_the_moment_that_is_shown(self):
        pane = pane_of({"name": "r3d_18", "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32})
        pane.scene.subject.attach_head(pane.scene.block_names[-1], "linear_probe", "mine", {"num_classes": 3})
        pane.work()
        pane.scene.choose(pane.scene.block_names[-1])
        pane.scene.frame = 0
        first, pixels = pane.show()
        pane.scene.frame = 15
        last, others = pane.show()
        assert "over all time steps" in first["why"]
        assert (first["frame"], last["frame"]) == (0, 15) and pixels != others and first["pictured"]

    def test_no_map_and_no_vector(self):
        class Words(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.mix, self.fc = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 4)

            def forward(self, x):
                return self.fc(self.mix(self.embed(x)).mean(1))

        pane = pane_of(Words(), example=torch.rand(1, 5, 3), image=None)
        pane.work()
        assert pane.found is None and "No place to show" in pane.show()[0]["reason"] and pane.show()[0]["button"] == ""
        assert not pane.due

    def test_what_fails_is_not_tried_again_and_again(self, monkeypatch):
        pane = pane_of(SMALL, ("block2-0", "mine", 4))
        pane.scene.run()

        def fails(*args, **keys):
            raise ConfigError("not like this")

        monkeypatch.setattr("classykit.exploring.panes.why.evidence", fails)
        assert pane.due
        with pytest.raises(ConfigError):
            pane.work()
        assert not pane.due and pane.show()[0]["reason"] == "not like this"


@pytest.mark.parametrize("stages, tried", [([80], 8), ([3, 4, 23, 3], 9), ([1] * 40, 8), ([2, 2], 4), ([30, 1], 8)])
def test_thinned(stages, tried):
    names = [f"{s}-{i}" for s, n in enumerate(stages) for i in range(n)]
    of = [int(name.split("-")[0]) for name in names]
    chosen = {kept: thinned(names, of, THUMBS, kept) for kept in names[:: max(1, len(names) // 7)]}
    assert len(chosen) == tried and {len(some) for some in chosen.values()} == {min(THUMBS, len(names))}
    for kept, some in chosen.items():
        assert kept in some and some == sorted(set(some), key=names.index)
        assert len(stages) > THUMBS or {int(n.split("-")[0]) for n in some} == set(of)
