"""Other people's models, two hundred of them, built small or without weights: what the sweep goes through."""

import importlib
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import torch

import classykit as ck
from classykit.errors import ClassyKitError
from classykit.inspecting.block_info import REST
from classykit.inspecting.report_table import fold_blocks

TORCHVISION = """alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t
mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50
resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_0 swin_t swin_v2_t vgg11 vgg16_bn vit_b_32
wide_resnet50_2 deeplabv3_mobilenet_v3_large deeplabv3_resnet50 fcn_resnet50
lraspp_mobilenet_v3_large""".split()
CLIPS = {"r3d_18": 8, "mc3_18": 8, "r2plus1d_18": 8, "s3d": 16, "mvit_v1_b": 16, "mvit_v2_s": 16}
DETECTION = """fasterrcnn_mobilenet_v3_large_320_fpn fasterrcnn_resnet50_fpn fcos_resnet50_fpn retinanet_resnet50_fpn
ssdlite320_mobilenet_v3_large maskrcnn_resnet50_fpn""".split()

TIMM = """beit_base_patch16_224 eca_botnext26ts_256 eca_resnext26ts cait_xxs24_224 coat_tiny convit_tiny 
convmixer_768_32 convnext_atto convnextv2_atto crossvit_tiny_240 cs3darknet_focus_s davit_tiny deit_tiny_patch16_224
deit_tiny_distilled_patch16_224 densenet121 dla46x_c dpn48b edgenext_xx_small efficientformer_l1 efficientformerv2_s0
efficientnet_b0 efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny
ghostnet_050 hardcorenas_b hgnetv2_b0 hiera_tiny_224 hrnet_w18_small inception_next_atto inception_resnet_v2
inception_v3 inception_v4 levit_128s mambaout_femto coatnet_nano_cc_224 maxvit_tiny_tf_224 poolformer_s12 caformer_s18
gmlp_ti16_224 mixer_s16_224 resmlp_12_224 mobilenetv2_050 mobilenetv3_small_050 mobilenetv4_conv_small mobilevit_xxs
mobilevitv2_050 mvitv2_tiny nasnetalarge nest_tiny nextvit_small nf_regnet_b0 dm_nfnet_f0 pit_ti_224 pnasnet5large
pvt_v2_b0 rdnet_tiny regnetx_002 regnety_002 repghostnet_050 repvgg_a0 repvit_m1 res2net50_14w_8s resnest14d resnet10t
resnet18 resnetv2_18 rexnet_100 selecsls42 legacy_seresnet18 sequencer2d_s skresnet18 swiftformer_xs
swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224 tiny_vit_5m_224 tnt_s_legacy_patch16_224
tresnet_m twins_svt_small twins_pcpvt_small vgg11 visformer_tiny vit_tiny_patch16_224 vit_tiny_r_s16_p8_224
vit_srelpos_small_patch16_224 vit_small_patch14_dinov2 vit_small_patch14_reg4_dinov2 samvit_base_patch16_224
vitamin_small_224 volo_d1_224 ese_vovnet19b_slim_dw legacy_xception xception41p xcit_nano_12_p8_224""".split()

#: {model type: (which task, keys of its config that make it small)}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    **dict.fromkeys(
        "beit bit clip convnext convnextv2 cvt deit dinov2 dinov2_with_registers efficientnet focalnet hiera levit "
        "mobilenet_v1 mobilenet_v2 mobilevit mobilevitv2 poolformer pvt pvt_v2 regnet resnet segformer siglip swin "
        "swiftformer swinv2 vit vit_msn hgnet_v2 ijepa".split(),
        ("ImageClassification", {}),
    ),
    **{f"{name} segmentation": ("SemanticSegmentation", {}) for name in ("segformer", "dpt", "mobilevit")},
    "beit segmentation": ("SemanticSegmentation", {"out_indices": [3, 5, 7, 11]}),
    **{f"{name} depth": ("DepthEstimation", {}) for name in ("dpt", "glpn", "depth_anything")},
    "detr detection": ("ObjectDetection", {"use_pretrained_backbone": False}),
    "yolos detection": ("ObjectDetection", {}),
    "timesformer video": ("VideoClassification", {}),
    "videomae video": ("VideoClassification", {}),
}

SMP = {
    **{f"{decoder} on resnet18": (decoder, "resnet18") for decoder in
       ("DeepLabV3", "DeepLabV3Plus", "FPN", "Linknet", "MAnet", "PAN", "PSPNet", "UPerNet", "Unet", "UnetPlusPlus")},
    **{f"Unet on {encoder}": ("Unet", encoder) for encoder in
       ("resnext50_32x4d", "dpn68", "vgg11_bn", "se_resnet50", "densenet121", "inceptionv4", "efficientnet-b0",
        "mobilenet_v2", "xception", "timm-skresnet18", "mit_b0", "mobileone_s0")},
    "Segformer on mit_b0": ("Segformer", "mit_b0"),
}  # fmt: skip

