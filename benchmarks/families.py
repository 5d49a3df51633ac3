"""One model of each family against ClassyVision's, with the same weights.

    python benchmarks/families.py

One thread, eval mode, no gradients, interleaved pairs. The budgets: none slower than 1.02 of ClassyVision's time,
EfficientNet and VisionTransformer faster. Ends with status 1 when a ratio is over its budget.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import torch
from side_by_side import HEADER, compare, machine, report

import classykit as ck

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from classy_vision.models import build_model as build_reference

R3D_18 = {
    "name": "resnext3d", "input_planes": 3, "clip_crop_size": 112, "frames_per_clip": 16, "num_blocks": [2, 2, 2, 2],
    "skip_transformation_type": "postactivated_shortcut", "residual_transformation_type": "basic_transformation",
    "stem_planes": 64, "stage_planes": 64,
}  # fmt: skip
DENSENET_121 = {"name": "densenet", "num_blocks": [6, 12, 24, 16]}
ANYNET = {
    "name": "anynet", "depths": [2, 4, 6, 2], "widths": [48, 104, 208, 440], "group_widths": [8, 8, 8, 8],
    "bottleneck_multipliers": [1.0, 1.0, 1.0, 1.0], "strides": [2, 2, 2, 2],
}  # fmt: skip
MLP = {"name": "mlp", "input_dim": 3072, "output_dim": 10, "hidden_dims": [2048, 1024, 512]}

FAMILIES = {  # {what it is called here: (config, budget)}
    "ResNeXt: resnet50": ({"name": "resnet50"}, 1.02),
    "ResNeXt: resnext50_32x4d": ({"name": "resnext50_32x4d"}, 1.02),
    "DenseNet: densenet121": (DENSENET_121, 1.02),
    "EfficientNet: efficientnet_b0": ({"name": "efficientnet_b0"}, 1.0),
    "AnyNet: four stages": (ANYNET, 1.02),
    "RegNet: regnet_y_800mf": ({"name": "regnet_y_800mf"}, 1.02),
    "VisionTransformer: vit_b_32": ({"name": "vit_b_32"}, 1.0),
    "ResNeXt3D: r3d_18, 16 frames": (R3D_18, 1.02),
    "MLP: 3072-2048-1024-512-10": (MLP, 1.02),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=60, help="pairs of passes a comparison (default 60)")
    parser.add_argument("--only", default="", help="part of the families' names")
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{machine()}; batch 1, {options.repeats} pairs\n\n{HEADER}")
    results = []
    with torch.no_grad():
        for label, (config, budget) in FAMILIES.items():
            if options.only not in label:
                continue
            ours = ck.build_model(config).eval()
            theirs = build_reference(config).classy_model.eval()
            theirs.load_state_dict(ours.state_dict())
            x = torch.randn(1, *ours.input_shape)
            a, b = ours(x), theirs(x)
            difference = (a - (b[0] if isinstance(b, list) else b)).abs().max().item()
            results.append(compare(label, lambda: ours(x), lambda: theirs(x), budget, options.repeats))  # noqa: B023
            print(f"{results[-1]}   (outputs differ by {difference:.0e})", flush=True)
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
