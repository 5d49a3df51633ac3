"""classykit.attention: weights of every kind of attention there is, verified, on their grid."""

import gc
import json
import weakref

import pytest
import torch
from looked_into import X, demo_attention, small_vit, timm, torchvision, transformers
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError, DeviceError, ShapeError

#: {what it is: (how it is made, side of its pictures, layers, kinds, (grid, prefix) of the first layer)}
MODELS = {
    "ours": (small_vit, 64, 2, {"tokens"}, ((4, 4), 1)),
    "ours, mean": (lambda: small_vit(classifier="gap"), 64, 2, {"tokens"}, ((4, 4), 0)),
    "torchvision's ViT": (
        lambda: pytest.importorskip("torchvision.models").VisionTransformer(64, 16, 2, 4, 32, 32).eval(),
        64, 2, {"tokens"}, ((4, 4), 1)),
    "torchvision's Swin": (lambda: torchvision("swin_t"), 224, 12, {"windows", "tokens"}, ((7, 7), 0)),
    "torchvision's MaxViT": (
        lambda: torchvision("maxvit_t"), 224, 22, {"windows", "spread windows", "tokens"}, ((7, 7), 0)),
    "ViT": (lambda: timm("vit_tiny_patch16_224", img_size=64), 64, 12, {"tokens"}, ((4, 4), 1)),
    "DeiT, distilled": (lambda: timm("deit_tiny_distilled_patch16_224", img_size=64), 64, 12, {"tokens"}, ((4, 4), 2)),
    "DINOv2": (lambda: timm("vit_small_patch14_dinov2", img_size=56), 56, 12, {"tokens"}, ((4, 4), 1)),
    "DINOv2 with registers": (
        lambda: timm("vit_small_patch14_reg4_dinov2", img_size=56), 56, 12, {"tokens"}, ((4, 4), 5)),
    "DINOv3": (lambda: timm("vit_small_patch16_dinov3", img_size=64), 64, 12, {"tokens"}, ((4, 4), 5)),
    "EVA02": (lambda: timm("eva02_tiny_patch14_224", img_size=56), 56, 12, {"tokens"}, ((4, 4), 1)),
    "BEiT": (lambda: timm("beit_base_patch16_224", img_size=64), 64, 12, {"tokens"}, ((4, 4), 1)),
    "CaiT": (lambda: timm("cait_xxs24_224", img_size=64), 64, 26, {"tokens"}, ((4, 4), 0)),
    "MaxViT": (
        lambda: timm("maxvit_tiny_tf_224"), 224, 22, {"windows", "spread windows", "tokens"}, ((7, 7), 0)),
    "LeViT": (lambda: timm("levit_128s"), 224, 11, {"tokens"}, ((14, 14), 0)),
    "XCiT": (lambda: timm("xcit_nano_12_p16_224", img_size=64), 64, 14, {"channels", "tokens"}, (None, 0)),
    "Swin": (lambda: timm("swin_tiny_patch4_window7_224"), 224, 12, {"windows", "tokens"}, ((7, 7), 0)),
    "Swin-V2": (lambda: timm("swinv2_tiny_window8_256"), 256, 12, {"windows", "tokens"}, ((8, 8), 0)),
    "transformers' ViT": (lambda: transformers("ViT"), 64, 2, {"tokens"}, ((4, 4), 1)),
    "transformers' ViT, eager": (
        lambda: transformers("ViT", attn_implementation="eager"), 64, 2, {"tokens"}, ((4, 4), 1)),
    "transformers' DINOv2": (lambda: transformers("Dinov2"), 64, 2, {"tokens"}, ((4, 4), 1)),
    "transformers' CLIP": (lambda: transformers("CLIPVision"), 64, 2, {"tokens"}, ((4, 4), 1)),
}  # fmt: skip


@pytest.fixture(scope="module")
def untrained():
    """What an untrained ViT of two layers attends to."""
    return ck.attention(small_vit(), X)


@pytest.fixture(scope="module")
def swin():
    return ck.attention(torchvision("swin_t"), torch.rand(1, 3, 224, 224))


@pytest.mark.parametrize("what", MODELS)
def test_every_kind(what, everything, assert_same):
    make, side, layers, kinds, first = MODELS[what]
    torch.manual_seed(0)
    model, x = make(), torch.rand(2, 3, side, side)
    before = everything(model)
    found = ck.attention(model, x)
    assert_same(before, everything(model))
    assert len(found) == layers and {layer.kind for layer in found.layers} == kinds
    assert (found.grid, found.prefix) == first
    for layer in found.layers:
        rows = layer.weights
        assert rows.shape[0] == 2 * layer.windows and rows.min() >= 0 and not rows.requires_grad
        assert (rows.sum(-1) - 1).abs().max() < 1e-5, layer.name
        assert layer.verified and layer.error < 1e-5, f"{layer.name}: {layer.error}"
        assert layer.mixed == (what == "CaiT" and rows.shape[-2] > 1)