_SMALL = dict(image_size=64, patch_size=8, num_classes=10, dim=32, depth=4, heads=2, mlp_dim=64)
#: {class: (module of vit_pytorch, its arguments, shape of an input)}
VIT_PYTORCH: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "ViT": ("vit", _SMALL, (3, 64, 64)),
    "SimpleViT": ("simple_vit", _SMALL, (3, 64, 64)),
    "SimpleViT with registers": ("simple_vit_with_register_tokens", _SMALL, (3, 64, 64)),
    "SimpleViT with patch dropout": ("simple_vit_with_patch_dropout", _SMALL, (3, 64, 64)),
    "SimpleViT with fft": ("simple_vit_with_fft", {**_SMALL, "freq_patch_size": 8}, (3, 64, 64)),
    "SimpleViT with qk norm": ("simple_vit_with_qk_norm", _SMALL, (3, 64, 64)),
    "DeepViT": ("deepvit", _SMALL, (3, 64, 64)),
    "CaiT": ("cait", {**_SMALL, "cls_depth": 2}, (3, 64, 64)),
    "T2TViT": ("t2t", dict(dim=32, image_size=64, depth=4, heads=2, mlp_dim=64, num_classes=10), (3, 64, 64)),
    "CCT": ("cct", dict(img_size=(64, 64), embedding_dim=32, n_conv_layers=2, num_layers=4, num_heads=2, mlp_ratio=2.0,
                        num_classes=10, kernel_size=7, stride=2, padding=3), (3, 64, 64)),
    "CrossViT": ("cross_vit", dict(image_size=64, num_classes=10, sm_dim=32, lg_dim=48, sm_patch_size=8,
                                   lg_patch_size=16, depth=2), (3, 64, 64)),
    "PiT": ("pit", dict(image_size=64, patch_size=8, dim=32, num_classes=10, depth=(2, 2), heads=2, mlp_dim=64),
            (3, 64, 64)),
    "LeViT": ("levit", dict(image_size=64, num_classes=10, dim=(32, 48), depth=2, heads=(2, 2), mlp_mult=2, stages=2),
              (3, 64, 64)),
    "CvT": ("cvt", dict(num_classes=10), (3, 64, 64)),
    "TwinsSVT": ("twins_svt", dict(num_classes=10, s1_emb_dim=16, s2_emb_dim=16, s3_emb_dim=16, s4_emb_dim=16),
                 (3, 224, 224)),
    "RegionViT": ("regionvit", dict(dim=(16, 32, 48, 64), depth=(1, 1, 2, 1), num_classes=10), (3, 224, 224)),
    "CrossFormer": ("crossformer", dict(num_classes=10, dim=(32, 64, 96, 128), depth=(1, 1, 2, 1)), (3, 224, 224)),
    "ScalableViT": ("scalable_vit", dict(num_classes=10, dim=16, heads=(2, 4, 8, 16), depth=(1, 1, 2, 1),
                                         ssa_dim_key=(8, 8, 8, 8), reduction_factor=(8, 4, 2, 1),
                                         window_size=(64, 32, None, None)), (3, 256, 256)),
    "SepViT": ("sep_vit", dict(num_classes=10, dim=16, dim_head=16, heads=(1, 2, 4, 8), depth=(1, 1, 2, 1)),
               (3, 224, 224)),
    "MaxViT": ("max_vit", dict(num_classes=10, dim=16, dim_head=16, depth=(1, 1, 2, 1)), (3, 224, 224)),
    "MobileViT": ("mobile_vit", dict(image_size=(256, 256), dims=[96, 120, 144], num_classes=10,
                                     channels=[16, 32, 48, 48, 64, 64, 80, 80, 96, 96, 384]), (3, 256, 256)),
    "NesT": ("nest", dict(image_size=64, patch_size=4, dim=32, heads=2, num_hierarchies=3, block_repeats=(1, 1, 2),
                          num_classes=10), (3, 64, 64)),
    "XCiT": ("xcit", dict(image_size=64, patch_size=8, num_classes=10, dim=32, depth=4, cls_depth=2, heads=2,
                          mlp_dim=64), (3, 64, 64)),
    "ViT for small datasets": ("vit_for_small_dataset", _SMALL, (3, 64, 64)),
    "ViT with patch merger": ("vit_with_patch_merger", {**_SMALL, "patch_merge_layer": 2, "patch_merge_num_tokens": 8},
                              (3, 64, 64)),
    "ViT in parallel": ("parallel_vit", {**_SMALL, "num_parallel_branches": 2}, (3, 64, 64)),
    "SimpleViT 1d": ("simple_vit_1d", dict(seq_len=128, patch_size=8, num_classes=10, dim=32, depth=4, heads=2,
                                           mlp_dim=64), (3, 128)),
    "ViT 3d": ("vit_3d", dict(image_size=64, image_patch_size=8, frames=8, frame_patch_size=2, num_classes=10, dim=32,
                             depth=4, heads=2, mlp_dim=64), (3, 8, 64, 64)),
    "ViT with token sampling": ("ats_vit", {**_SMALL, "max_tokens_per_depth": (32, 16, 8, 4)}, (3, 64, 64)),
}  # fmt: skip


