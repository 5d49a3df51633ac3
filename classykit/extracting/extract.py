"""`extract`: the features of a whole dataset, written to disk as they come, by one process or many."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import ClassyKitError, ConfigError, DeviceError, Interrupted, StateError, quoted, warn
from classykit.extracting.digests import digest_of_weights
from classykit.extracting.disk import pyarrow, sole_writer
from classykit.extracting.extraction import Extraction
from classykit.extracting.feature_passes import Passes
from classykit.extracting.feature_shard import Shard
from classykit.extracting.feature_source import Items, WorkerDied, watched
from classykit.extracting.feature_store import COLUMNS, DONE, LOCK, Store
from classykit.extracting.ranks import Ranks, together
from classykit.running.placement import Place, choose
from classykit.subject import block_list, block_paths, name_of, subject_of

__all__ = ["Extraction", "extract"]


@verb
def extract(
    model: nn.Module,
    dataset: Any,
    blocks: str | Iterable[str],
    out: str | os.PathLike,
    *,
    reduce: str | None = "mean",
    batch_size: int = 32,
    workers: int = 2,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    shard_size: int | str = "auto",
    key: str | None = None,
    on_error: str = "skip",
    progress: bool = True,
) -> Extraction:
    """Send a dataset through a model and write the features of ``blocks`` to the folder ``out``.

    Nothing but a shard of pooled features, or a batch of whole ones, is held in memory. After a kill, an error or an
    interruption the same call goes on from the shards that are done; nothing is lost, nothing is there twice, and the
    rows are the same, in the dataset's order, as of a run in one go.

    Args:
        model: a ClassyModel or any nn.Module; nothing of it is changed.
        dataset: a folder of pictures, with sub-folders as labels, sorted; or a map-style Dataset, a list or a tensor.
            Its items are inputs (a tensor as the model takes it, without a batch dimension; or a picture: a path, a
            PIL image, an array, a uint8 tensor), tuples (input, label, ...) or dicts. Pictures are prepared by
            `classykit.preprocess`, in the workers.
        blocks: block names or dotted paths, one or several.
        out: a folder: a new or an empty one, or one that the same call began.
        reduce: "mean" (default): over all positions, or tokens, so that a vector (C) is left. None: whole features.
        batch_size: how many at a time. Default 32. Halved, with a warning, where memory runs out.
        workers: processes that read and prepare images. Default 2; 0 for none.
        device, dtype: see `classykit.running.placement.choose`. Default "auto"; the dtype is that
            which the features were begun with.
        shard_size: images a shard: what a kill costs at most, and what the processes of a run are dealt. Default
            "auto": a 64th of the dataset, but at least 64 and at most 1024, in whole batches.
        key: where the input is in items that are dicts. Default: the first there is of the model's ``input_key``,
            "image", "img", "pixel_values", "video", "input" and "x". Labels are looked for under "label", "labels"
            and "target", ids under "id".
        on_error: "skip" (default): a picture that cannot be read is left out, and listed with the reason in
            `Extraction.skipped`; a warning says how many there are. "raise": it ends the run.
        progress: show a bar when it takes longer than a second. Default True.

    Returns an `Extraction`, which reads what was written. ``Extraction(out)`` gives it again, later or elsewhere.

    What is written:
        Pooled: Parquet files ``out/part-00000.parquet``, ..., of columns ``index`` (int64), ``id`` (the path in the
        folder, else the number, as text), ``label`` (int64, float64 or text; absent where there are none) and one a
        block, of lists of C float32. ``pandas.read_parquet(out)``, ``polars.read_parquet(f"{out}/*.parquet")`` and
        duckdb's ``select * from 'out/*.parquet'`` read it all.
        Whole: ``out/<block>.npy``, (images, *shape), of the type it was computed in (float32 for bfloat16):
        ``numpy.load(file, mmap_mode="r")``. Row i is image i, NaN where it could not be read. ``out/index.csv`` has
        index, id, label and the reason why it was skipped. Shapes are fixed and rows are written where they belong,
        by any number of processes: there is nothing that zarr would add.

    Several processes: under ``torchrun``, or where torch.distributed is initialised, each takes its share of the
    shards, on a GPU of its own, unless ``device`` says which. The folder ``out`` must be one that all of them see, the
    model the same in each. The batches, and so the features, do not depend on how many processes there are: shards
    are dealt, not images, by a DistributedSampler whose repeats are left out. In a file ``features.py``::

        import classykit as ck
        model = ck.load_pretrained("efficientnet_lite0")
        ck.extract(model, "photos", "block6-0", "features", workers=8)

    run by ``torchrun --nproc-per-node 8 features.py``, and on several machines with ``--nnodes`` and the like.

    A part that was damaged since is found, and made again.

    Raises BlockError for an unknown block, ImageError for a folder without pictures, StateError when ``out`` holds
    something else (it says what differs) or another extraction is writing to it, ShapeError when the model cannot take
    the images or a block's shape changes from one to the next, DeviceError when memory or disk has no room or a worker
    dies, MissingDependencyError when pyarrow is not there, Interrupted, with the Extraction until then, when it is
    interrupted.

    >>> import tempfile, classykit
    >>> model, images = classykit.build_model("resnet18"), torch.rand(5, 3, 64, 64)
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = extract(model, images, ["block1-1", "block3-1"], out, workers=0, device="cpu")
    ...     found.array("block1-1").shape, list(found.to_pandas())
    ((5, 128), ['index', 'id', 'block1-1', 'block3-1'])
    """
    model, names = _checked(model, blocks, reduce, on_error)
    _check_numbers(batch_size, workers, shard_size)
    if not isinstance(out, (str, os.PathLike)):
        raise ConfigError(f"out is the folder that the features go to, such as 'features', not {quoted(out)}.")
    out = Path(out).expanduser()
    with together() as ranks, torch.random.fork_rng(devices=[]), ExitStack() as held:
        items = Items(dataset, model, key, on_error)
        place = choose(model, _device(model, device, ranks), dtype)
        asked = {
            "model": name_of(model), "weights": digest_of_weights(model), "blocks": names, "reduce": reduce,
            **items.describe(),
        }  # fmt: skip
        asked = json.loads(json.dumps(asked))  # tuples become lists, as in the manifest
        asked |= {} if dtype == "auto" else {"dtype": _text(place.dtype)}
        asked |= {} if shard_size == "auto" else {"shard_size": shard_size}
        store = Store(out, ranks.from_first(lambda: _begun(out, asked, items, model, place, batch_size, held)))
        ranks.agree(store.differs(asked) or _unseen(out))
        place = choose(model, place.device, store.manifest["dtype"])
        done = set(ranks.from_first(store.done))
        share = ranks.share([shard for shard in store.shards() if shard not in done])
        if share:
            with _said_how_far(out):
                _write(Passes(model, place, batch_size), items, store, share, workers, ranks, progress)
        ranks.agree(None)
        ranks.from_first(store.tidy)
        found = Extraction(out)
    if found.skipped and ranks.rank == 0:
        warn(
            f"{len(found.skipped):,} of {found.images:,} images could not be read and were left out: see .skipped. "
            f"The first: {found.skipped[0].id}: {found.skipped[0].reason}",
            RuntimeWarning
        )  # fmt: skip
    return found


def _begun(
    out: Path, asked: dict[str, Any], items: Items, model: nn.Module, place: Place, batch_size: int, held: ExitStack
) -> dict[str, Any]:
    """The manifest of what is there, or of what is begun now; ``held`` keeps other writers out while there is work."""
    store = Store.open(out)
    _raise(None if store is None else store.differs(asked))
    if store is None or len(store.sound()) < len(store.shards()):
        held.enter_context(sole_writer(out, out / DONE / LOCK))
        store = Store.open(out)  # once more, as somebody may have come before
        if store is None:
            size = -(-max(64, min(1024, len(items) // 64)) // batch_size) * batch_size
            found = Passes(model, place, batch_size).look(items.first(), asked["blocks"], asked["reduce"])
            if items.labels_are_folders:
                found["label"] = "str"
            store = Store(out, {"dtype": _text(place.dtype), "shard_size": size, **asked, **found})
        _raise(store.differs(asked))
        store.create()
    return store.manifest


@contextmanager
def _said_how_far(out: Path) -> Iterator[None]:
    """What breaks off the work says what is there by then, and that the same call goes on from there."""
    try:
        yield
    except KeyboardInterrupt:
        so_far = Extraction(out)
        raise Interrupted(
            f"Interrupted after {so_far.done:,} of {so_far.images:,} images. They are in {out}; the same call goes on "
            f"from there.", so_far
        ) from None  # fmt: skip
    except WorkerDied as error:
        so_far = Extraction(out)
        raise DeviceError(
            f"A worker, a process that reads images, died ({error}): often its memory ran out, or an image crashed its "
            f"decoder. {so_far.done:,} of {so_far.images:,} images are in {out}; the same call goes on from there. "
            f"Make it with fewer workers, or with workers=0, which shows where it fails."
        ) from error


def _write(
    passes: Passes, items: Items, store: Store, shards: list[int], workers: int, ranks: Ranks, progress: bool
) -> None:
    """Do these shards."""
    from tqdm.auto import tqdm

    plan = [(shard, part) for shard in shards for part in _parts(store.numbers(shard), passes.batch_size)]
    passes.fit(tuple(store.manifest["input"]))
    loaded = iter(items.batches([part for _, part in plan], workers, passes.place.device.type == "cuda"))
    bar = tqdm(
        total=sum(len(part) for _, part in plan), unit="image", delay=1, leave=False,
        disable=not progress or ranks.rank > 0, desc=f"process 1 of {ranks.size}" if ranks.size > 1 else None,
    )  # fmt: skip
    shard = Shard(store, shards[0])
    with watched(loaded):
        try:
            with bar:
                for (number, part), batch in zip(plan, loaded, strict=True):
                    if shard.number != number:
                        shard = Shard(store, number)
                    for rows, features in passes.run(batch, store.layouts):
                        shard.add(rows, features)
                    shard.skip(batch.skipped)
                    if part.stop == store.numbers(number).stop:
                        shard.finish()
                    bar.update(len(part))
        finally:
            # an exception that someone keeps, as a notebook does, would keep the workers too
            getattr(loaded, "_shutdown_workers", bool)()


def _parts(numbers: range, size: int) -> list[range]:
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]


def _checked(model: Any, blocks: str | Iterable[str], reduce: str | None, on_error: str) -> tuple[nn.Module, list[str]]:
    """(the model itself, the blocks as a list)"""
    model = subject_of(model).with_weights()
    names = list(dict.fromkeys(block_list(blocks)))
    block_paths(model, names)  # raises for one that is not there
    if not names:
        raise ConfigError("No block was named: give one or several, e.g. the last of model.block_names.")
    if reduce not in ("mean", None):
        raise ConfigError(f'reduce is "mean" or None (whole features), not {quoted(reduce)}.')
    if on_error not in ("skip", "raise"):
        raise ConfigError(f'on_error is "skip" or "raise", not {quoted(on_error)}.')
    if reduce is not None:
        pyarrow()
        clash = [name for name in names if name in COLUMNS]
        if clash:
            raise ConfigError(f"A column is called {quoted(clash[0])} already: choose another block, or reduce=None.")
    return model, names


def _raise(problem: ClassyKitError | None) -> None:
    if problem is not None:
        raise problem


def _check_numbers(batch_size: Any, workers: Any, shard_size: Any) -> None:
    asked = {"batch_size": (batch_size, 1), "workers": (workers, 0)}
    asked |= {} if shard_size == "auto" else {"shard_size": (shard_size, 1)}
    for what, (number, least) in asked.items():
        if type(number) is not int or number < least:
            raise ConfigError(f"{what} is a whole number from {least} on, not {quoted(number)}.")


def _device(model: nn.Module, device: str | torch.device, ranks: Ranks) -> str | torch.device:
    """Of several processes on one machine each takes a GPU of its own, unless it was said which."""
    elsewhere = any(p.device.type != "cpu" for p in model.parameters())
    if device != "auto" or ranks.size == 1 or elsewhere or not torch.cuda.is_available():
        return device
    return f"cuda:{ranks.local % torch.cuda.device_count()}"


def _text(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _unseen(out: Path) -> StateError | None:
    if Store.open(out) is not None:
        return None
    return StateError(f"This process does not see the {out} of the first one: name a folder that all of them share.")
