"""classykit.weights.layouts: whose keys they are."""

import torch
from sources import EXACT, models, of_timm, of_torchvision

import classykit as ck
from classykit.weights.family_weights import layouts


def test_every_layout_is_told_from_ours_and_from_the_others():
    ours = ("resnet18", "resnet50", "densenet121", "efficientnet_b0", "regnet_y_400mf", "regnet_z_500mf", "vit_b_32",
            "r3d_18")  # fmt: skip
    for name in ours:
        state = ck.build_model(name, device="meta").state_dict()
        assert not [layout.title for layout in layouts() if layout.matches(state)]
    more = [of_torchvision("vit_b_32"), lambda: models.video.r3d_18(), of_timm("vit_tiny_patch16_224", depth=1),
            of_timm("efficientnet_b0")]  # fmt: skip
    seen = set()
    for build in [*(build for _, build in EXACT), *more]:
        try:
            with torch.device("meta"):
                source = build()
        except NotImplementedError:  # torchvision's RegNets reckon with tensors
            source = build()
        (layout,) = [layout for layout in layouts() if layout.matches(source.state_dict())]
        assert f"{type(source).__module__}.{type(source).__name__}" in layout.classes
        seen.add(layout.title)
    assert len(seen) == len(layouts())