def test_they_are_what_the_layer_computes():
    """By hand: the softmax of queries × keys of each of our layers."""
    torch.manual_seed(0)
    model = small_vit()
    found = ck.attention(model, X)
    given = ck.capture(model, X, ["encoder.layers.layer_1.ln_1"])["encoder.layers.layer_1.ln_1"]
    attends = model.encoder.layers.layer_1.self_attention
    qkv = nn.functional.linear(given, attends.in_proj_weight, attends.in_proj_bias)
    q, k, _ = qkv.view(2, 17, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind()
    wanted = (q @ k.transpose(-2, -1) / 8**0.5).softmax(-1)
    torch.testing.assert_close(found["layer_1"], wanted)


def test_torchs_own_weights():
    torch.manual_seed(0)
    for keys in ({}, {"kdim": 16, "vdim": 24}, {"add_bias_kv": True, "add_zero_attn": True}, {"batch_first": True}):
        layer = nn.MultiheadAttention(16, 4, **keys).eval()
        q = torch.rand(2, 5, 16) if keys.get("batch_first") else torch.rand(5, 2, 16)
        k, v = (torch.rand(7, 2, keys.get(of, 16)) for of in ("kdim", "vdim"))
        k, v = (q, q) if keys.get("batch_first") else (k, v)
        _, wanted = layer(q, k, v, average_attn_weights=False)
        found = ck.attention(layer, ck.Inputs(q, k, v))
        torch.testing.assert_close(found["model"].reshape(wanted.shape), wanted)
        assert found.verified, keys


def test_the_fused_fast_path():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 16, batch_first=True).eval()
    model, x = nn.TransformerEncoder(layer, 2).eval(), torch.rand(2, 6, 16)
    found = ck.attention(model, x)
    assert list(found) == ["layers.0.self_attn", "layers.1.self_attn"] and found.verified
    assert found.grid is None and torch.backends.mha.get_fastpath_enabled()
    _, wanted = model.layers[0].self_attn(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(found["layers.0.self_attn"], wanted)


class Attends(nn.Module):
    """Attention written out, and what is done to it in between."""

    def __init__(self, between=lambda weights: weights, after=lambda x: x):
        super().__init__()
        self.num_heads, self.between, self.after = 2, between, after
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4).unbind()
        weights = self.between((q @ k.transpose(-2, -1) * 0.5).softmax(-1))
        return self.proj(self.after(weights @ v).transpose(1, 2).flatten(2))


def test_what_comes_between_softmax_and_values_is_said():
    x = torch.rand(2, 5, 8)
    assert not ck.attention(Attends(), x).layers[0].mixed
    assert not ck.attention(Attends(nn.Dropout(0.5)), x).layers[0].mixed, "which does nothing in eval mode"
    assert ck.attention(Attends(lambda w: w.flip(1)), x).layers[0].mixed


def test_what_cannot_be_followed_to_the_end_is_not_verified():
    """Through numpy nothing can be seen."""
    lost = Attends(after=lambda x: torch.from_numpy(x.detach().numpy().copy()))
    found = ck.attention(lost, torch.rand(2, 5, 8))
    assert not found.verified and "0 verified" in str(found) and found.layers[0].error == float("inf")


def test_a_softmax_that_is_no_attention():
    class Gates(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            x = self.conv(x)
            return (x.flatten(2).softmax(-1) * x.flatten(2)).sum(-1) @ torch.ones(4, 2)

    for model in (Gates(), ck.build_model("resnet18")):
        with pytest.raises(ConfigError, match="No attention was seen in"):
            ck.attention(model, X)


def test_heads_counted_among_the_batch():
    class Folded(Attends):
        def forward(self, x):
            q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4).flatten(1, 2).unbind()
            weights = torch.bmm(q, k.transpose(1, 2)).softmax(dim=-1)
            return self.proj(torch.bmm(weights, v).unflatten(0, (-1, 2)).transpose(1, 2).flatten(2))

    found = ck.attention(Folded(), torch.rand(3, 5, 8))
    assert found.layers[0].weights.shape == (3, 2, 5, 5) and found.verified


