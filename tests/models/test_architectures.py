"""What the field builds, adopted: a sensible list of blocks, each of which takes a head."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import classykit as ck
from classykit.meta import meta_twin

# {architecture: (number of blocks, kinds that they give, some of them in order)}
TORCHVISION = {
    "alexnet": (6, "map2d vector", "features.0 features.3 features.10 classifier"),
    "vgg16_bn": (27, "map2d vector", "features.0 features.41 classifier"),
    "resnet18": (11, "map2d vector", "conv1 bn1 layer1.0 layer1.1 layer4.1 fc"),
    "densenet121": (65, "map2d vector", "features.conv0 features.denseblock1.denselayer1 classifier"),
    "squeezenet1_1": (10, "map2d", "features.0 features.3 features.12 classifier"),
    "googlenet": (13, "map2d vector", "conv1 inception3a inception5b fc"),
    "inception_v3": (17, "map2d vector", "Conv2d_1a_3x3 Mixed_5b Mixed_7c fc"),
    "mobilenet_v3_small": (14, "map2d vector", "features.0 features.1 features.12 classifier"),
    "mnasnet0_5": (25, "map2d vector", "layers.0 layers.8.0 layers.14 classifier"),
    "shufflenet_v2_x1_0": (19, "map2d vector", "conv1 stage2.0 stage4.3 conv5 fc"),
    "efficientnet_b0": (19, "map2d vector", "features.0 features.1.0 features.8 classifier"),
    "regnet_y_400mf": (18, "map2d vector", "stem trunk_output.block1.block1-0 trunk_output.block4.block4-5 fc"),
    "convnext_tiny": (23, "map2d vector", "features.0 features.1.0 features.7.2 classifier"),
    "vit_b_32": (15, "map2d tokens vector", "conv_proj encoder.layers.encoder_layer_0 encoder.ln heads"),
    "swin_t": (18, "map2d vector", "features.0 features.1.0 features.7.1 norm head"),
    "maxvit_t": (36, "map2d vector", "stem.0 blocks.0.layers.0.layers.MBconv classifier"),
    "r3d_18": (10, "map3d vector", "stem layer1.0 layer4.1 fc"),
    "mvit_v2_s": (20, "map3d tokens vector", "conv_proj blocks.0 blocks.15 norm head"),
    "swin3d_t": (18, "map3d vector", "patch_embed features.0.0 features.6.1 norm head"),
}
TIMM = {
    "resnetv2_50": (19, "map2d vector", "stem stages.0.blocks.0 norm head"),
    "regnety_004": (18, "map2d vector", "stem s1.b1 s4.b6 head"),
    "mobilenetv3_large_100": (20, "map2d vector", "conv_stem blocks.0.0 blocks.6.0 conv_head classifier"),
    "mobilevit_xxs": (13, "map2d vector", "stem stages.0.0 stages.2.1 final_conv head"),
    "convnext_atto": (17, "map2d vector", "stem stages.0.blocks.0 stages.1.downsample head"),
    "vit_tiny_patch16_224": (15, "tokens vector", "patch_embed blocks.0 blocks.11 norm head"),
    "beit_base_patch16_224": (15, "tokens vector", "patch_embed blocks.0 fc_norm head"),
    "swin_tiny_patch4_window7_224": (18, "map2d vector", "patch_embed layers.0.blocks.0 layers.1.downsample norm head"),
    "mvitv2_tiny": (13, "tokens vector", "patch_embed stages.0.blocks.0 norm head"),
    "tnt_s_patch16_224": (17, "tokens vector", "proj blocks.0 blocks.11 norm head"),
    "twins_pcpvt_small": (26, "tokens vector", "patch_embeds.0 blocks.0.0 pos_block.0 norm head"),
    "pit_ti_224": (17, "map2d tokens vector", "patch_embed transformers.0.blocks.0 transformers.1.pool norm head"),
    "mixer_s32_224": (11, "tokens vector", "stem blocks.0 norm head"),
    "resmlp_12_224": (15, "tokens vector", "stem blocks.0 norm head"),
    "poolformer_s12": (18, "map2d vector", "stem stages.0.blocks.0 stages.3.blocks.1 head.norm head.fc"),
    "pvt_v2_b0": (17, "map2d tokens vector", "patch_embed stages.0.blocks.0 head"),
    "levit_128s": (17, "map2d tokens vector", "stem.conv1 stages.0.blocks.0 head"),
    "edgenext_xx_small": (17, "map2d vector", "stem stages.0.blocks.0 head"),
    "efficientvit_b0": (13, "map2d vector", "stem.in_conv stages.0.blocks.0 head"),
    "focalnet_tiny_srf": (18, "map2d vector", "stem layers.0.blocks.0 norm head"),
    "ghostnet_100": (21, "map2d vector", "conv_stem blocks.0.0 classifier"),
    "repvgg_a0": (23, "map2d vector", "stem stages.0.0 head"),
    "tiny_vit_5m_224": (17, "map2d vector", "patch_embed stages.0.blocks.0 head"),
    "eva02_tiny_patch14_224": (14, "tokens vector", "patch_embed blocks.0 blocks.11 fc_norm"),
    "hiera_tiny_224": (14, "tokens vector", "patch_embed blocks.0 head"),
    "coatnet_0_rw_224": (17, "map2d vector", "stem stages.0.blocks.0 norm head"),
    "dla34": (10, "map2d", "base_layer level0 level3.tree1 fc"),
    "vovnet39a": (10, "map2d vector", "stem.0 stages.0.blocks.0 head"),
    "selecsls42": (12, "map2d vector", "stem features.0 head.0 fc"),
    "mambaout_femto": (23, "map2d vector", "stem stages.0.blocks.0 stages.1.downsample head"),
}
ARCHITECTURES = [("torchvision", name) for name in TORCHVISION] + [("timm", name) for name in TIMM]
# maps as (N, H, W, C), tokens, tuples (mvitv2, selecsls), windows folded into the batch (mobilevit)
REAL = ["swin_t", "vit_b_32", "mobilevit_xxs", "mvitv2_tiny", "selecsls42", "regnety_004", "repvgg_a0"]


def make(library, name, device):
    if library == "torchvision":
        models = pytest.importorskip("torchvision.models")
        keys = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        with torch.device("cpu" if name.startswith("regnet") else device):  # its initialisation needs real numbers
            module = models.get_model(name, weights=None, **keys).eval()
        if hasattr(models.video, name):
            return module, (3, 16, 112, 112) if name == "r3d_18" else (3, 16, 224, 224)
        return module, (3, 299, 299) if name == "inception_v3" else (3, 224, 224)
    timm = pytest.importorskip("timm")
    with torch.device(device):
        module = timm.create_model(name, pretrained=False).eval()
    return module, tuple(module.pretrained_cfg["input_size"])


@pytest.mark.parametrize("library, name", ARCHITECTURES)
def test_an_architecture_of_the_field(library, name):
    count, kinds, some = {"torchvision": TORCHVISION, "timm": TIMM}[library][name]
    module, shape = make(library, name, "meta")
    model = ck.ClassyModel.from_model(module, input_shape=shape).to("meta").eval()
    names = model.block_names
    assert [n for n in names if n in some.split()] == some.split()
    assert len(names) == len(set(names)) == count
    features = model.block_features(names)
    assert {features[n].kind for n in names} == set(kinds.split())

    # every block takes a head, and the head runs
    model.set_heads({n: {"name": "linear_probe", "unique_id": n, "num_classes": 3} for n in names})
    outputs = model(torch.empty(2, *shape, device="meta"))
    assert {n: tuple(out.shape) for n, out in outputs.items()} == dict.fromkeys(names, (2, 3))

    # what is counted is what torch counts on the same pass
    inspection = ck.inspect(module, input_shape=shape)
    twin = meta_twin(module).requires_grad_(False)  # torch's counter fails on a leaf that is an input, too
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(torch.empty(1, *shape, device="meta"))
    assert inspection.flops == counter.get_total_flops() > 0
    assert inspection.params == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", REAL)
def test_heads_and_capture_see_the_same_on_real_weights(name, everything, assert_same):
    module, shape = make("torchvision" if name in TORCHVISION else "timm", name, "cpu")
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    before = everything(module)
    model = ck.ClassyModel.from_model(module, input_shape=shape).eval()
    names = model.block_names[:: max(1, len(model.block_names) // 5)]
    captured = ck.capture(module, x, names)
    assert list(captured) == names and all(isinstance(t, torch.Tensor) for t in captured.values())
    assert_same(before, everything(module))
    with torch.random.fork_rng(devices=[]):  # the heads' weights are drawn
        model.set_heads({n: {"name": "linear_probe", "unique_id": n, "num_classes": 3} for n in names})
    with torch.no_grad():
        outputs = model(x)
        for n in names:
            torch.testing.assert_close(outputs[n], model.get_heads()[n][0](captured[n]))
            assert outputs[n].abs().max() > 0
    model.clear_heads()
    assert_same(before, everything(module))


@pytest.mark.parametrize("name", ["swin_t", "vit_b_32", "mvitv2_tiny"])
def test_it_can_be_explored(name):
    module, shape = make("torchvision" if name in TORCHVISION else "timm", name, "meta")
    explorer = ck.explore(ck.ClassyModel.from_model(module, input_shape=shape))
    block = explorer.model.block_names[1]
    explorer.selected_block = block
    explorer.attach_head(block, "linear_probe", num_classes=3)
    assert explorer.inspection[block].heads == ("linear_probe",)
