"""What a probe costs: features of every block against plain passes, and the classifiers' fits, on the CPU.

    python benchmarks/learning.py

Interleaved pairs on one thread: 19 blocks of EfficientNet-Lite0 on 500 pictures of 96 px. Budgets: collecting the
features takes at most 1.15 times the plain passes, in batches of the same size; the fits of a probe with all its
controls at most ten seconds, on one core. Ends with status 1 when something is over its budget.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings

import torch
from side_by_side import HEADER, compare, machine, report

import classykit as ck
from classykit.learning.collected import collected
from classykit.learning.linear import read_off, splits_of

warnings.simplefilter("ignore")
BATCH, BUDGET, SECONDS = 16, 1.15, 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7, help="pairs (default 7)")
    parser.add_argument("--pictures", type=int, default=500, help="default 500")
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = ck.datasets.digits(96).train
    x, y = x[: options.pictures] * 2 - 1, y[: options.pictures].tolist()
    model = ck.load_pretrained("efficientnet_lite0")
    blocks = list(model.block_names)

    def plain():
        with torch.inference_mode():
            for part in x.split(BATCH):
                model(part)

    def all_blocks():
        with collected(model, x, blocks, "mean", device="cpu", batch_size=BATCH, progress=False) as held:
            return held

    print(f"{machine()}; {options.repeats} pairs, {len(x)} pictures of 96 px, batches of {BATCH}\n\n{HEADER}")
    result = compare(f"{len(blocks)} blocks of lite0 / plain passes", all_blocks, plain, BUDGET, options.repeats)
    print(result, flush=True)
    held, splits = all_blocks(), splits_of(y, 0.33, 3, 0)
    start = time.perf_counter()
    for _ in range(2):  # the model's own, and those of the same network with random weights
        for block in blocks:
            read_off(held.features[block], y, splits)
    read_off(held.pixels, y, splits)
    took = time.perf_counter() - start
    print(f"\nfits: {2 * len(blocks) + 1} × 3 in {took:.1f} s (budget {SECONDS:.0f} s)")
    return report([result]) or int(took > SECONDS)


if __name__ == "__main__":
    sys.exit(main())
