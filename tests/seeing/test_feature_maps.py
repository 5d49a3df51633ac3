"""classykit.seeing.feature_maps: which channels are shown, and on what scale."""

import pytest
import torch

from classykit.errors import ConfigError, ShapeError
from classykit.seeing.feature_maps import ORDERS, channel_order, feature_maps


@pytest.fixture
def ramp():
    """Four 2×2 maps: constant 9, small steps, large steps, constant -1."""
    maps = torch.tensor([[9, 9, 9, 9], [0, 1, 2, 3], [0, 10, 20, 30], [-1, -1, -1, -1]])
    return maps.reshape(1, 4, 2, 2).float()


@pytest.mark.parametrize(
    "order, channels", [("variance", [2, 1, 0, 3]), ("mean", [2, 0, 1, 3]), ("index", [0, 1, 2, 3])]
)
def test_orders(order, channels, ramp):
    got = feature_maps(ramp, order)
    assert got.channels == channels and torch.equal(got.maps, ramp[0][channels])
    assert (got.total, got.kind) == (4, "map2d")


@pytest.mark.parametrize("order", [*ORDERS, torch.tensor([[0.0, 1], [2, 3]]), torch.tensor([1.0, 3, 0, 2])])
def test_the_order_of_all_channels_is_that_of_the_maps(order, ramp):
    assert channel_order(ramp, order) == feature_maps(ramp, order, count=None).channels


def test_by_a_number_for_each_channel(ramp):
    assert feature_maps(ramp, torch.tensor([0.1, -2, 0.3, 5])).channels == [3, 2, 0, 1]
    assert feature_maps(ramp, torch.tensor([1, 1, 7, 1])).channels == [2, 0, 1, 3], "of the same number the first"
    nan = torch.tensor([float("nan"), 1, -1, float("nan")])
    assert feature_maps(ramp, nan).channels == [1, 0, 3, 2], "what is no number counts as 0"
    tokens = torch.rand(1, 10, 3)
    assert channel_order(tokens, torch.tensor([0.0, 2, 1])) == [1, 2, 0]


@pytest.mark.parametrize("order", [torch.rand(3), torch.rand(5), torch.rand(4, 1, 1, 2), torch.tensor(1.0), None, 3])
def test_what_is_no_order(order, ramp):
    for act in (feature_maps, channel_order):
        with pytest.raises(ConfigError, match=r"order is one of 'variance'.*each of the 4 channels"):
            act(ramp, order)


def test_scales(ramp):
    own = feature_maps(ramp, "index", "map")
    assert own.limits.tolist() == [[9, 9], [0, 3], [0, 30], [-1, -1]]
    shared = feature_maps(ramp, "index", "shared")
    assert shared.limits.tolist() == [[-1, 30]] * 4
    assert own.to_unit()[1].flatten().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert shared.to_unit()[0].flatten().tolist() == pytest.approx([10 / 31] * 4)
    assert feature_maps(ramp, "index", "shared", start=1, count=1).limits.tolist() == [[-1, 30]], (
        "of all maps, not the page"
    )


@pytest.mark.parametrize(
    "start, count, channels", [(0, 2, [0, 1]), (1, 2, [1, 2]), (3, 9, [3]), (9, 2, []), (0, None, [0, 1, 2, 3])]
)
def test_pages(start, count, channels, ramp):
    assert feature_maps(ramp, "index", start=start, count=count).channels == channels


def test_tokens_are_laid_out_without_the_class_token():
    tokens = torch.arange(10.0).reshape(10, 1).repeat(1, 3) * torch.tensor([1.0, 2.0, 3.0])
    got = feature_maps(tokens.unsqueeze(0), "index")
    assert got.kind == "tokens" and got.total == 3
    assert torch.equal(got.maps[0], torch.arange(1.0, 10).reshape(3, 3))
    assert torch.equal(feature_maps(tokens[1:].unsqueeze(0), "index").maps, got.maps)
    strip = feature_maps(tokens[:8].unsqueeze(0), "index")
    assert strip.maps.shape == (3, 1, 8), "no grid has 8 or 7 places"