class TestNames:
    def test_of_ours(self):
        model = small_vit()
        found = ck.attention(model, X)
        assert list(found) == ["layer_0", "layer_1"]
        for name in ("layer_1", "encoder.layers.layer_1", "encoder.layers.layer_1.self_attention"):
            assert found[name] is found.layers[1].weights and name in found
        assert "layer_7" not in found and 3 not in found

    def test_of_others(self):
        model = timm("vit_tiny_patch16_224", img_size=64)
        for one in (model, ck.ClassyModel.from_model(model, (3, 64, 64))):
            found = ck.attention(one, X, "blocks.1")
            assert list(found) == ["blocks.1.attn"] and found["blocks.1"] is found["blocks.1.attn"]

    def test_some_layers(self):
        model = small_vit()
        assert list(ck.attention(model, X, ["layer_1"])) == ["layer_1"]
        assert list(ck.attention(model, X, "encoder")) == ["layer_0", "layer_1"]
        with pytest.raises(BlockError, match=r"no attention in 'conv_proj'.*layer_0"):
            ck.attention(model, X, "conv_proj")
        with pytest.raises(BlockError, match="no block 'layer_9'"):
            ck.attention(model, X, "layer_9")
        with pytest.raises(BlockError, match=r"No attention of vision_transformer is called 'layer1'.*Did you mean"):
            ck.attention(model, X)["layer1"]

    def test_a_layer_that_runs_twice(self):
        attends = Attends()
        found = ck.attention(nn.Sequential(attends, attends), torch.rand(2, 5, 8))
        assert list(found) == ["0", "0 (2)"] and not torch.equal(found["0"], found["0 (2)"])


class TestRollout:
    def test_by_hand(self, untrained):
        first, second = (layer.weights.mean(1) for layer in untrained.layers)
        eye = torch.eye(17)
        torch.testing.assert_close(untrained.rollout(), (0.5 * second + 0.5 * eye) @ (0.5 * first + 0.5 * eye))
        assert (untrained.rollout().sum(-1) - 1).abs().max() < 1e-5

    def test_layers_that_are_not_alike(self):
        model = timm("xcit_nano_12_p16_224", img_size=64)
        with pytest.raises(ConfigError, match="layers with the same tokens"):
            ck.attention(model, X).rollout()


class TestDistance:
    def test_even_attention(self):
        model = small_vit()
        nn.init.zeros_(model.encoder.layers.layer_0.self_attention.in_proj_weight)
        found = ck.attention(model, X)
        at = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0)) * 16 + 8
        even = float(torch.cdist(at, at).mean())
        assert found.distance()["layer_0"].tolist() == pytest.approx([even] * 4, rel=1e-4)
        assert found.uniform_distance("layer_0") == pytest.approx(even, rel=1e-4)

    def test_attending_to_oneself(self):
        class Self(Attends):
            def forward(self, x):
                x = x.flatten(2).transpose(1, 2)  # (N, 16, 8)
                return nn.functional.scaled_dot_product_attention(*[torch.eye(16).expand(2, 1, 16, 16) * 99] * 3), x

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.attends = nn.Conv2d(3, 8, 16, 16), Self()

            def forward(self, x):
                return self.attends(self.conv(x))

        found = ck.attention(Net(), X)
        assert found.distance()["attends"].tolist() == pytest.approx([0], abs=1e-3)

    def test_within_windows(self, swin):
        """No head of a Swin's first stage looks further than across its windows of 28 px."""
        apart = swin.distance()
        assert apart["features.1.0.attn"].max() < 28 < apart["features.7.1.attn"].max() < 224

    def test_of_no_picture(self):
        with pytest.raises(ConfigError, match="Distances are those of pictures"):
            ck.attention(Attends(), torch.rand(2, 5, 8)).distance()


