"""What it costs to see: attention, evidence and gradients, against plain passes of the same model, on the CPU.

    python benchmarks/seeing.py

Interleaved pairs on one thread. Budgets: the attention of all layers of vit_b_16, weights kept and verified, takes at
most twice a plain pass; evidence at every block of resnet50 four plain passes; 19 blocks of EfficientNet-Lite0 captured
with gradients, and the backward pass, 1.3 times a forward and backward pass. Ends with status 1 when a ratio is over
its budget.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import torch
from side_by_side import HEADER, compare, machine, report

import classykit as ck

warnings.simplefilter("ignore")


def plain(model, x):
    with torch.inference_mode():
        return model(x)


def learning(model, x):
    """A forward and a backward pass."""
    model.zero_grad(set_to_none=True)
    model(x).square().mean().backward()


def captured(model, x):
    """The same, with the features of every block at hand."""
    model.zero_grad(set_to_none=True)
    features = ck.capture(model, x, model.block_names, grad=True)
    features[model.block_names[-1]].square().mean().backward()
    return features


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=11, help="pairs a comparison (default 11)")
    parser.add_argument("--threads", type=int, default=1, help="default 1")
    parser.add_argument("--batch", type=int, default=1, help="pictures (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x = torch.rand(options.batch, 3, 224, 224)
    vit = ck.build_model("vit_b_16").eval()
    resnet = ck.build_model("resnet50").eval()
    resnet.attach_head(resnet.block_names[-1], "fully_connected", unique_id="classes", num_classes=1000)
    lite = ck.load_pretrained("efficientnet_lite0")
    print(f"{machine()}; {options.repeats} pairs, batch of {options.batch}\n\n{HEADER}")
    rows = [
        ("vit_b_16: attention / a pass", lambda: ck.attention(vit, x), lambda: plain(vit, x), 2.0),
        ("resnet50: evidence at every block / a pass", lambda: ck.evidence(resnet, x, 281, blocks="all"),
         lambda: plain(resnet, x), 4.0),
        ("lite0: 19 blocks with gradients / learning", lambda: captured(lite, x), lambda: learning(lite, x), 1.3),
    ]  # fmt: skip
    results = []
    for name, a, b, budget in rows:
        results.append(compare(name, a, b, budget, options.repeats))
        print(results[-1], flush=True)
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