def test_a_vector_is_one_map_row_by_row():
    got = feature_maps(torch.arange(1.0, 8).unsqueeze(0))
    assert got.kind == "vector" and got.total == 7 and got.maps.shape == (1, 3, 3)
    assert got.maps.flatten()[:7].tolist() == [1, 2, 3, 4, 5, 6, 7] and got.maps.flatten()[7:].isnan().all()
    assert got.to_unit().isfinite().all()


@pytest.fixture
def clip():
    """Two channels over three time steps: steady 5, and 0, 10, 20."""
    steps = torch.tensor([[5.0, 5, 5], [0, 10, 20]])
    return steps.reshape(1, 2, 3, 1, 1).expand(1, 2, 3, 2, 2).clone()


@pytest.mark.parametrize("frame, shown", [(None, 1), (0, 0), (2, 2), (7, 2)])
def test_a_clip_frame_by_frame(frame, shown, clip):
    got = feature_maps(clip, "index", frame=frame)
    assert (got.frame, got.steps, got.kind) == (shown, 3, "map3d")
    assert torch.equal(got.maps, clip[0, :, shown]) and torch.equal(got.over_time, clip[0])


def test_order_and_scale_are_those_of_all_time_steps(clip):
    got = feature_maps(clip, "variance", frame=0)
    assert got.channels == [1, 0], "at the first step alone neither varies"
    assert got.limits.tolist() == [[0, 20], [5, 5]]
    assert got.to_unit()[0].amax((1, 2)).tolist() == [0, 0.5, 1] and got.to_unit().shape == (2, 3, 2, 2)
    shared = feature_maps(clip, "mean", "shared", frame=0)
    assert shared.channels == [1, 0] and shared.limits.tolist() == [[0, 20]] * 2


def test_channels_last_over_time(clip):
    clip = clip.expand(1, 2, 3, 2, 2).repeat(1, 2, 1, 1, 1)[:, :3]  # as many channels as no other side
    clip = clip.repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :, [0, 1, 2, 0]]  # 3 × 4 × 4 × 4
    got = feature_maps(clip.permute(0, 2, 3, 4, 1), "index")
    assert got.total == 3 and torch.equal(got.over_time, clip[0])


def test_all_else_has_one_time_step(ramp):
    assert feature_maps(ramp).steps == feature_maps(torch.rand(1, 10, 3)).steps == feature_maps(torch.rand(1, 9)).steps
    assert feature_maps(ramp, frame=3).frame == 0


def test_with_or_without_the_batch_dimension(ramp):
    assert torch.equal(feature_maps(ramp[0]).maps, feature_maps(ramp).maps)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite(bad, ramp):
    ramp[0, 1, 0, 0] = bad
    ramp[0, 3] = bad
    for order in ("variance", "mean", "index"):
        for scale in ("map", "shared"):
            got = feature_maps(ramp, order, scale)
            assert sorted(got.channels) == [0, 1, 2, 3]
            assert got.limits.isfinite().all() and got.to_unit().isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes(dtype, ramp):
    got = feature_maps(ramp.to(dtype))
    assert got.maps.dtype == torch.float32 and got.channels == [2, 1, 0, 3]


def test_the_features_are_left_alone(ramp):
    ramp.requires_grad_()
    before = ramp.detach().clone()
    got = feature_maps(ramp)
    got.to_unit()
    assert torch.equal(ramp, before) and not got.maps.requires_grad


@pytest.mark.parametrize(
    "features, options, kind",
    [
        (torch.rand(1, 4, 2, 2), {"order": "size"}, ConfigError),
        (torch.rand(1, 4, 2, 2), {"scale": "log"}, ConfigError),
        (torch.rand(1, 4, 2, 2), {"count": 0}, ConfigError),
        (torch.rand(1, 4, 2, 2), {"start": -1}, ConfigError),
        (torch.rand(1, 4, 2, 2, 2), {"frame": -1}, ConfigError),
        (torch.rand(1, 4, 2, 2, 2), {"frame": 0.5}, ConfigError),
        (torch.rand(1, 0, 2, 2), {}, ShapeError),
        (torch.zeros(1, 4, 2, 2, dtype=torch.int64), {}, ShapeError),
        (torch.tensor(3.0), {}, ShapeError),
        (torch.rand(1, 2, 2, 2, 2, 2), {}, ShapeError),
    ],
)
def test_errors(features, options, kind):
    with pytest.raises(kind):
        feature_maps(features, **options)
