"""classykit.run on 64 images against torchvision's eager loop with the same weights, on the CPU.

    python benchmarks/run.py

Interleaved pairs. The other side runs torchvision's model as its documentation does: eval mode, inference mode,
batches of the same size. Budgets: `run` takes no longer, for every family that torchvision has (of r3d_18, 8 clips),
and less for resnet50; over a bare loop of the same model in the same layout it takes at most 2 % more. Ends with
status 1 when a ratio is over its budget.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import torch
import torchvision
from side_by_side import HEADER, compare, machine, report

import classykit as ck

warnings.simplefilter("ignore")

TWINS = ["resnet50", "resnext50_32x4d", "densenet121", "efficientnet_b0", "regnet_y_400mf", "vit_b_32", "r3d_18"]
BATCH = 8


def loop(model, x):
    """What one writes by hand."""
    with torch.inference_mode():
        return torch.cat([model(x[i : i + BATCH]) for i in range(0, len(x), BATCH)])


def twins(name):
    """(ours with a head that gives torchvision's logits, torchvision's, images)"""
    make = getattr(torchvision.models, name, None) or getattr(torchvision.models.video, name)
    theirs = make().eval()
    if name.startswith("vit_"):
        torch.nn.init.normal_(theirs.heads.head.weight, std=0.02)  # which is zero in a fresh one
    ours = ck.load_pretrained(name, source=theirs)
    return ours, theirs, torch.randn(8 if len(ours.input_shape) == 4 else 64, *ours.input_shape)


def run(model, x, **keys):
    return ck.run(model, x, "cpu", "float32", BATCH, progress=False, **keys).output


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=10, help="pairs a comparison (default 10)")
    parser.add_argument("--threads", type=int, default=1, help="default 1")
    parser.add_argument("--only", default="", help="part of the names")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"{machine()}; {options.repeats} pairs, batches of {BATCH}\n\n{HEADER}")
    results = []
    for name in TWINS:
        if options.only not in name:
            continue
        ours, theirs, x = twins(name)
        a, b = run(ours, x[:BATCH]), loop(theirs, x[:BATCH])
        difference = ((a.flatten(1) - b).abs().max() / b.abs().max()).item()
        results.append(
            compare(f"{name}: run / torchvision", lambda: run(ours, x), lambda: loop(theirs, x),  # noqa: B023
                    0.99 if name == "resnet50" else 1.0, options.repeats, warm_up=1)
        )  # fmt: skip
        print(f"{results[-1]}   (relative difference {difference:.0e})", flush=True)
        if name in ("resnet50", "efficientnet_b0"):
            results.append(
                compare(f"{name}: run / a bare loop", lambda: run(ours, x, channels_last=False),  # noqa: B023
                        lambda: loop(ours.eval(), x), 1.02, options.repeats, warm_up=1)  # noqa: B023
            )  # fmt: skip
            print(results[-1], flush=True)
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
