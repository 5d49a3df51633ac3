"""classykit.exploring.panes.information: what is asked, what is shown of it, and what becomes of it."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ClassyKitError, ConfigError, HeadError, ImageError, Interrupted
from classykit.exploring.explored import Explored
from classykit.exploring.panes import information
from classykit.exploring.panes.information import InformationPane
from classykit.exploring.scene import Scene

NET = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}
ANY = [32, 64, 96, 128, 224]
VIT = {"name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2,
       "hidden_dim": 16, "mlp_dim": 16}  # fmt: skip
MLP = {"name": "mlp", "input_dim": 64, "output_dim": 10, "hidden_dims": [32]}
GREY = {**VIT, "in_channels": 1}
VIDEO = {"name": "r3d_18", "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32}


def pane_of(model, image=None, count=100, size=None):
    said = []
    picture = None if image is None else ck.load_image(image)
    scene = Scene(Explored(model), "cpu", image, picture, "moving shapes")
    pane = InformationPane(scene, lambda *told: said.append(told))
    pane.said, pane.count, pane.size = said, count, size
    return pane


def state_of(pane):
    return pane.show()[0]


@pytest.fixture(scope="module")
def _asked():
    pane = pane_of(NET, size=32)
    pane.ask()
    return pane


@pytest.fixture
def asked(_asked):
    """A pane that has asked, with the same answer each time."""
    pane = pane_of(NET, size=32)
    pane.scene.subject = _asked.scene.subject
    pane._asked, pane.scene.knows = _asked._asked, _asked._asked.knows
    pane._asked.attached.clear()
    pane.scene.subject.put_heads({})
    return pane


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dark pictures and bright ones."""
    root = tmp_path_factory.mktemp("shades")
    random = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 150)):
        (root / name).mkdir()
        for i in range(12):
            Image.fromarray(random.integers(low, low + 100, (40, 40, 3)).astype("uint8")).save(root / name / f"{i}.png")
    return root


class TestWhatMayBeAsked:
    @pytest.mark.parametrize(
        "model, kinds, sizes, pools",
        [
            (NET, ["digits", "folder"], [], []),
            ("resnet18", ["digits", "folder"], ANY, []),
            (VIT, ["digits", "folder"], [], ["mean", "class"]),
            (MLP, ["digits"], [], []),
            ({**MLP, "input_dim": 192}, ["digits"], [], []),
            ({**MLP, "input_dim": 100}, ["digits"], [], []),
            ({**MLP, "input_dim": 99}, [], [], []),
            (VIDEO, [], [], []),
        ],
    )
    def test_by_each_kind_of_model(self, model, kinds, sizes, pools):
        state = state_of(pane_of(model))
        assert state["kinds"] == kinds and state["pools"] == pools and state["result"] is None
        assert state["sizes"] == sizes
        assert bool(state["why_not"]) == (not kinds) and bool(state["digits"]) == ("digits" in kinds)

    @pytest.mark.parametrize(
        "model, words", [(VIDEO, "takes clips"), ({**MLP, "input_dim": 99}, "takes 99 values"), ("example", "example")]
    )
    def test_why_not_is_said(self, model, words):
        if model == "example":
            scene = Scene(Explored(nn.Linear(4, 2), torch.rand(1, 4)), "cpu", None, None, "moving shapes")
            pane = InformationPane(scene, print)
        else:
            pane = pane_of(model)
        assert words in state_of(pane)["why_not"] and "app.probe(x, y)" in state_of(pane)["why_not"]
        with pytest.raises(ConfigError, match=words):
            pane.ask()
        assert pane.code() == "" and pane.figure() is None and pane.scene.knows == {}

    def test_a_size_that_all_can_take_is_preferred(self):
        assert state_of(pane_of("resnet18"))["size"] == 96 and state_of(pane_of(VIT))["size"] == 32
        pane = pane_of("resnet18")
        pane.acts["information_size"][1]({"size": 64})
        assert state_of(pane)["size"] == 64

    @pytest.mark.parametrize(
        "kind, message",
        [
            ("data", {"data": "yours"}), ("data", {"data": "cats"}), ("count", {"count": 7}), ("size", {"size": 33}),
            ("pool", {"pool": "class"}),
        ],
    )  # fmt: skip
    def test_what_is_not_offered_is_refused(self, kind, message):
        pane = pane_of(NET)
        before = state_of(pane)
        with pytest.raises(ConfigError, match="is one of"):
            pane.acts[f"information_{kind}"][1](message)
        assert state_of(pane) == before

    def test_the_digits_are_shown(self):
        state, pixels = pane_of(NET).show()
        assert state["digits"][0]["shape"] == [10, 8, 8] and len(pixels) == 2 * 640

    def test_how_long_it_takes_is_said_where_it_is_known(self):
        pane = pane_of(NET, image="cat")
        assert state_of(pane)["about"] == ""
        pane.scene.run()
        assert state_of(pane)["about"].startswith("about ")
        for seconds, words in ((0.1, "about 5 s"), (13, "about 15 s"), (89, "about 90 s"), (150, "about 2 min")):
            assert information._about(seconds) == words


