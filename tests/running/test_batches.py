"""classykit.running.batches: images of any kind, batch by batch."""

import numpy as np
import pytest
import torch
from ran import plain

import classykit as ck
from classykit.errors import ConfigError, ImageError, ShapeError


class TestResults:
    def test_a_dict_with_the_batch(self):
        sizes = {"num_blocks": [1], "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 16, "frames_per_clip": 4}
        model = ck.build_model("r3d_18", **sizes, input_key="video")
        x = {"video": torch.rand(3, 3, 4, 16, 16)}
        result = ck.run(model, x, dtype="float32", batch_size=2, blocks=["stem-path0"])
        torch.testing.assert_close(result.output, plain(model, x), rtol=1e-4, atol=1e-5)
        assert result.features["stem-path0"].shape == (3, 4, 4, 8, 8)
        with pytest.raises(ShapeError, match=r"no 'video'.*clip"):
            ck.run(model, {"clip": x["video"]})
        with pytest.raises(ShapeError, match="same batch"):
            ck.run(model, {})


class TestPictures:
    @pytest.fixture
    def model(self):
        torch.manual_seed(0)
        return ck.build_model("resnet18", small_input=True, init_planes=8, num_blocks=[1, 1, 1, 1])

    def test_are_loaded_and_preprocessed(self, model):
        pictures = [np.full((40, 50, 3), v, np.uint8) for v in (0, 90, 255)]
        x = torch.cat([ck.preprocess(p, model) for p in pictures])
        result = ck.run(model, pictures, dtype="float32", batch_size=2, channels_last=False)
        torch.testing.assert_close(result.output, plain(model, x), rtol=1e-4, atol=1e-5)
        one = ck.run(model, pictures[1], dtype="float32", channels_last=False)
        assert one.images == 1
        torch.testing.assert_close(one.output, result.output[1:2], rtol=1e-4, atol=1e-5)

    def test_mixed_with_tensors(self, model):
        x = torch.randn(3, *model.input_shape)
        wanted = ck.run(model, x, dtype="float32").output
        for images in ([*x], (t for t in x), [x[:1], x[1:2], x[2]]):
            torch.testing.assert_close(ck.run(model, images, dtype="float32").output, wanted, rtol=1e-4, atol=1e-5)
        assert ck.run(model, x[0]).output.shape[0] == 1

    @pytest.mark.parametrize("images, kind", [
        ([], ConfigError), (torch.zeros(0, 3, 32, 32), ConfigError), ("no such picture", ImageError),
        ([None], ImageError), (torch.tensor(3.0), ShapeError),
    ])  # fmt: skip
    def test_what_is_none(self, images, kind, model):
        with pytest.raises(kind):
            ck.run(model, images)