def _torchvision(name: str) -> tuple[Any, dict[str, Any]]:
    import torchvision.models as tv

    keys = {} if name in (*TORCHVISION[:24], *CLIPS) else {"weights_backbone": None}
    if name in ("googlenet", "inception_v3"):
        keys = {"init_weights": False}
    model = tv.get_model(name, weights=None, **keys).eval()
    if name in CLIPS:
        return model, {"input_shape": (3, CLIPS[name], 224 if "mvit" in name or name == "s3d" else 112) + (
            (224,) if "mvit" in name or name == "s3d" else (112,))}  # fmt: skip
    if name in DETECTION:
        return model, {"example": ck.Inputs([torch.rand(3, 224, 224)])}
    return model, {"input_shape": (3, 299, 299)} if name == "inception_v3" else {}


def _timm(name: str) -> tuple[Any, dict[str, Any]]:
    import timm

    return timm.create_model(name).eval(), {}


def _transformers(name: str) -> tuple[Any, dict[str, Any]]:
    import transformers

    task, keys = TRANSFORMERS[name]
    kind = name.split()[0]
    config = transformers.AutoConfig.for_model(kind, **keys)
    config.architectures = config.architectures or []
    model = getattr(transformers, f"AutoModelFor{task}").from_config(config).eval()
    if task == "VideoClassification":
        side = config.image_size
        return model, {"example": torch.zeros(1, config.num_frames, 3, side, side, device="meta")}
    return model, {}


def _smp(name: str) -> tuple[Any, dict[str, Any]]:
    import segmentation_models_pytorch as smp

    decoder, encoder = SMP[name]
    return getattr(smp, decoder)(encoder, encoder_weights=None).eval(), {"input_shape": (3, 128, 128)}


def _vit_pytorch(name: str) -> tuple[Any, dict[str, Any]]:
    module, keys, shape = VIT_PYTORCH[name]
    found = importlib.import_module(f"vit_pytorch.{module}")
    of_name = [v for k, v in vars(found).items() if k.lower() == name.split()[0].lower() and isinstance(v, type)]
    return of_name[0](**keys).eval(), {"input_shape": shape}


LIBRARIES: dict[str, tuple[Callable[[str], tuple[Any, dict[str, Any]]], list[str]]] = {
    "torchvision": (_torchvision, [*TORCHVISION, *CLIPS, *DETECTION]),
    "timm": (_timm, TIMM),
    "transformers": (_transformers, list(TRANSFORMERS)),
    "segmentation_models_pytorch": (_smp, list(SMP)),
    "vit_pytorch": (_vit_pytorch, list(VIT_PYTORCH)),
}


def built(library: str, name: str, meta: bool = True) -> tuple[Any, dict[str, Any]]:
    """(the model, how `classykit.inspect` is told its input); where ``meta``, without weights if that can be."""
    build, _ = LIBRARIES[library]
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        if meta:
            with suppress(NotImplementedError, RuntimeError), torch.device("meta"):
                return build(name)
        return build(name)


def looked_at(library, name):
    """What `inspect` makes of one model: without weights where that is enough, else with them."""
    model, keys = built(library, name)
    start = time.perf_counter()
    try:
        found = ck.inspect(model, **keys)
        if found.error is not None:
            model, keys = built(library, name, meta=False)
            start = time.perf_counter()
            found = ck.inspect(model, **keys)
    except ClassyKitError as refused:
        found, words = None, str(refused)
    seconds = time.perf_counter() - start
    if found is None:
        return SimpleNamespace(name=name, model=model, keys=keys, found=None, words=words, wrong="", seconds=seconds)
    rows = found.trunk
    runs = len(fold_blocks(rows))
    rest = sum(b.macs for b in found.blocks if b.name == REST) / max(found.macs, 1)
    wrong = []
    if found.params != sum(p.numel() for p in model.parameters()):
        wrong.append(f"{found.params} parameters")
    if found.error is None and not (4 <= len(rows) and runs <= 80):
        wrong.append(f"{len(rows)} blocks in {runs} rows")
    if rest >= 0.1:
        wrong.append(f"{rest:.0%} of the MACs in no block")
    words = "" if found.error is None else str(found.error)
    return SimpleNamespace(
        name=name, model=model, keys=keys, found=found, words=words, wrong=", ".join(wrong), seconds=seconds
    )