class TestTheAnswer:
    def test_the_scene_knows(self, asked):
        found = asked._asked.probe
        assert asked.scene.knows == {block: one.accuracy for block, one in found.blocks.items()}
        assert list(asked.scene.knows) == asked.scene.block_names

    def test_what_is_shown(self, asked):
        result, found = state_of(asked)["result"], asked._asked.probe
        assert [point[0] for point in result["points"]] == asked.scene.block_names
        for name, macs, own, spread, random, other in result["points"]:
            assert macs == found.macs_so_far[name]
            assert (own, spread) == (round(found.blocks[name].accuracy, 6), round(found.blocks[name].spread, 6))
            twin = found.controls["random"][name]
            assert (random, other) == (round(twin.accuracy, 6), round(twin.spread, 6))
        assert result["says"] == found.says and result["weights"] == "untrained" and not result["growing"]
        assert result["pixels"] == round(found.controls["pixels"].accuracy, 6)
        assert "MACs so far, at 32 px" in result["x"] and result["heads"] == asked.scene.block_names
        assert "100 pictures of 10 classes" in result["foot"] and "3 splits" in result["foot"]
        lowest = min(min(point[2], point[4]) for point in result["points"])
        assert 0 <= result["low"] <= min(lowest, result["chance"]) and result["notes"] == []

    def test_it_stays_small(self, asked):
        import json

        assert len(json.dumps(state_of(asked))) < 4000

    def test_it_is_of_the_model_on_the_screen_alone(self, asked):
        assert state_of(asked)["result"] is not None and asked.figure() is not None
        asked.scene.open(Explored({**NET, "num_blocks": [1]}))
        assert state_of(asked)["result"] is None and asked.code() == "" and asked.scene.knows == {}
        with pytest.raises(HeadError, match="ask first"):
            asked.head()

    def test_the_code_gives_the_same_figures(self, asked):
        model = asked.scene.subject.model
        told = {"ck": ck, "model": model}
        exec(asked.code(), told)
        assert told["probe"].blocks == asked._asked.probe.blocks
        assert told["probe"].controls == asked._asked.probe.controls
        assert asked.code().splitlines()[0] == "x, y = ck.datasets.digits(32).train"
        assert asked.code().splitlines()[1].startswith("probe = ck.probe(model, x * 2 - 1, y, limit=100, repeats=3")

    def test_progress_is_told(self):
        pane = pane_of(NET, size=32)
        shown = []
        tell = pane.tell

        def told(*what):
            tell(*what)
            shown.append(state_of(pane)["result"])

        pane.tell = told
        pane.ask()
        shares = [done / of for _, done, of in pane.said if of]
        assert shares == sorted(shares) and 0 < shares[0] < 0.2 and 0.95 < shares[-1] <= 1
        assert "pictures through resnext" in pane.said[0][0] and pane.said[-1][1:] == (0, 0)
        assert "nothing of the model was changed" in pane.said[-1][0]
        grown = [len(one["points"]) for one in shown if one is not None and one["growing"]]
        assert grown[0] == 1 and grown == sorted(grown) and not shown[-1]["growing"]
        assert all(one["says"] == [] for one in shown if one is not None and one["growing"])

    def test_the_same_again_and_another_after_another_choice(self):
        pane = pane_of(NET, count=0, size=32)
        first = pane.ask(limit=60, controls=())
        assert str(pane.ask(limit=60, controls=())) == str(first) and "limit=60" in pane.code()
        assert pane.ask(limit=60, controls=(), seed=1).blocks != first.blocks
        result = state_of(pane)["result"]
        assert result["pixels"] is None and {len(point) for point in result["points"]} == {4}

    def test_of_one_split_there_are_no_spreads(self):
        pane = pane_of(NET, size=32)
        pane.ask(repeats=1, controls=())
        result = state_of(pane)["result"]
        assert {point[3] for point in result["points"]} == {None} and "±" not in result["foot"]
        assert "ask for several" in result["says"][0]

    def test_a_trained_model_on_few_digits(self):
        pane = pane_of("efficientnet_lite0", size=32)
        found = pane.ask(blocks=["block1-1", "block4-0"], controls=["random"])
        result = state_of(pane)["result"]
        assert result["weights"] == "trained" and not found.untrained and list(pane.scene.knows) == list(found.blocks)
        assert found.blocks["block4-0"].accuracy > float(found.controls["chance"])

    @pytest.mark.parametrize(
        "model, lines",
        [
            (MLP, ["x, y = ck.datasets.digits(8, channels=1).train", "x.flatten(1) * 2 - 1"]),
            ({**MLP, "input_dim": 192}, ["x, y = ck.datasets.digits(8).train", "x.flatten(1)"]),
            (GREY, ["x, y = ck.datasets.digits(32, channels=1).train", "x * 2 - 1"]),
            (VIT, ["digits(32).train", "x * 2 - 1"]),
        ],
    )
    def test_other_inputs(self, model, lines):
        pane = pane_of(model)
        found = pane.ask(controls=["pixels"])
        assert all(line in pane.code() for line in lines)
        told = {"ck": ck, "model": pane.scene.subject.model}
        exec(pane.code(), told)
        assert told["probe"].blocks == found.blocks
        assert ("no raw pixels" in "".join(state_of(pane)["result"]["notes"])) == (
            len(pane.scene.inspection.input_shape) == 1
        )

    def test_the_class_token(self):
        pane = pane_of(VIT)
        pane.acts["information_pool"][1]({"pool": "class"})
        found = pane.ask(controls=())
        assert found.pool == "class" and 'pool="class"' in pane.code()
        pane.scene.choose("layer_1")
        assert pane.head().config["pool"] == "class"


