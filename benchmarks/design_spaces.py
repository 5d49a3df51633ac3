"""A thousand RegNets within a budget, drawn and inspected; and how long `inspect` takes against another checkout.

    python benchmarks/design_spaces.py
    python benchmarks/design_spaces.py --before ../classykit-before

Budgets: 1,000 RegNets of 200 to 800 million MACs sampled and inspected (by `sweep`, in two processes) in 60 s; with
``--before``, the processor time of `inspect`, building included and nothing remembered, at most half of that of the
other checkout, in processes that take turns. Ends with status 1 when something is over its budget.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from side_by_side import machine

import classykit as ck

SECONDS, SHARE = 60.0, 0.5
HERE = Path(__file__).resolve().parent.parent

INSPECT = """
import json, sys, time
import torch
import classykit as ck
torch.set_num_threads(1)
first, *configs = json.load(open(sys.argv[1]))
ck.inspect(first)
start = time.process_time()
for config in configs:
    ck.inspect(config)
print((time.process_time() - start) / len(configs))
"""


def seconds_in(checkout: Path, configs: str) -> float:
    """Processor time of one inspection, in a process that imports from a checkout."""
    ran = subprocess.run([sys.executable, "-c", INSPECT, configs], cwd=checkout, check=True, text=True,
                         capture_output=True, env={**os.environ, "PYTHONPATH": str(checkout)})  # fmt: skip
    return float(ran.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=1000, help="default 1000")
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--repeats", type=int, default=9, help="pairs of processes (default 9)")
    options = parser.parse_args()
    print(machine())

    start = time.perf_counter()
    configs = ck.sample(ck.Space("regnet"), options.networks, macs=(200e6, 800e6), progress=False)
    drawn = time.perf_counter() - start
    with ProcessPoolExecutor(2) as two:
        table = ck.sweep(configs, ck.inspect, executor=two, progress=False)
    took = time.perf_counter() - start
    assert len(table) == len(configs) and table.macs.between(200e6, 800e6).all()
    late = took > SECONDS * options.networks / 1000
    print(
        f"{len(table)} RegNets: sampled in {drawn:.1f} s, with their inspection in two processes {took:.1f} s", end=""
    )
    print(f" (budget {SECONDS:.0f} s for 1,000)  {'FAIL' if late else 'pass'}", flush=True)
    if options.before is None:
        return int(late)

    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(configs[:61], file)
        file.flush()
        pairs = []
        for i in range(options.repeats):
            turns = (HERE, options.before.resolve())
            times = {path: seconds_in(path, file.name) for path in (turns if i % 2 else turns[::-1])}
            pairs.append((times[turns[0]], times[turns[1]]))
    ratios = [now / before for now, before in pairs]
    now, before = (statistics.median(of) * 1000 for of in zip(*pairs, strict=True))
    ratio = statistics.median(ratios)
    print(f"inspect: {now:.0f} ms, before {before:.0f} ms; now / before {ratio:.2f} "
          f"({min(ratios):.2f} to {max(ratios):.2f}) ≤ {SHARE}  {'pass' if ratio <= SHARE else 'FAIL'}")  # fmt: skip
    return int(late or ratio > SHARE)


if __name__ == "__main__":
    sys.exit(main())
