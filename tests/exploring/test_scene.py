"""classykit.exploring.scene: what is on the screen, without one."""

import numpy as np
import pytest
import torch
from PIL import Image

import classykit as ck
from classykit.errors import ConfigError
from classykit.exploring import scene as module
from classykit.exploring.explored import Explored
from classykit.exploring.scene import Scene, frames_for

SMALL = {"name": "resnet18", "init_planes": 4}
VIDEO = {"name": "r3d_18", "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32}


@pytest.fixture
def scene():
    return Scene(Explored(SMALL), "cpu", "grace_hopper", ck.load_image("grace_hopper"), "moving shapes")


@pytest.fixture
def video():
    return Scene(Explored(VIDEO), "cpu", None, None, "moving shapes")


def test_at_first(scene):
    assert scene.block == "block1-0" and scene.last is None and scene.maps() is None and scene.predictions() == []
    assert scene.takes_pictures and not scene.takes_clips and scene.frames == [] and scene.moments == 1
    assert scene.experiment.block == "block1-0" and scene.experiment.image == "grace_hopper"


def test_another_model_keeps_the_block_of_that_name(scene):
    scene.choose("block3-1")
    scene.run()
    scene.open(Explored("resnet18"))
    assert scene.block == "block3-1" and scene.last is None and scene.features is None
    scene.open(Explored("vit_b_32"))
    assert scene.block in scene.block_names and scene.block != "block3-1"


def test_a_pass_shows_all_blocks(scene):
    scene.run()
    scene.choose("block3-1")
    wanted = ck.capture(scene.subject.model, ck.preprocess("grace_hopper", scene.subject.model), "block3-1")
    assert torch.equal(scene.features, wanted["block3-1"]) and not scene.wants_look


def test_a_quick_model_of_large_features_is_looked_at_again_for_another_block(scene, monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 1000)
    assert not scene.wants_look, "nothing runs unless asked for"
    scene.run()
    assert not scene.wants_look and scene.features.shape == (1, 8, 28, 28)
    scene.choose("block3-1")
    assert scene.wants_look and scene.features is None
    scene.look()
    wanted = ck.capture(scene.subject.model, ck.preprocess("grace_hopper", scene.subject.model), "block3-1")
    assert torch.equal(scene.features, wanted["block3-1"]) and not scene.wants_look
    monkeypatch.setattr(module, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(module, "QUICK_MACS", 0.0)
    scene.choose("block0-0")
    assert not scene.wants_look


def test_maps_come_page_by_page(scene):
    scene.choose("block3-1")
    scene.order, scene.offset = "index", 24
    scene.run()
    assert scene.maps().channels == list(range(24, 32))
    scene.choose("block3-0")
    assert scene.offset == 0


def test_without_a_picture(scene):
    scene.picture = None
    with pytest.raises(ConfigError, match="choose or upload"):
        scene.run()
    assert scene.last is None and scene.seen_picture() is None


class TestPicturesOfEveryKind:
    def scene(self, model, image="coffee", example=None):
        return Scene(Explored(model, example), "cpu", image, image and ck.load_image(image), "moving shapes")

    def runs_as_its_code(self, scene, **names):
        exec(scene.experiment.to_code(), names)
        scene.subject.go_live("cpu").load_state_dict(names["model"].state_dict())  # which is random in both
        assert torch.equal(scene.run().output, names["output"])
        return names["x"]

    @pytest.mark.parametrize("image", ["coffee", "digit 7"])
    def test_a_grey_one(self, image):
        scene = self.scene(ck.build_model(SMALL, in_channels=1), image)
        assert scene.runs and scene.takes_pictures and scene.subject.takes_digits and not scene.takes_vectors
        scene.run()
        (seen,) = scene.pictures
        assert seen.size == (224, 224) and all(len({*seen.getpixel((x, x))}) == 1 for x in range(0, 224, 8))

    @pytest.mark.parametrize("values, side", [(64, 8), (784, 28), (4096, 64)])
    def test_digits_as_vectors(self, values, side):
        scene = self.scene({"name": "mlp", "input_dim": values, "output_dim": 3, "hidden_dims": [4]})
        assert scene.runs and scene.takes_vectors and not scene.takes_pictures and scene.subject.digit_side == side
        assert scene.image_name == "digit 7" and scene.pictures[0].size == (8, 8), "the cup is no digit"
        assert torch.equal(self.runs_as_its_code(scene), ck.datasets.digit(7, side).flatten(1))
        scene.image = "digit 4"
        scene.forget()
        assert torch.equal(self.runs_as_its_code(scene), ck.datasets.digit(4, side).flatten(1))

    @pytest.mark.parametrize("model, runs, digits", [
        ("resnet18", True, False),
        ({"name": "resnet18", "small_input": True}, True, True),  # of 32 pixels
        ({"name": "mlp", "input_dim": 12, "output_dim": 3, "hidden_dims": [4]}, False, False),
        ({"name": "mlp", "input_dim": 49, "output_dim": 3, "hidden_dims": [4]}, False, False),
        ({"name": "mlp", "input_dim": 224**2, "output_dim": 3, "hidden_dims": [4]}, False, False),
        ({"name": "r3d_18", "input_planes": 1}, False, False),
        ({"name": "vit_b_16", "image_size": 32}, True, True),
    ])  # fmt: skip
    def test_what_runs_and_on_digits(self, model, runs, digits):
        scene = self.scene(model)
        assert (scene.runs, scene.subject.takes_digits) == (runs, digits)
        assert runs or scene.pictures == []

    def test_six_channels_run_on_an_example_only(self):
        net = ck.build_model(SMALL, in_channels=6)
        assert not self.scene(net).runs
        scene = self.scene(net, None, torch.rand(1, 6, 224, 224))
        assert scene.runs and scene.run().output.shape[0] == 1 and net.example is None, "yours is left as it is"

    def test_an_example_that_is_no_input_is_refused(self):
        with pytest.raises(ConfigError, match="holds some"):
            self.scene(ck.build_model(SMALL), None, "cat")


def test_the_moment_stays_within_what_there_is(video):
    assert (video.moments, video.frame) == (16, 8), "the middle of the clip"
    video.frame = 99
    assert video.frame == 15
    assert [video.step(2) for video.frame in (0, 7, 8, 15)] == [0, 0, 1, 1]


def test_a_clip_that_rests_has_equal_frames():
    still, moving = (frames_for(Explored(VIDEO), clip) for clip in ("shapes at rest", "moving shapes"))
    assert len({f.tobytes() for f in still}) == 1 < len({f.tobytes() for f in moving})
    assert frames_for(Explored(SMALL), "moving shapes") == []


def test_a_clip_of_the_users(video):
    video.clip = np.zeros((4, 20, 30, 3), np.uint8)
    video.forget()
    assert video.clip_name == "your clip" and len(video.frames) == 16 and video.frames[0].size == (32, 32)


def test_what_the_model_sees_of_a_picture(scene):
    scene.picture = Image.new("RGB", (400, 100), "red")
    assert scene.seen_picture().size == (224, 224)


def test_what_a_head_gave_is_of_the_pass_not_of_what_was_attached_since(scene):
    scene.run()
    scene.subject.attach_head("block1-0", "linear_probe", "cls", {"num_classes": 3})
    assert scene.given == {}
    scene.run()
    assert scene.given["cls"].shape == (1, 3)
    scene.forget()
    assert scene.given == {}


def test_the_times_of_the_blocks(scene):
    profile = scene.measure()
    assert scene.profile is profile and {row.name for row in profile.rows} >= set(scene.block_names)
    scene.open(Explored(SMALL))
    assert scene.profile is None
