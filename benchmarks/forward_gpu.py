"""Passes on a GPU against torchvision's and timm's, the memory that they take against the estimate.

    python benchmarks/forward_gpu.py                            # a CUDA device is needed
    python benchmarks/forward_gpu.py --device cpu --quick       # all but CUDA graphs, on small inputs: does it run?

Every model is measured in turns with the same architecture of the other libraries, in the same mode, number type and
layout, eval mode, no gradients. Budgets:

- eager, batch 1 and --batch: no slower than the others (within --tolerance, which is for noise);
- batch 1 as a CUDA graph: a third of timm's eager time (of torchvision's, where timm has no such model);
- eager, --batch: the estimated peak memory within 10 % of ``torch.cuda.max_memory_allocated``. What CUDA's libraries
  hold for themselves is measured before the model is there, and added to the estimate.

Then it prints how near all modes come to the device's quickest matrix product. Ends with status 1 when something is
over its budget; with --quick times have none. Those of a CPU say nothing of a GPU.
"""

from __future__ import annotations

import argparse
import gc
import sys
import warnings
from dataclasses import dataclass

import timm
import torch
import torchvision
from side_by_side import HEADER, Comparison, report

import classykit as ck
from classykit import formats
from classykit.measuring.machine import machine
from classykit.measuring.modes import Unavailable, peak_memory, prepare
from classykit.measuring.timing import interleave
from classykit.running.live import random_like
from classykit.running.placement import Place, choose, on, synchronize, without_gradients

TIMM = {  # {torchvision's name, which is ours: timm's}
    "resnet50": "resnet50", "efficientnet_b0": "efficientnet_b0", "vit_b_16": "vit_base_patch16_224",
    "regnet_y_16gf": "regnety_160", "r3d_18": None,
}  # fmt: skip
SMALL = {"vit_b_16": (3, 224, 224), "r3d_18": (3, 4, 56, 56)}  # for --quick; others get 64 px


