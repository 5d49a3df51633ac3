"""Trains the small networks of lesson 7, and writes the table that ships with it, notebooks/design_spaces.csv.

    python benchmarks/train_design_spaces.py           # 35 networks of each space, three seeds: ten minutes of a core
    python benchmarks/train_design_spaces.py --nets 5  # the first 5 of each

Two spaces, RegNet and AnyNet, with the same stem, the same number of stages, the same input and the same budget: 2 to 6
million MACs on digits of 16 pixels. A RegNet's widths and depths follow one line and its group width is one for all; an
AnyNet's are free in every stage, its bottlenecks, too. Each network is trained three times, from other weights and on
another split.

Each row is on the disk as soon as it is there: after a kill the same call goes on with the networks that are left.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch

import classykit as ck

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent / "notebooks" / "design_spaces.csv"
ROWS = HERE.parent / "build" / "design_spaces.parquet"  # what was measured so far; git ignores that folder

SEEDS = (0, 1, 2)
STAGES, SIDE, BUDGET = 3, 16, (2e6, 6e6)
# `sample` counts for the size that a stem is meant for; at half of it, a quarter of the MACs are left
OWN_SIZE = 32
small = dict(in_channels=1, stem_type="res_stem_cifar", stem_width=16, use_se=False)
SPACES = {
    "RegNet": ck.Space(
        "regnet", depth=(4, 8), w_0=(8, 32), w_a=(4.0, 32.0), w_m=(1.5, 3.0), group_width=[4, 8, 16], **small
    ),
    "AnyNet": ck.Space(
        "anynet", stages=STAGES, depths=(1, 3), widths=(8, 256), bottleneck_multipliers=[1.0, 0.5],
        group_widths=[4, 8, 16], **small,
    ),
}  # fmt: skip

(x, y), _ = ck.datasets.digits(SIDE, channels=1)
x, y = x[:720], y[:720]


def error_of(config: dict[str, Any], seed: int = 0) -> float:
    """The share of 240 digits that a network gets wrong after it has seen 480 others once."""
    torch.manual_seed(seed)
    net = ck.build_model(config)
    net.attach_head(net.block_names[-1], "fully_connected", unique_id="digit", num_classes=10)
    fit = ck.fit_heads(net, x, {"digit": y}, trunk=True, epochs=1, lr=5e-3, test=1 / 3, seed=seed, progress=False)
    return 1 - fit.accuracy["digit"]


def measured(config: dict[str, Any]) -> dict[str, float]:
    """What a network costs on such digits, and its errors, a column a seed."""
    cost = ck.inspect(config, (1, SIDE, SIDE))
    errors = {f"error_{seed}": round(error_of(config, seed), 4) for seed in SEEDS}
    return {"macs": cost.macs, "params": cost.params, **errors}


def drawn(space: str, n: int) -> list[dict[str, Any]]:
    """The first ``n`` networks of a space that fit the budget and have so many stages; of RegNets, that follows."""
    macs = tuple(limit * (OWN_SIZE / SIDE) ** 2 for limit in BUDGET)
    several = ck.sample(SPACES[space], 8 * n, macs=macs, progress=False)
    fit = [config for config in several if len(ck.describe(config).follows["depths"]) == STAGES]
    assert len(fit) >= n, f"{len(fit)} of {len(several)} have {STAGES} stages"
    return fit[:n]


def in_turns(n: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(space, config): wherever it stops, both spaces have as many."""
    return chain.from_iterable(zip(*([(space, config) for config in drawn(space, n)] for space in SPACES), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nets", type=int, default=35, help="of each space (default 35)")
    parser.add_argument(
        "--rows", type=Path, default=ROWS, help="what was measured so far (default build/design_spaces.parquet)"
    )
    parser.add_argument("--out", type=Path, default=TABLE, help="the table (default notebooks/design_spaces.csv)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    listed = list(in_turns(options.nets))
    table = ck.sweep([config for _, config in listed], measured, out=options.rows)
    table.insert(0, "space", [space for space, _ in listed])
    failed = table[table.error.notna()]
    columns = ["space", "macs", "params", *(f"error_{seed}" for seed in SEEDS), "config"]
    table["config"] = [json.dumps(config) for _, config in listed]
    table[table.error.isna()][columns].to_csv(options.out, index=False, lineterminator="\n")
    print(f"{len(table) - len(failed)} networks, {table.seconds.sum():.0f} s of training, in {options.out}")
    for config, error in zip(failed.config, failed.error, strict=True):
        print(f"failed: {config}: {error}")
    return int(len(failed) > 0)


if __name__ == "__main__":
    sys.exit(main())
