"""`benchmark`: how long a model's passes take and how much memory, in several modes, types and batch sizes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import ClassyKitError, ConfigError, Interrupted, first_line, quoted
from classykit.measuring.bench import Bench
from classykit.measuring.benchmark_report import Benchmark, Row
from classykit.measuring.machine import machine
from classykit.measuring.matmul_peak import matmul_peak
from classykit.measuring.modes import MODES, parts_of
from classykit.meta import dtype_of
from classykit.running.live import LiveModel, live, named
from classykit.running.placement import Place, choose, on, short
from classykit.running.run import run

__all__ = ["Benchmark", "Row", "benchmark"]


@verb
@torch.random.fork_rng(devices=[])  # some models draw random numbers, which would be missing from the user's
def benchmark(
    model: str | Mapping[str, Any] | nn.Module,
    batch_sizes: int | Sequence[int] = (1, 8, 32),
    dtypes: str | torch.dtype | Sequence[str | torch.dtype] = "auto",
    modes: str | Sequence[str] = tuple(MODES),
    *,
    device: str | torch.device = "auto",
    compare: Any = None,
    input_shape: tuple[int, ...] | None = None,
    example: Any = None,
    seconds: float = 1.0,
    progress: bool = True,
) -> Benchmark:
    """Measure passes of a model, in eval mode and without gradients, on random input.

    Args:
        model: a name or config, which is built with random weights, or any nn.Module, which is left as it was:
            where it has to be elsewhere or in another type, a copy of it is.
        batch_sizes: numbers of inputs in a pass.
        dtypes: number types of weights and input, such as "float32" or ``torch.bfloat16``. Default "auto": the one
            in which `classykit.run` would run it.
        modes: "eager"; "channels_last", eager with maps in that layout; "compiled", torch.compile for each batch size
            anew, which can take minutes; "cuda_graph", eager operations recorded once and replayed. Several joined
            with "+" are one mode: "channels_last+cuda_graph". In all but those with channels_last weights and maps
            lie as they are.
        device: default "auto": a GPU when there is one.
        compare: other models, a list or {name: model}: all are timed in turns, so that a slow moment of the machine
            hits all, and `Benchmark.ratios` says how many times as long as ``model`` each takes.
        input_shape: of one input, without the batch. Default: the models' own, else (3, 224, 224).
        example: in place of ``input_shape``: what the models are called with, a tensor or `classykit.Inputs`.
        seconds: of measuring a row at least. Passes are repeated until the interquartile range is below a tenth of
            the median, or five times as long.
        progress: show a bar. Default True.

    Returns a `Benchmark`: a row for each combination. What a device or model cannot do, or has no memory for, is a row
    that says so. The figures are for this machine, as it is now.

    Raises ConfigError for what cannot be asked, ShapeError for a model that cannot run on such inputs, DeviceError for
    a device that is not there, or a name or config that it cannot hold; Interrupted, with the rows measured until
    then as its ``result``, when it is interrupted.

    >>> import classykit
    >>> net = classykit.build_model("resnet18", small_input=True)
    >>> b = benchmark(net, 1, "float32", "eager", device="cpu", seconds=0.01, progress=False)
    >>> b.rows[0].status, b.rows[0].latency_ms > 0
    ('ok', True)
    """
    sizes, modes, seconds = _sizes(batch_sizes), _modes(modes), _seconds(seconds)
    subjects = named(
        live(m, device, input_shape, name, example=example) for name, m in [(None, model), *_others(compare)]
    )
    if isinstance(dtypes, str) and dtypes == "auto":
        dtypes = _own_choice(subjects[0], device)
    places = list(
        dict.fromkeys(choose(subjects[0].model, device, t, channels_last=False) for t in _listed(dtypes, "dtypes"))
    )
    where = places[0].device
    rows: list[Row] = []
    done = Benchmark(
        rows=rows,
        machine=machine(where),
        shapes={s.name: s.shape_of_one for s in subjects},
        peaks={},
        notes=_notes(subjects),
    )
    cells = [(place, mode, size) for place in places for mode in modes for size in sizes]
    bench = Bench(subjects, seconds)
    try:
        with _bar(len(cells), progress) as bar, on(where):
            for place, mode, size in cells:
                bar.set_description(f"{mode}, {short(place.dtype)}, batch {size}")
                if place.dtype not in done.peaks:
                    done.peaks[place.dtype] = _peak(place, done.notes)
                rows += bench.cell(place, mode, size, done.peaks[place.dtype])
                bar.update()
    except KeyboardInterrupt as error:
        bench.settled.clear()  # the error is kept for long, in a notebook, and must not keep models with it
        error.with_traceback(None)
        done.notes.append(f"Interrupted after {len(rows)} of {len(cells) * len(subjects)} rows")
        raise Interrupted(f"{done.notes[-1]}; they are in this error's result.", done) from None
    return done


def _own_choice(subject: LiveModel, device: str | torch.device) -> torch.dtype:
    """The number type in which `classykit.run` runs a model: one that was not asked for only where it works."""
    place = choose(subject.model, device, channels_last=False)
    own = dtype_of(subject.model)
    if place.dtype == own:
        return own
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run(subject.model, subject.example(1), device, channels_last=False, progress=False).place.dtype
    except ClassyKitError:  # the rows say what is wrong
        return place.dtype


def _notes(subjects: list[LiveModel]) -> list[str]:
    """What is to be said of the models, of several at once where it is the same."""
    of_note: dict[str, list[str]] = {}
    for s in subjects:
        for note in s.notes:
            of_note.setdefault(note, []).append(s.name)
    return [f"{', '.join(names)}: {note}" if len(subjects) > 1 else note for note, names in of_note.items()]


def _peak(place: Place, notes: list[str]) -> float | None:
    try:
        return matmul_peak(place.device, place.dtype)
    except RuntimeError as error:  # a type for which the device has no matrix product
        notes.append(f"No matrix product of {short(place.dtype)} to compare with: {first_line(error)}")
        return None


def _listed(value: Any, what: str) -> list[Any]:
    """One or several, as a list."""
    found = list(value) if isinstance(value, (list, tuple, range)) else [value]
    if not found:
        raise ConfigError(f"There are no {what}: nothing to measure.")
    return found


def _sizes(batch_sizes: Any) -> list[int]:
    sizes = _listed(batch_sizes, "batch_sizes")
    if any(type(n) is not int or n < 1 for n in sizes):
        raise ConfigError(f"batch_sizes is a positive number or several, not {quoted(batch_sizes)}.")
    return list(dict.fromkeys(sizes))


def _modes(modes: Any) -> list[str]:
    wanted = _listed(modes, "modes")
    for mode in wanted:
        parts_of(mode)
    return list(dict.fromkeys(wanted))


def _seconds(seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise ConfigError(f"seconds is a positive number, not {quoted(seconds)}.")
    return float(seconds)


def _others(compare: Any) -> Iterable[tuple[str | None, Any]]:
    """(name or None, model) of the models to compare with."""
    if compare is None:
        return []
    if isinstance(compare, (str, nn.Module)) or (isinstance(compare, Mapping) and "name" in compare):
        return [(None, compare)]
    if isinstance(compare, Mapping):
        return [*compare.items()]
    if isinstance(compare, Iterable):
        return [(None, m) for m in compare]
    raise ConfigError(f"compare is a list of models or {{name: model}}, not {type(compare).__name__}.")


def _bar(total: int, progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, unit="row", disable=not progress, leave=False)