class TestFolders:
    def test_what_is_in_it_is_said(self, folder):
        pane = pane_of(NET)
        pane.acts["information_data"][1]({"data": "folder"})
        assert state_of(pane)["folder"]["good"] and "sub-folder" in state_of(pane)["folder"]["words"]
        pane.acts["information_folder"][1]({"path": f" {folder} "})
        assert state_of(pane)["folder"] == {
            "path": str(folder), "words": "2 classes: bright, dark; 24 pictures.", "good": True,
        }  # fmt: skip
        assert state_of(pane)["digits"] == [] and state_of(pane)["sizes"] == []

    def test_its_classes_are_told_apart(self, folder):
        pane = pane_of(NET)
        found = pane.ask(folder, controls=["pixels"])
        assert found.pictures == 24 and found.classes == 2 and found.controls["pixels"].accuracy == 1.0
        assert state_of(pane)["kind"] == "folder" and repr(str(folder))[1:-1] in pane.code()
        told = {"ck": ck, "model": pane.scene.subject.model}
        exec(pane.code(), told)
        assert told["probe"].blocks == found.blocks
        assert pane.head().unique_id == folder.name and pane.head().num_classes == 2

    @pytest.mark.parametrize(
        "make, error, words",
        [
            (lambda root: None, ImageError, "no picture in"),
            (lambda root: root.rmdir(), ImageError, "is not there"),
            (lambda root: Image.new("RGB", (8, 8)).save(root / "a.png"), ConfigError, "lie in no sub-folder"),
            (lambda root: [(root / "cats").mkdir(), Image.new("RGB", (8, 8)).save(root / "cats" / "a.png")],
             ConfigError, "holds one class, 'cats'"),
            (lambda root: [[(root / n).mkdir(), Image.new("RGB", (8, 8)).save(root / n / "a.png")] for n in ("a", "b")],
             ConfigError, "Class 'a' of .* has one picture"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_one_is_said(self, make, error, words, tmp_path):
        root = tmp_path / "pets"
        root.mkdir()
        make(root)
        pane = pane_of(NET)
        pane.acts["information_data"][1]({"data": "folder"})
        pane.acts["information_folder"][1]({"path": str(root)})
        shown = state_of(pane)["folder"]
        assert not shown["good"] and "pets" in shown["words"]
        with pytest.raises(error, match=words):
            pane.ask()
        assert state_of(pane)["result"] is None

    def test_none_was_typed(self):
        pane = pane_of(NET)
        pane.data = "folder"
        with pytest.raises(ConfigError, match="Which folder"):
            pane.ask()


class TestArrays:
    def test_they_are_asked_about_and_stay(self):
        x, y = ck.datasets.digits(32).train
        pane = pane_of(NET)
        found = pane.ask(x[:80], y[:80], controls=())
        assert found.pictures == 80 and state_of(pane)["kind"] == "yours" and "yours" in state_of(pane)["kinds"]
        assert state_of(pane)["counts"] == []
        told = {"ck": ck, "model": pane.scene.subject.model, "pictures": x[:80], "labels": y[:80]}
        exec(pane.code(), told)
        assert told["probe"].blocks == found.blocks

    def test_clips(self):
        x, y = ck.datasets.moving_squares(24, frames=8)
        pane = pane_of({**VIDEO, "frames_per_clip": 8})
        pane.ask(x, y, controls=())
        assert state_of(pane)["why_not"] == "" and state_of(pane)["kind"] == "yours"

    @pytest.mark.parametrize("labels", [[0] * 80, [0, 1], None])
    def test_what_cannot_be_asked_changes_nothing(self, labels):
        x, _ = ck.datasets.digits(32).train
        pane = pane_of(NET)
        before = state_of(pane)
        with pytest.raises(ClassyKitError):
            pane.ask(x[:80], labels)
        assert state_of(pane) == before and pane.scene.knows == {}


class TestCancelled:
    """What was read stays; before the first block everything is as it was."""

    def cancel(self, pane, after):
        calls = itertools.count(1)
        tell = pane.tell

        def told(*what):
            tell(*what)
            if next(calls) == after:
                raise KeyboardInterrupt

        pane.tell = told

    def test_what_was_read_stays(self):
        pane = pane_of(NET, size=32, count=100)
        passes = -(-100 // 16)
        self.cancel(pane, passes + 1)
        pane.acts["information_ask"][1]({})
        first = pane.scene.block_names[0]
        assert list(pane.scene.knows) == [first]
        result = state_of(pane)["result"]
        assert [point[0] for point in result["points"]] == [first] and result["stopped"].startswith(
            f"Cancelled after {first}"
        )
        assert not result["growing"] and "What was read stays" in pane.said[-1][0]

    def test_within_the_controls(self):
        pane = pane_of(NET, size=32, count=100)
        self.cancel(pane, 2 * -(-100 // 16) + len(pane.scene.block_names) + 2)
        with pytest.raises(Interrupted):
            pane.ask()
        result = state_of(pane)["result"]
        assert len(result["points"][0]) == 6 and len(result["points"][-1]) == 4
        assert "within the controls" in result["stopped"]

    def test_before_the_first_block(self):
        pane = pane_of(NET, size=32)
        self.cancel(pane, 1)
        with pytest.raises(KeyboardInterrupt):
            pane.acts["information_ask"][1]({})
        assert state_of(pane)["result"] is None and pane.scene.knows == {}


class TestHeads:
    def test_it_is_attached_with_what_it_has_learnt(self, asked):
        block = asked.scene.block_names[1]
        asked.scene.choose(block)
        head = asked.head()
        asked.scene.subject.attach_head(block, head, None, {})
        assert head.unique_id == "digits" and torch.equal(
            asked.scene.subject.live.get_heads()[block][0].fc.weight, asked._asked.probe.head(block).fc.weight
        )
        assert asked.head().unique_id == "digits_2"

    def test_the_code_gives_it_the_same_weights(self, asked):
        block = asked.scene.block_names[1]
        asked.scene.choose(block)
        asked.scene.subject.attach_head(block, asked.head(), None, {})
        built = ck.build_model(NET)
        built.load_state_dict(asked.scene.subject.live.state_dict(), strict=False)
        told = {"ck": ck, "model": built}
        built.clear_heads()
        built.attach_head(block, "linear_probe", unique_id="digits", num_classes=10)
        exec(asked.code(), told)
        learnt = told["model"].get_heads()[block][0].fc.weight
        assert torch.allclose(learnt, asked.scene.subject.live.get_heads()[block][0].fc.weight, atol=1e-5)

    def test_a_head_that_was_removed_is_not_in_the_code(self, asked):
        asked.scene.subject.attach_head(asked.scene.block, asked.head(), None, {})
        assert "load_state_dict" in asked.code()
        asked.scene.subject.remove_head("digits")
        assert "load_state_dict" not in asked.code()

    def test_where_none_fits(self):
        pane = pane_of(NET, size=32)
        pane.ask(pool=None, controls=(), blocks=pane.scene.block_names[0])
        pane.scene.choose(pane.scene.block_names[0])
        assert state_of(pane)["result"]["heads"] == []
        with pytest.raises(HeadError, match="as they were pooled"):
            pane.head()
        pane.scene.choose(pane.scene.block_names[-1])
        with pytest.raises(BlockError, match="was not probed"):
            pane.head()


class TestInTheApp:
    """The same by a message, by the verb, and with undo."""

    @pytest.fixture
    def app(self):
        app = ck.explore(dict(NET), image=None)
        app.tab = "information"
        app._information.count, app._information.size = 100, 32
        return app

    def test_a_click_and_a_verb_give_the_same(self, app):
        app._receive(app, {"type": "information_ask"}, [])
        by_click = app.pane["result"]
        assert app.error == "" and not app.busy and "blocks probed in" in app.status
        found = app.probe()
        assert app.pane["result"] == by_click and app._scene.knows == {b: a.accuracy for b, a in found.blocks.items()}
        assert "ck.probe(model, x * 2 - 1, y, limit=100" in app.to_code() and not app.busy

    def test_attach_and_undo(self, app):
        app.probe()
        app.selected_block = block = app._scene.block_names[1]
        app._receive(app, {"type": "information_attach"}, [])
        assert app.history[-1] == f"Head digits attached to {block}" and app.pane["result"] is not None
        assert "load_state_dict" in app.to_code()
        app.undo()
        assert app.config.get("heads", []) == [] and "load_state_dict" not in app.to_code()
        app.redo()
        assert torch.equal(
            app.model.get_heads()[block][0].fc.weight, app._information._asked.probe.head(block).fc.weight
        )

    def test_another_model_knows_nothing_yet(self, app):
        app.probe()
        app.config = {**NET, "num_blocks": [1]}
        assert app.pane["result"] is None and app._scene.knows == {} and app.error == ""

    def test_what_goes_wrong_is_said(self, app):
        app._receive(app, {"type": "information_attach"}, [])
        assert "ask first" in app.error and app.pane["result"] is None
        app._receive(app, {"type": "information_data", "data": "folder"}, [])
        app._receive(app, {"type": "information_ask"}, [])
        assert "Which folder" in app.error and not app.busy

    def test_python_is_told_when_it_is_interrupted(self, app, monkeypatch):
        told = app._information.tell

        def stop(words, done, of):
            told(words, done, of)
            if app.pane["result"] is not None and app.pane["result"]["growing"]:
                raise KeyboardInterrupt

        monkeypatch.setattr(app._information, "tell", stop)
        with pytest.raises(Interrupted) as caught:
            app.probe()
        assert len(caught.value.result.blocks) == 1 == len(app.pane["result"]["points"]) and not app.busy