class TestOnTheGrid:
    def test_a_patch_and_the_class_token(self, untrained):
        layer = untrained.layer(-1)
        assert torch.equal(layer.on_grid(1, (2, 3)), layer.weights[1, :, 1 + 2 * 4 + 3, 1:].reshape(4, 4, 4))
        assert torch.equal(layer.on_grid(1), layer.weights[1, :, 0, 1:].reshape(4, 4, 4))

    def test_without_a_class_token_it_is_the_middle(self):
        layer = ck.attention(small_vit(classifier="gap"), X).layer(0)
        assert layer.query_number() == 2 * 4 + 2

    @pytest.mark.parametrize("query", [(4, 0), (0, -1), 1, "middle", (0, 0, 0), True])
    def test_no_such_query(self, query, untrained):
        with pytest.raises(ConfigError, match=r"within 4 × 4 patches, or the number of one of the 1 tokens before"):
            untrained.layer(0).on_grid(0, query)

    @pytest.mark.parametrize("name", ["features.1.0.attn", "features.1.1.attn", "features.5.3.attn"])
    def test_windows_lie_where_the_layer_has_them(self, name):
        """Shifted or not: weights × values of a place's map give what the layer gives there."""
        torch.manual_seed(0)
        model, x = torchvision("swin_t"), torch.rand(2, 3, 224, 224)
        layer, attends = ck.attention(model, x).layer(name), model.get_submodule(name)
        seen = {}
        hook = attends.register_forward_hook(lambda _, given, gave: seen.update(given=given[0], gave=gave))
        with torch.no_grad():
            model(x)
            hook.remove()
            weight, bias = (p.chunk(3)[2] for p in (attends.qkv.weight, attends.qkv.bias))
            values = nn.functional.linear(seen["given"], weight, bias)  # (N, H, W, C)
            rows, columns = layer.map_grid
            assert seen["given"].shape[1:3] == (rows, columns) and layer.query_map == layer.map_grid
            for place in ((0, 0), (3, 5), (rows - 1, columns - 1), (rows // 2, 2)):
                shares = layer.on_grid(1, place)  # (heads, rows, columns)
                assert (shares > 0).sum() <= 49 * layer.heads and shares.sum((1, 2)).allclose(torch.ones(layer.heads))
                mean = torch.einsum("hij,ijhd->hd", shares, values[1].unflatten(-1, (layer.heads, -1)))
                torch.testing.assert_close(attends.proj(mean.flatten()), seen["gave"][1][place], atol=1e-5, rtol=1e-4)
        assert layer.shift == ((0, 0) if name.endswith("0.attn") else (3, 3))

    def test_windows_that_are_spread(self):
        layer = ck.attention(torchvision("maxvit_t"), torch.rand(1, 3, 224, 224)).layer(1)
        assert layer.kind == "spread windows" and layer.places.shape == (64, 49)
        rows, columns = (layer.on_grid(0, (9, 10))[0] > 0).nonzero().T
        assert set(rows.tolist()) == set(range(1, 56, 8)) and set(columns.tolist()) == set(range(2, 56, 8))

    def test_windows_are_drawn(self, swin):
        assert "patch (3, 50)" in str(swin.plot(layer=1, query=(3, 50)).axes[0].get_title())

    def test_no_grid(self):
        with pytest.raises(ConfigError, match="lie on no grid"):
            ck.attention(Attends(), torch.rand(2, 5, 8)).layer(0).on_grid(0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_number_types(dtype):
    model = small_vit().to(dtype)
    assert ck.attention(model, X).verified


def test_pictures_are_shown_as_they_are(untrained):
    found = demo_attention()
    assert found.picture(1).shape == (112, 112, 3) and found.picture(2) is None and found.notes == ()
    assert json.dumps(list(found)) and "Attention of vit_demo, 2 inputs: 6 layers, all verified" in str(found)
    assert "Untrained" in str(untrained)
    assert found.rollout()[0, 0].std() > 0.001, "a model that has learnt something looks somewhere"


def test_what_does_not_run(untrained):
    with pytest.raises(ShapeError, match="cannot run on an input"):
        ck.attention(small_vit(), torch.rand(1, 3, 32, 32))
    with pytest.raises(DeviceError, match="meta device"):
        ck.attention(ck.build_model("vit_b_16", device="meta"), X)
    with pytest.raises(ConfigError, match="what is one of"):
        untrained.plot("nothing")


def test_rollout_layer_by_layer():
    found = ck.attention(small_vit(num_layers=3), X)
    through = found.rollouts()
    assert list(through) == list(found) and torch.equal(through["layer_2"], found.rollout())
    torch.testing.assert_close(through["layer_0"], 0.5 * found["layer_0"].mean(1) + 0.5 * torch.eye(17))
    less = ck.attention(small_vit(num_layers=3), X, layers=["layer_0", "layer_1"])
    assert less.rollout().shape == through["layer_1"].shape
    for rolled in through.values():
        torch.testing.assert_close(rolled.sum(-1), torch.ones(2, 17))


def test_what_was_seen_keeps_no_model_alive():
    model = small_vit()
    alive = weakref.ref(model)
    found = ck.attention(model, X)
    del model
    gc.collect()
    assert alive() is None and found.picture().shape == (64, 64, 3)
