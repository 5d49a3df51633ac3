"""Estimated peak memory, against what a CPU run holds: live tensors, and the allocator as torch's profiler sees it."""

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

import classykit as ck
from classykit.errors import ConfigError, ShapeError
from classykit.inspecting.memory_estimate import LiveBytes, largest_batch

#: {family: (model, side of the input)}, with the sizes at which activations count beside the weights
MODELS = {
    "ResNeXt": ("resnet18", 128), "DenseNet": ("densenet121", 96), "EfficientNet": ("efficientnet_b0", 128),
    "RegNet": ("regnet_y_400mf", 128), "VisionTransformer": ({"name": "vit_b_32", "num_layers": 3}, 224),
    "ResNeXt3D": ("r3d_18", 56),
}  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def subject(request):
    """(a model with weights, an input for it)"""
    torch.manual_seed(0)
    config, side = MODELS[request.param]
    model = ck.build_model(config)
    shape = (3, 8, side, side) if request.param == "ResNeXt3D" else (3, side, side)
    return model, torch.randn(2, *shape)


def one_pass(model, x, mode):
    """The pass that `peak_memory` describes, its input made within."""
    if mode == "inference":
        with torch.no_grad():
            return model.eval()(x.clone())
    model.train()(x.clone()).mean().backward()


def ready(model, mode):
    """The tensors that are there before the pass."""
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if mode == "training" else None
    return [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters() if p.grad is not None)]


def allocated(run):
    """The most that the CPU's allocator held at a time, above what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    now = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_against_a_run(subject, mode):
    model, x = subject
    apart = ready(model, mode)
    held = sum(t.numel() * t.element_size() for t in apart)
    estimate = ck.inspect(model, tuple(x.shape[1:])).peak_memory(mode, batch_size=len(x), optimizer="sgd")
    assert estimate.weights + estimate.gradients == held
    live = LiveBytes(apart=apart)
    with live:
        one_pass(model, x, mode)
    assert estimate.activations == pytest.approx(live.peak, rel=1e-9 if mode == "inference" else 0.05)
    if not needs_room_to_work(model):
        peak = allocated(lambda: one_pass(model, x, mode))
        assert estimate.total == pytest.approx(held + peak, rel=0.1)


def needs_room_to_work(model):
    """Whether the CPU's kernels take much memory of their own: for 3-D convolutions, and many plain 3×3 ones."""
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv3d) and m.groups == 1]
    plain = [m.weight.numel() for m in convolutions if m.kernel_size == (3, 3)]
    return isinstance(model, ck.models.ResNeXt3D) or sum(plain) > sum(p.numel() for p in model.parameters()) / 2


def test_of_a_chain_by_hand():
    model = nn.Sequential(nn.Linear(100, 200), nn.Linear(200, 50), nn.ReLU())
    i = ck.inspect(model, (100,))
    weights = 4 * (100 * 200 + 200 + 200 * 50 + 50)
    at_most = i.peak_memory(batch_size=10)
    assert (at_most.weights, at_most.gradients, at_most.optimizer_state) == (weights, 0, 0)
    assert at_most.activations == 4 * 10 * (100 + 200 + 50)  # the caller holds the input; of the rest two at a time
    training = i.peak_memory("training", batch_size=10)
    assert (training.gradients, training.optimizer_state) == (weights, 2 * weights)
    assert training.total == training.weights + training.gradients + training.optimizer_state + training.activations
    assert i.peak_memory("training", optimizer="sgd").optimizer_state == 0


def test_half_precision_takes_half():
    i = ck.inspect("regnet_y_400mf")  # without max pooling, whose indices are of 8 bytes in any case
    full, half = i.peak_memory(batch_size=4), i.peak_memory(batch_size=4, dtype=torch.bfloat16)
    assert half.activations == full.activations / 2 and half.weights == pytest.approx(full.weights / 2, rel=1e-3)


def test_training_needs_more_and_frozen_weights_less():
    model = ck.build_model("resnet18", device="meta")
    i = ck.inspect(model)
    training = i.peak_memory("training", batch_size=8)
    assert training.activations > 3 * i.peak_memory(batch_size=8).activations
    for p in model.parameters():
        p.requires_grad_(False)
    model.attach_head("block3-1", "fully_connected", num_classes=10)
    frozen = ck.inspect(model).peak_memory("training", batch_size=8)
    assert frozen.gradients == 4 * (512 * 10 + 10) and frozen.activations < training.activations / 2


@pytest.mark.parametrize("memory", [10**8, 1e9, 3 * 10**9])
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_the_largest_batch(memory, mode):
    i = ck.inspect("resnet18", (3, 64, 64))
    n = i.largest_batch(memory, mode)
    totals = [i.peak_memory(mode, batch_size=k).total for k in (max(n, 1), n + 1)]
    assert totals[1] > memory and (n == 0 or totals[0] <= memory)


def test_what_cannot_be_trained_on_one():
    i = ck.inspect(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)), (4,))
    with pytest.raises(ShapeError, match=r"training with a batch of 1.*more than 1 value"):
        i.peak_memory("training")
    n = i.largest_batch(10_000, "training")
    assert i.peak_memory("training", batch_size=n).total <= 10_000 < i.peak_memory("training", batch_size=n + 1).total


@pytest.mark.parametrize("needed", [lambda n: 7 * n, lambda n: 100 + n * n, lambda n: max(50, n), lambda n: 10**9])
def test_the_largest_batch_of_any_course(needed):
    n = largest_batch(needed, 1000)
    assert needed(n + 1) > 1000 and (n == 0 or needed(n) <= 1000)


def test_in_words():
    text = str(ck.inspect("resnet18").peak_memory("training", batch_size=2))
    assert "training with a batch of 2" in text and "optimizer state" in text and "estimated" in text


@pytest.mark.parametrize(
    "keys, words",
    [({"mode": "train"}, "'inference' or 'training'"), ({"optimizer": "adamw", "mode": "training"}, "'adam'"),
     ({"batch_size": 0}, "batch_size"), ({"dtype": torch.int8}, "dtype")],
)  # fmt: skip
def test_what_cannot_be_asked(keys, words):
    with pytest.raises(ConfigError, match=words):
        ck.inspect("resnet18").peak_memory(**keys)


@pytest.mark.parametrize("memory", [-1, float("inf"), float("nan"), "16 GB", True, None])
def test_no_memory(memory):
    with pytest.raises(ConfigError, match="bytes"):
        ck.inspect("resnet18").largest_batch(memory)


def test_nothing_is_run_again_where_only_numbers_could_be():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ShapeError, match="real numbers"):
        ck.inspect(Branches(), (3,)).peak_memory()
