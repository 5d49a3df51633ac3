"""Turning a torchvision model object into ours, and proving on the spot that it gives the same logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from classykit.errors import ClassyKitError, StateError, WeightsError
from classykit.harmless import harmless
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.models.state import check_state
from classykit.weights import keymaps

TOLERANCE = 1e-4  # of the logits, relative to their largest; float32 sums in another order differ by 1e-6


@dataclass(frozen=True)
class Conversion:
    """How one torchvision class becomes one of our families.

    ``in_full`` is a second family, which takes as keys all the sizes that the first one works out, and how to read
    them off the source; ``advice`` is what to add to the refusal of a source that does not fit.
    """

    family: str
    rules: Callable[[nn.Module], list[keymaps.Rule]]
    keys: Callable[[nn.Module], dict[str, Any]] = lambda source: {}
    classifier: Callable[[nn.Module], nn.Module] = lambda source: source.fc
    head: str | None = None
    head_keys: dict[str, Any] = field(default_factory=dict)
    head_block: Callable[[ClassyModel], str] = lambda model: model.block_names[-1]
    in_full: tuple[str, Callable[[nn.Module], dict[str, Any]]] | None = None
    advice: Callable[[str, ClassyModel, nn.Module], str] = lambda name, model, source: ""


def _anynet_of(source: nn.Module) -> dict[str, Any]:
    """The anynet keys of a torchvision RegNet."""
    stages = [list(stage) for stage in source.trunk_output]
    transforms = [blocks[0].f for blocks in stages]  # a 1×1, b 3×3 in groups, [se,] c 1×1
    convolutions = [f.b[0] for f in transforms]
    widths = [f.c[0].out_channels for f in transforms]
    norm, first = source.stem[1], transforms[0]
    keys = {
        "depths": [len(blocks) for blocks in stages],
        "widths": widths,
        "group_widths": [conv.in_channels // conv.groups for conv in convolutions],
        "bottleneck_multipliers": [conv.in_channels / width for conv, width in zip(convolutions, widths, strict=True)],
        "strides": [conv.stride[0] for conv in convolutions],
        "stem_width": source.stem[0].out_channels,
        "activation": "silu" if isinstance(source.stem[2], nn.SiLU) else "relu",
        "use_se": hasattr(first, "se"),
        "bn_epsilon": norm.eps,
        "bn_momentum": norm.momentum,
    }
    if hasattr(first, "se"):
        keys["se_ratio"] = first.se.fc1.out_channels / first.a[0].in_channels
    return keys


def _advice_on_widths(name: str, model: ClassyModel, source: nn.Module) -> str:
    def widths(trunk: nn.Module) -> list[int]:
        norms = ([m for m in stage.modules() if isinstance(m, nn.BatchNorm2d)] for stage in trunk)
        return [of_stage[-1].num_features for of_stage in norms]

    ours, theirs = widths(model.trunk_output), widths(source.trunk_output)
    if ours == theirs:
        return ""
    return (
        f" The widths differ: {name}'s stages have {ours} channels, the source's {theirs}. The source's blocks can be "
        'had through anynet, with explicit widths: load_pretrained("anynet", source=source).'
    )


CONVERSIONS = {
    "torchvision.models.resnet.ResNet": Conversion(
        "ResNeXt",
        rules=lambda source: keymaps.torchvision_resnet(type(source.layer1[0]).__name__ == "BasicBlock"),
        head="fully_connected",
    ),
    "torchvision.models.efficientnet.EfficientNet": Conversion(
        "EfficientNet",
        rules=lambda source: keymaps.TORCHVISION_EFFICIENTNET,
        classifier=lambda source: source.classifier[-1],
        # torchvision's B0-B4 keep torch's epsilon, which no parameter shows
        keys=lambda source: {
            "bn_epsilon": source.features[0][1].eps,
            "bn_momentum": source.features[0][1].momentum,
            "num_classes": source.classifier[-1].out_features,
        },
    ),
    "torchvision.models.vision_transformer.VisionTransformer": Conversion(
        "VisionTransformer",
        rules=lambda source: keymaps.TORCHVISION_VIT,
        keys=lambda source: {"image_size": source.image_size},
        classifier=lambda source: source.heads.head,
        head="vision_transformer_head",
    ),
    "torchvision.models.densenet.DenseNet": Conversion(
        "DenseNet",
        rules=lambda source: keymaps.TORCHVISION_DENSENET,
        classifier=lambda source: source.classifier,
        head="fully_connected",
    ),
    "torchvision.models.regnet.RegNet": Conversion(
        "RegNet",
        rules=lambda source: keymaps.TORCHVISION_REGNET,
        head="fully_connected",
        in_full=("AnyNet", _anynet_of),
        advice=_advice_on_widths,
    ),
    "torchvision.models.video.resnet.VideoResNet": Conversion(
        "ResNeXt3D",
        rules=keymaps.torchvision_video,
        head="fully_convolutional_linear",
        head_keys={"activation_func": "identity"},  # logits in eval mode, too
    ),
}


def convert_module(name: str, source: nn.Module) -> ClassyModel:
    """Build ``name`` with the weights of ``source``; its logits are compared before it is handed out.

    Raises WeightsError when no conversion is known, the architectures differ, or the logits do.
    """
    where = f"{type(source).__module__}.{type(source).__qualname__}"
    conversion = CONVERSIONS.get(where)
    if conversion is None:
        known = ", ".join(w.split(".")[0] + "'s " + w.rsplit(".", 1)[-1] for w in CONVERSIONS)
        raise WeightsError(f"No conversion is known for {where}; there is one for {known}.")
    family, read_keys = MODELS[name].cls.__name__, conversion.keys
    if conversion.in_full is not None and family == conversion.in_full[0]:
        read_keys = conversion.in_full[1]
    elif family != conversion.family:
        raise WeightsError(f"{where} converts to a {conversion.family}, and {name} is a {family}.")
    if any(t.is_meta for t in source.state_dict().values()):
        raise WeightsError(f"This {where} is on the meta device: it has no weights to convert.")
    source_state = {k: v.detach().cpu() for k, v in source.state_dict().items()}
    state = keymaps.rename(source_state, conversion.rules(source), where)
    if "encoder.pos_embedding" in state:
        state["encoder.pos_embedding"] = state["encoder.pos_embedding"].permute(1, 0, 2)  # (1, L, C) -> (L, 1, C)
    head_state = {k.removeprefix("head."): state.pop(k) for k in list(state) if k.startswith("head.")}

    model = build_model(name, device="meta", **read_keys(source))
    if conversion.head is not None:
        keys: dict[str, Any] = {"num_classes": _last_linear(head_state), **conversion.head_keys}
        if "layers.pre_logits.weight" in head_state:
            keys["hidden_dim"] = head_state["layers.pre_logits.weight"].shape[0]
        head = model.attach_head(conversion.head_block(model), conversion.head, unique_id="classifier", **keys)
        own_head = head.state_dict()
    trunk = {k: v for k, v in model.state_dict().items() if not k.startswith("_heads.")}
    try:
        check_state(trunk, state, strict=True, what=f"{where}, converted to {name},")
        if conversion.head is not None:
            check_state(own_head, head_state, strict=True, what=f"the classifier of {where}")
    except StateError as error:
        raise WeightsError(str(error) + conversion.advice(name, model, source)) from None
    copies = {k: v.clone(memory_format=torch.contiguous_format) for k, v in state.items()}
    model.load_state_dict(copies, strict=False, assign=True)
    if conversion.head is not None:
        head.load_state_dict({k: v.clone() for k, v in head_state.items()}, strict=True, assign=True)
    model.eval()
    classifiers = ([m for m in (head if conversion.head else model.fc).modules() if isinstance(m, nn.Linear)][-1],
                   conversion.classifier(source))  # fmt: skip
    _compare(model, source, classifiers, f"{where}, converted to {name},")
    return model


def _last_linear(head_state: dict[str, torch.Tensor]) -> int:
    return [v.shape[0] for k, v in head_state.items() if k.endswith("weight")][-1]


def _compare(model: ClassyModel, source: nn.Module, classifiers: tuple[nn.Module, nn.Module], what: str) -> None:
    """Raise WeightsError unless both give the same logits for one random picture or clip.

    Settings without parameters (activation, padding, epsilon) pass a strict load and still change the answer.
    What goes into the classifiers is compared too: a fresh ViT's is zero and would hide any difference.
    """
    x = torch.randn(1, *model.input_shape, generator=torch.Generator().manual_seed(0))
    try:
        ours = _answer(model, classifiers[0], x)
    except ClassyKitError as error:
        raise WeightsError(f"{what} does not run: {error}") from None
    theirs = _answer(source, classifiers[1], x)
    for name, a, b in zip(("features", "logits"), ours, theirs, strict=True):
        difference = (a - b).abs().max().item() / max(1e-3, b.abs().max().item())
        if not difference <= TOLERANCE:
            raise WeightsError(
                f"{what} gives other {name} (relative difference {difference:.2g}): some setting that no weight "
                f"shows, such as an activation, padding or epsilon, is not the same."
            )


def _answer(model: nn.Module, classifier: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(what goes into the classifier, the logits)"""
    features: list[torch.Tensor] = []
    handle = classifier.register_forward_pre_hook(lambda module, args: features.append(args[0]))
    reference = next(model.parameters())
    try:
        with harmless(model), torch.no_grad():
            logits = model(x.to(reference.device, reference.dtype))
    finally:
        handle.remove()
    return features[0].flatten(1).float().cpu(), logits.float().cpu()  # a video head's are (1, 1, 1, 1, C)
