"""Our forward pass against torchvision's with the same weights, and capture against a plain pass.

    python benchmarks/forward.py

One thread, eval mode, no gradients. Prints medians, quartiles and the median of the pairs' ratios; ends with
status 1 when a ratio is over its budget. Other work on the machine widens the quartiles, but hits both sides.
"""

from __future__ import annotations

import argparse
import sys

import torch
import torchvision
from side_by_side import HEADER, compare, machine, report

import classykit as ck

FOUR_BLOCKS = ["initial_block", "block0-2", "block1-3", "block3-2"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=1, help="pictures in a batch (default 1)")
    parser.add_argument("--repeats", type=int, default=60, help="pairs of passes a comparison (default 60)")
    parser.add_argument("--models", nargs="+", default=["resnet50", "efficientnet_b0", "vit_b_16"])
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(options.batch, 3, 224, 224)
    print(f"{machine()}; torchvision {torchvision.__version__}; batch {options.batch}, {options.repeats} pairs\n")
    print(HEADER)
    results = []
    with torch.no_grad():
        for name in options.models:
            theirs = getattr(torchvision.models, name)().eval()
            ours = ck.load_pretrained(name, source=theirs)
            difference = (ours(x) - theirs(x)).abs().max().item()
            label = f"{name}: classykit / torchvision"
            results.append(compare(label, lambda m=ours: m(x), lambda m=theirs: m(x), 1.03, options.repeats))
            print(f"{results[-1]}   (outputs differ by {difference:.0e})", flush=True)
        net = ck.build_model("resnet50").eval()
        for label, blocks, budget in (
            ("resnet50: capture of four blocks / a pass", FOUR_BLOCKS, 1.03),
            ("resnet50: capture of block0-0 / a pass", ["block0-0"], 0.4),
        ):
            captured = compare(label, lambda b=blocks: ck.capture(net, x, b), lambda: net(x), budget, options.repeats)
            results.append(captured)
            print(captured, flush=True)
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
