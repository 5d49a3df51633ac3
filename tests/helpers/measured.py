"""What tests of measuring share."""

import time

import torch

import classykit as ck

MLP = {"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [16, 8]}


CPU = torch.device("cpu")


def few(runs, device, seconds, slowest):
    """Seconds of five passes of each, in turns."""
    times = {name: [] for name in runs}
    for _ in range(5):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times


def quick(model, sizes=1, dtypes="float32", modes="eager", **keys):
    keys = {"device": "cpu", "seconds": 0.005, "progress": False, **keys}
    return ck.benchmark(model, sizes, dtypes, modes, **keys)
