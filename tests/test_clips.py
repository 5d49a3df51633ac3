"""classykit.clips: the synthetic clip, and preparing clips for video models."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import classykit as ck
from classykit.clips import (
    KINETICS_MEAN,
    KINETICS_STD,
    SAMPLE_CLIPS,
    load_clip,
    moving_shapes,
    preprocess_clip,
    seen_frames,
)
from classykit.errors import ConfigError, ImageError
from classykit.images import Preprocessing


def taking(*shape, **attributes):
    return SimpleNamespace(input_shape=shape, **attributes)


class TestMovingShapes:
    def test_the_form(self):
        assert moving_shapes().shape == (16, 112, 112, 3)
        clip = moving_shapes(frames=5, size=40)
        assert clip.shape == (5, 40, 40, 3) and clip.dtype == np.uint8

    def test_it_depends_on_its_arguments_only(self):
        np.random.seed(0)
        torch.manual_seed(0)
        state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
        clip = moving_shapes(seed=3)
        np.random.seed(1)
        assert np.array_equal(clip, moving_shapes(seed=3))
        assert not np.array_equal(clip, moving_shapes(seed=4))
        np.random.seed(0)
        moving_shapes()
        assert np.array_equal(state, np.random.get_state()[1]) and torch.equal(torch_state, torch.get_rng_state())

    @pytest.mark.parametrize("seed", range(5))
    def test_things_move_over_a_background_that_does_not(self, seed):
        clip = moving_shapes(seed=seed).astype(int)
        changed = abs(np.diff(clip, axis=0)).max(-1) > 30  # (T - 1, H, W)
        assert (changed.mean((1, 2)) > 0.005).all() and (changed.mean((1, 2)) < 0.4).all()
        assert not changed.any(0).all()

    def test_more_frames_show_the_same_motion(self):
        assert np.array_equal(moving_shapes(frames=8), moving_shapes(frames=16)[::2])

    @pytest.mark.parametrize(
        "key, value",
        [("frames", 0), ("frames", 2.0), ("frames", 10**9), ("size", 4), ("size", True), ("seed", -1), ("seed", None)],
    )
    def test_numbers_that_make_no_clip(self, key, value):
        with pytest.raises(ConfigError, match=f"{key} is {value}: give a whole number"):
            moving_shapes(**{key: value})


class TestLoadClip:
    def test_the_samples(self):
        clips = {name: load_clip(name) for name in SAMPLE_CLIPS}
        assert np.array_equal(clips["moving shapes"], moving_shapes()) and len(clips) == 3
        assert not np.array_equal(clips["other paths"], clips["moving shapes"])
        x = preprocess_clip(clips["shapes at rest"], taking(3, 4, 32, 32))
        assert torch.equal(x[:, :, 0], x[:, :, 3]), "nothing moves"

    @pytest.mark.parametrize("kind", [np.asarray, list, torch.from_numpy])
    def test_ones_own_is_copied(self, kind):
        mine = moving_shapes(frames=2, size=16)
        got = load_clip(kind(mine))
        before = np.array(got)
        if kind is not list:
            mine[:] = 0
        assert np.array_equal(np.array(got), before) and before.any()

    @pytest.mark.parametrize(
        "clip, words",
        [
            ("moving shape", "no sample clip 'moving shape'.*Did you mean 'moving shapes'.*other paths"),
            (None, "not NoneType"),
            ([5], "int"),
            (np.zeros((3, 8, 16, 16), np.uint8), "transpose"),
            ([], "no frames"),
        ],
    )
    def test_what_is_none(self, clip, words):
        with pytest.raises(ImageError, match=words):
            load_clip(clip)


class TestSeenFrames:
    def test_they_are_what_the_model_gets(self):
        clip = moving_shapes(frames=5, size=40)[:, :, 4:]
        raw = Preprocessing(size=16, mean=(0.0,) * 3, std=(1.0,) * 3)
        model = taking(3, 8, 16, 16, preprocessing=raw)
        frames, x = seen_frames(clip, model), preprocess_clip(clip, model)
        assert [f.size for f in frames] == [(16, 16)] * 8
        for t, frame in enumerate(frames):
            np.testing.assert_allclose(np.asarray(frame) / 255, x[0, :, t].permute(1, 2, 0).numpy(), atol=1e-6)

    def test_models_that_take_no_clips(self):
        with pytest.raises(ImageError, match="makes clips"):
            seen_frames(moving_shapes(2, 16), taking(3, 224, 224))


class TestPreprocessClip:
    def test_a_clip_of_the_right_size_is_only_normalised(self):
        clip = moving_shapes()
        x = preprocess_clip(clip, ck.build_model("r3d_18", device="meta"))
        wanted = (clip / 255 - np.array(KINETICS_MEAN)) / np.array(KINETICS_STD)
        assert x.shape == (1, 3, 16, 112, 112) and x.dtype == torch.float32 and x.is_contiguous()
        np.testing.assert_allclose(x[0].permute(1, 2, 3, 0).numpy(), wanted, atol=1e-5)

    def test_torchvision_agrees(self):
        presets = pytest.importorskip("torchvision.transforms._presets")
        clip = moving_shapes(size=64)
        theirs = presets.VideoClassification(crop_size=(64, 64), resize_size=(64, 64))
        got = preprocess_clip(clip, taking(3, 16, 64, 64))
        torch.testing.assert_close(got, theirs(torch.from_numpy(clip).permute(0, 3, 1, 2)[None]), atol=1e-5, rtol=0)

    @pytest.mark.parametrize("have, want, order", [
        (8, 4, [0, 2, 5, 7]), (16, 1, [0]), (3, 6, [0, 0, 1, 1, 2, 2]), (1, 3, [0, 0, 0]), (5, 5, [0, 1, 2, 3, 4]),
    ])  # fmt: skip
    def test_frames_are_taken_evenly(self, have, want, order):
        clip = np.stack([np.full((8, 8, 3), 10 * t, np.uint8) for t in range(have)])
        raw = Preprocessing(size=8, mean=(0.0,) * 3, std=(1.0,) * 3)
        x = preprocess_clip(clip, taking(3, want, 8, 8, preprocessing=raw))
        assert (x[0, 0, :, 0, 0] * 25.5).round().int().tolist() == order

    def test_other_sizes_and_proportions(self):
        clip = np.zeros((4, 60, 100, 3), np.uint8)
        clip[:, :, 30:70] = 255  # the middle
        x = preprocess_clip(clip, taking(3, 2, 24, 24))
        assert x.shape == (1, 3, 2, 24, 24)
        assert x[..., 12].min() > 1 and x[..., 0].max() < -1, "nothing is squashed"
        assert preprocess_clip(clip, taking(3, 2, 16, 48)).shape == (1, 3, 2, 16, 48)

    def test_floats_tensors_and_lists_of_pictures_are_clips_too(self):
        clip, model = moving_shapes(frames=3, size=32), taking(3, 3, 32, 32)
        wanted = preprocess_clip(clip, model)
        for same in (torch.from_numpy(clip), list(clip), tuple(clip / 255), torch.from_numpy(clip).float() / 255):
            torch.testing.assert_close(preprocess_clip(same, model), wanted, atol=0.02, rtol=0)
        assert preprocess_clip(["cat", "coffee"], model).shape == wanted.shape

    def test_the_clip_is_not_written_to(self):
        clip = moving_shapes(frames=2, size=32)
        before = clip.copy()
        preprocess_clip(clip, taking(3, 2, 16, 16))
        assert np.array_equal(clip, before)

    def test_a_model_runs_on_it(self):
        model = ck.build_model("r3d_18", num_blocks=[1, 1], stem_planes=4, stage_planes=4, clip_crop_size=32).eval()
        assert model(preprocess_clip(moving_shapes(), model)).shape == (1, 8, 8, 8, 8)
        adopted = ck.ClassyModel.from_model(torch.nn.Conv3d(3, 2, 3), input_shape=(3, 4, 24, 24))
        assert preprocess_clip(moving_shapes(), adopted).shape == (1, 3, 4, 24, 24)

    @pytest.mark.parametrize(
        "clip, words",
        [
            (np.zeros((3, 8, 16, 16), np.uint8), r"\(3, 8, 16, 16\): transpose"),
            (np.zeros((16, 16, 3), np.uint8), r"\(16, 16, 3\)"),
            (torch.zeros(2, 8, 8, 4), "T, H, W, 3"),
            (np.zeros((0, 8, 8, 3), np.uint8), "no frames"),
            ([], "no frames"),
            (np.full((2, 8, 8, 3), 7.5), "0..1|0 .. 1|between"),
            ("cat", "not str"),
            (None, "not NoneType"),
            ([None], "cannot read None"),
        ],
    )
    def test_what_is_no_clip(self, clip, words):
        with pytest.raises(ImageError, match=words):
            preprocess_clip(clip, taking(3, 2, 8, 8))

    @pytest.mark.parametrize(
        "model, words",
        [
            (taking(3, 224, 224), r"input_shape \(3, 224, 224\).*r3d_18.*preprocess for pictures"),
            (taking(1, 8, 32, 32), "1, 8, 32, 32"),
            (object(), "object has no input_shape"),
            (None, "NoneType has no input_shape"),
            (taking(3, 2, 8, 8, preprocessing="imagenet"), "preprocessing is a str"),
        ],
    )
    def test_models_that_take_no_clips(self, model, words):
        with pytest.raises(ImageError, match=words):
            preprocess_clip(moving_shapes(2, 16), model)
