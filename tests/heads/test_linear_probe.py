"""classykit.heads.linear_probe: the mean over positions, and one linear layer."""

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError, HeadError
from classykit.heads import build_head

HEAD = {"name": "linear_probe", "unique_id": "h", "in_plane": 6, "num_classes": 5}


@pytest.mark.parametrize("kind", ["a 2-D map", "a 3-D map", "tokens", "a vector"])
def test_a_linear_probe_is_the_mean_and_a_linear_layer(kind, inputs):
    probe, x = build_head(HEAD), inputs[kind]
    channels = x.movedim(-1, 1) if kind == "tokens" else x
    mean = channels.reshape(2, 6, -1).mean(-1)
    torch.testing.assert_close(probe(x), mean @ probe.fc.weight.T + probe.fc.bias)


def test_a_linear_probe_on_tokens_in_the_other_order(inputs):
    x = inputs["tokens"]
    first = build_head(HEAD)
    other = build_head({**HEAD, "tokens": "sequence_first"})
    other.load_state_dict(first.state_dict())
    torch.testing.assert_close(other(x.transpose(0, 1)), first(x))


def test_the_config_rebuilds_the_head(assert_rebuilt):
    assert_rebuilt({**HEAD, "tokens": "sequence_first"})


def test_bad_configs():
    with pytest.raises(ConfigError, match="num_classes"):
        build_head({"name": "linear_probe", "unique_id": "h", "in_plane": 3})


class TestTokens:
    """Class and register tokens are not averaged in unasked."""

    @pytest.mark.parametrize("order", ["batch_first", "sequence_first"])
    def test_patches_alone_or_the_class_token(self, order):
        x = torch.rand(2, 17, 6)
        given = x if order == "batch_first" else x.transpose(0, 1)
        for keys, pooled in (({"before": 1}, x[:, 1:].mean(1)), ({}, x.mean(1)), ({"pool": "class"}, x[:, 0])):
            probe = build_head({**HEAD, "tokens": order, **keys})
            torch.testing.assert_close(probe(given), pooled @ probe.fc.weight.T + probe.fc.bias)

    def test_it_is_found_out_when_attached(self):
        vit = ck.build_model("vit_demo", device="meta")
        head = vit.attach_head(vit.block_names[2], "linear_probe", num_classes=3)
        assert head.config["before"] == 1 and head.only == slice(1, None)
        again = ck.build_model(vit.config, device="meta").get_heads()
        assert next(iter(again.values()))[0].only == slice(1, None)

    def test_registers_of_a_foreign_model(self):
        timm = pytest.importorskip("timm")
        net = timm.models.vision_transformer.VisionTransformer(embed_dim=24, depth=2, num_heads=2, reg_tokens=4)
        model = ck.ClassyModel.from_model(net)
        assert model.attach_head("blocks.1", "linear_probe", num_classes=3).only == slice(5, None)

    def test_no_class_token(self):
        with pytest.raises(HeadError, match="wants the class token"):
            ck.build_model("resnet18", device="meta").attach_head(
                "block3-1", "linear_probe", num_classes=3, pool="class"
            )
        vit = ck.build_model(
            "vision_transformer", device="meta", image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8,
            mlp_dim=8, classifier="gap",
        )  # fmt: skip
        with pytest.raises(HeadError, match="without one before the patches"):
            vit.attach_head("layer_0", "linear_probe", num_classes=3, pool="class")
        assert vit.attach_head("layer_0", "linear_probe", num_classes=3).only == slice(0, None)