@dataclass(frozen=True)
class Memory:
    """An estimate against what was measured."""

    name: str
    estimated: int
    libraries: int
    measured: int

    @property
    def ratio(self) -> float:
        return (self.estimated + self.libraries) / self.measured

    @property
    def passed(self) -> bool:
        return abs(self.ratio - 1) <= 0.1

    def __str__(self) -> str:
        said = f"{formats.size(self.estimated)} + {formats.size(self.libraries)} of libraries"
        return (
            f"{self.name:<44} {said:>30} {formats.size(self.measured):>18}   {self.ratio:5.3f} ± 0.1   "
            f"{'pass' if self.passed else 'FAIL'}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help='"cuda", "cuda:1" or "cpu" (default cuda)')
    parser.add_argument("--dtype", default="auto", help="default: what classykit.run would choose")
    parser.add_argument("--batch", type=int, default=32, help="pictures in a batch (default 32); clips: an eighth")
    parser.add_argument("--seconds", type=float, default=2.0, help="of measuring each pass (default 2)")
    parser.add_argument("--models", nargs="+", default=list(TIMM), choices=list(TIMM))
    parser.add_argument("--tolerance", type=float, default=0.02, help="taken for noise in eager (default 0.02)")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too, in the last table: takes minutes")
    parser.add_argument("--quick", action="store_true", help="small inputs, few repeats: to see whether it all runs")
    options = parser.parse_args()
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --device cpu --quick runs all but CUDA graphs")
    if options.quick:
        options.batch, options.seconds, options.tolerance = min(options.batch, 2), 0.05, float("inf")
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    place = choose(torch.nn.Linear(1, 1), options.device, options.dtype)
    print(f"{machine(place.device)}\ntorchvision {torchvision.__version__}, timm {timm.__version__}; {place}\n")
    results, tables = [], []
    with on(place.device):
        for name in options.models:
            print(f"{name}\n{HEADER}", flush=True)
            for result in one(name, place, options):
                print(result, flush=True)
                if not isinstance(result, str):
                    results.append(result)
            tables.append(table(name, place, options))
            print()
    print("\n\n".join(map(str, tables)))
    return report(results)


def held_by_libraries(place) -> int:
    """Bytes of the device that cuBLAS and its like keep from their first use on, for each stream that they ran on;
    nothing else may be there."""
    if place.device.type != "cuda":
        return 0
    x, w, b = (torch.ones(shape, device=place.device, dtype=place.dtype) for shape in ((64, 64), (64, 64), (64,)))
    torch.nn.functional.linear(x, w, b)
    torch.mm(x, w)
    synchronize(place.device)
    del x, w, b
    return torch.cuda.memory_allocated()


def one(name, place, options):
    """All figures of one architecture, one by one."""
    batch = max(options.batch // 8, 1) if name == "r3d_18" else options.batch
    theirs = made(torchvision.models.video if name == "r3d_18" else torchvision.models, name)
    ours = ck.load_pretrained(name, source=theirs).eval()
    shape = ours.input_shape if not options.quick else SMALL.get(name, (3, 64, 64))
    with without_gradients([theirs]):
        yield memory(ours, shape, batch, place)
        models = {"classykit": ours, "torchvision": theirs}
        if TIMM[name] is not None:
            models["timm"] = timm.create_model(TIMM[name]).eval()
        models = {who: place.settle(model) for who, model in models.items()}
        x = example(shape, 1, place)
        difference = (models["classykit"](x) - models["torchvision"](x)).abs().max().item()
        yield f"{'':<4}outputs of classykit and torchvision differ by {difference:.0e}"
        for n in dict.fromkeys((1, batch)):
            x = example(shape, n, place)
            ready = {who: prepare(model, x, "eager", place.device) for who, model in models.items()}
            times = timed(ready, place, options)
            for who in list(models)[1:]:
                label = f"eager, batch {n}: classykit / {who}"
                yield Comparison(label, times["classykit"], times[who], 1 + options.tolerance)
            del ready
        x = example(shape, 1, place)
        other = list(models)[-1]
        for mode in ("cuda_graph", *(["channels_last+cuda_graph"] if "vit" not in name else [])):
            try:
                yield graph(models, other, mode, x, place, options)
            except Unavailable as why:
                yield f"{'':<4}{mode}: {why}"


def graph(models, other, mode, x, place, options):
    """Ours as a CUDA graph against the other's eager pass."""
    own = Place(place.device, place.dtype, "channels_last" in mode)
    ready = {
        "classykit": prepare(own.settle(models["classykit"]), own.put(x.clone()), mode, place.device),
        other: prepare(models[other], x, "eager", place.device),
    }
    times = timed(ready, place, options)
    label = f"{mode} / {other}'s eager, batch 1"
    # only the mode that is promised has a budget; the other is for information
    return Comparison(label, times["classykit"], times[other], 1 / 3 if mode == "cuda_graph" else float("inf"))


def memory(ours, shape, batch, place) -> Memory:
    """The estimate and the measurement of one eager pass, nothing else being on the device."""
    clean(place)
    libraries = held_by_libraries(place)
    estimated = ck.inspect(ours, shape).peak_memory(batch_size=batch, dtype=place.dtype).total
    model, x = place.settle(ours), example(shape, batch, place)
    ready = prepare(model, x, "eager", place.device)
    if place.device.type == "cuda":
        clean(place)
        torch.cuda.reset_peak_memory_stats()
        ready.run()
        synchronize(place.device)
        measured = torch.cuda.max_memory_allocated()
    else:
        measured = peak_memory(model, x, ready, "eager", place.device)
    return Memory(f"memory, batch {batch}: estimated / measured", estimated, libraries, measured)


def table(name, place, options) -> ck.measuring.benchmark_report.Benchmark:
    """All modes, with the share of the device's quickest matrix product that they reach."""
    clean(place)
    batch = max(options.batch // 8, 1) if name == "r3d_18" else options.batch
    modes = ["eager", "channels_last", *(["compiled"] if options.compiled else []), "cuda_graph"]
    if "vit" not in name:
        modes.append("channels_last+cuda_graph")
    return ck.benchmark(
        name, (1, batch), place.dtype, modes, device=place.device, progress=False, seconds=options.seconds / 2,
        input_shape=SMALL.get(name, (3, 64, 64)) if options.quick else None,
    )  # fmt: skip


def timed(ready, place, options) -> dict[str, list[float]]:
    slowest = max(r.seconds for r in ready.values())
    return interleave({who: r.run for who, r in ready.items()}, place.device, options.seconds, slowest)


def made(module, name):
    """Their model with random weights."""
    return getattr(module, name)(weights=None).eval()


def example(shape, n, place):
    return place.put(random_like(torch.empty(n, *shape)))


def clean(place) -> None:
    gc.collect()
    if place.device.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
