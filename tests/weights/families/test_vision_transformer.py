"""classykit.weights.families.vision_transformer: layers, heads of attention, and a head with a hidden layer."""

import pytest
import torch
from sources import make, models, of_timm
from torch import nn

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights.families import vision_transformer
from classykit.weights.keymaps import rename


def test_a_vit_with_a_hidden_layer_in_its_head(randomise):
    source = randomise(models.VisionTransformer(64, 32, 12, 12, 768, 3072, num_classes=5, representation_size=9)).eval()
    model = ck.load_pretrained("vit_b_32", source=source)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model(x), source(x), atol=1e-4, rtol=1e-4)
    assert model.get_heads()["trunk_output"][0].config["hidden_dim"] == 9


@pytest.mark.parametrize("fresh", [False, True], ids=["", "as torchvision builds it"])
def test_another_activation_in_a_vit_is_refused(fresh, randomise):
    # torchvision's fresh classifier is zero: logits alone would prove nothing
    source = models.vit_b_32(image_size=64, num_classes=11) if fresh else make("vit_b_32", randomise)
    for layer in source.encoder.layers:
        layer.mlp[1] = nn.ReLU()
    with pytest.raises(WeightsError):
        ck.load_pretrained("vit_b_32", source=source)


def test_old_vit_files_name_their_layers():
    with torch.device("meta"):
        state = models.vit_b_32().state_dict()
    old = {k.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v for k, v in state.items()}
    assert old.keys() != state.keys()
    renamed = [rename(of, vision_transformer.OF_TORCHVISION, "a file") for of in (old, state)]
    assert renamed[0].keys() == renamed[1].keys()


def test_other_heads_in_the_attention_are_refused(randomise):
    # as many weights of the same shapes
    source = randomise(of_timm("vit_tiny_patch16_224", img_size=32, depth=1, num_heads=3)()).eval()
    model = ck.load_pretrained("vision_transformer", source=source)
    assert model.config["num_heads"] == 3
    for block in source.blocks:
        block.attn.num_heads, block.attn.head_dim, block.attn.scale = 6, 32, 32**-0.5
    with torch.no_grad():
        assert not torch.allclose(model(torch.ones(1, 3, 32, 32)), source(torch.ones(1, 3, 32, 32)))
    source.blocks[0].attn.num_heads = 6
    assert ck.load_pretrained("vision_transformer", source=source).config["num_heads"] == 6
