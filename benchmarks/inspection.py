"""classykit.inspect against torchinfo and fvcore, the memory that it takes, and the whole zoo.

    python benchmarks/inspection.py

One thread, interleaved pairs in one process; building the model is included on both sides, from its name with us, by
torchvision's function with the peers. Nothing is remembered from one call to the next. Budgets, of the peers' time:
1/5 for resnet50, 1/20 for vit_l_16, 1/50 for regnet_y_128gf. Extra peak memory below 40 MB for every name, each in a
process of its own; the zoo in less than 6 s. Ends with status 1 when something is over its budget.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
import warnings

import torch
import torchinfo
import torchvision
from fvcore.nn import FlopCountAnalysis
from side_by_side import HEADER, compare, machine, report

import classykit as ck

warnings.simplefilter("ignore")

PAIRS = {"resnet50": (30, 1 / 5), "vit_l_16": (9, 1 / 20), "regnet_y_128gf": (5, 1 / 50)}  # {name: (pairs, budget)}
MEMORY, ZOO = 40e6, 6.0

#: keys of the families that are no models without them
KEYS = {
    "anynet": {"depths": [1, 2, 7, 2], "widths": [48, 96, 192, 384], "group_widths": [16] * 4,
               "bottleneck_multipliers": [1.0] * 4, "strides": [2] * 4},
    "densenet": {"num_blocks": [6, 12, 24, 16]},
    "efficientnet": {"model_name": "B0"},
    "mlp": {"input_dim": 3072, "output_dim": 10, "hidden_dims": [512, 512]},
    "regnet": {"depth": 13, "w_0": 24, "w_a": 36.0, "w_m": 2.5, "group_width": 8},
    "resnet": {"num_blocks": [3, 4, 6, 3]},
    "resnext": {"num_blocks": [3, 4, 6, 3]},
    "resnext3d": {"input_planes": 3, "clip_crop_size": 112, "frames_per_clip": 16, "num_blocks": [2, 2, 2, 2],
                  "skip_transformation_type": "postactivated_shortcut",
                  "residual_transformation_type": "basic_transformation", "stem_planes": 64, "stage_planes": 64},
    "vision_transformer": {"image_size": 224, "patch_size": 16, "num_layers": 12, "num_heads": 12,
                           "hidden_dim": 768, "mlp_dim": 3072},
}  # fmt: skip
NAMES = ck.list_models()


def ours(name):
    ck.clear_cache()
    return ck.inspect({"name": name, **KEYS.get(name, {})})


def with_torchinfo(name):
    return torchinfo.summary(getattr(torchvision.models, name)(), input_size=(1, 3, 224, 224), verbose=0)


def with_fvcore(name):
    model = getattr(torchvision.models, name)().eval()
    count = FlopCountAnalysis(model, torch.zeros(1, 3, 224, 224))
    count.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return count.total()


def extra_memory(name):
    """Bytes by which the resident memory of a new process rises at most while it inspects; Linux only."""
    read, write = os.pipe()
    if os.fork() == 0:
        gc.collect()
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak from now on
        before = resident("VmRSS")
        ours(name)
        os.write(write, str(resident("VmHWM") - before).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        rise = int(answer.read())
    os.wait()
    return rise


def resident(field):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(field))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="times as many pairs (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ours("resnet18")  # what is imported when first used
    print(f"{machine()}; torchinfo {torchinfo.__version__}\n")

    rises = {name: extra_memory(name) for name in NAMES}
    most = max(rises, key=rises.get)
    print(
        f"extra peak memory: at most {rises[most] / 1e6:.1f} MB ({most}), median "
        f"{statistics.median(rises.values()) / 1e6:.1f} MB of {len(rises)} names; budget {MEMORY / 1e6:.0f} MB"
    )

    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        for name in NAMES:
            ours(name)
        seconds.append(time.perf_counter() - start)
    print(
        f"the zoo of {len(NAMES)} names: {statistics.median(seconds):.2f} s "
        f"({min(seconds):.2f} to {max(seconds):.2f}); budget {ZOO:.0f} s"
    )

    print(f"\n{HEADER}")
    results = []
    for name, (pairs, budget) in PAIRS.items():
        for peer, count in (("torchinfo", with_torchinfo), ("fvcore", with_fvcore)):
            result = compare(
                f"{name}: inspect / {peer}", lambda: ours(name), lambda: count(name), budget,  # noqa: B023
                max(2, round(options.scale * pairs)), warm_up=1,
            )  # fmt: skip
            results.append(result)
            print(f"{result}   ({1 / result.ratio:.0f} times as fast)", flush=True)
    failed = report(results)
    return 1 if failed or rises[most] > MEMORY or statistics.median(seconds) > ZOO else 0


if __name__ == "__main__":
    sys.exit(main())


if __name__ == "__main__":
    sys.exit(main())
