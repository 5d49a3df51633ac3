"""`run`: a model on any number of images, where and how it runs best, in batches that fit; one engine for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import ConfigError, DeviceError, Interrupted, ShapeError, quoted, warn
from classykit.meta import dtype_of
from classykit.running.batches import Batches
from classykit.running.engine import Engine, Run, join
from classykit.running.live import built
from classykit.running.memory_fit import batch_that_fits
from classykit.running.placement import choose, short
from classykit.subject import UNTRAINED, block_list, subject_of

__all__ = ["Run", "run"]

BATCH = {"cpu": 8, "cuda": 64, "mps": 16}  # "auto": larger ones gain little, and on a CPU leave its caches


@verb
def run(
    model: nn.Module | str | Mapping[str, Any],
    images: Any,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    batch_size: int | str = "auto",
    *,
    channels_last: bool | str = "auto",
    blocks: Iterable[str] = (),
    trunk: bool = False,
    progress: bool = True,
    on_block: Callable[[int, int], None] | None = None,
) -> Run:
    """Run a model on images, in eval mode and without gradients, and bring the results back to the CPU.

    Args:
        model: a ClassyModel or any nn.Module, which is left as it was: where it has to be elsewhere, or in another
            type, a copy is. Or a name or config: it is built with random weights, which the notes say.
        images: a batch (N, C, H, W) as the model takes it, or a dict with one; or `classykit.Inputs`, of which the
            tensors that have the batch first are cut into batches; or a picture, or a list of pictures, as
            `classykit.load_image` takes them, which are loaded and preprocessed batch by batch.
        device, dtype, channels_last: see `classykit.running.placement.choose`. Default "auto": a GPU when there is
            one; bfloat16 where the device is quick in it, and the model runs in it; channels last for convolutional
            networks.
        batch_size: how many at a time. Default "auto": 8 on a CPU, 64 on a GPU; fewer where that does not fit.
        blocks: blocks whose features are wanted as well, from the same passes. Of many images they take much memory:
            see `classykit.extract`.
        trunk: whether what the trunk gives is wanted besides what the heads give. Default False.
        progress: show a bar when it takes longer than a second. Default True.
        on_block: called with (blocks done, blocks) while each batch runs.

    Returns a `Run`; output and features have the model's own number type.

    A batch that runs out of memory is halved, with a warning. Raises DeviceError, before anything is allocated, for
    a model that the device cannot hold; ShapeError when the model cannot take such images; Interrupted, with the
    results until then, when it is interrupted.

    >>> import classykit
    >>> net = classykit.build_model("resnet18")
    >>> run(net, torch.rand(5, 3, 64, 64), device="cpu").output.shape
    torch.Size([5, 512, 2, 2])
    """
    notes: list[str] = []
    subject = subject_of(model)
    if subject.module is None:
        model = built(subject, device).model
        notes.append(UNTRAINED)
    else:
        model = subject.with_weights()
    source = Batches(images, model)
    wanted = _wanted(batch_size)
    place = choose(model, device, dtype, channels_last)
    size = min(BATCH[place.device.type] if wanted is None else wanted, len(source))
    fitting, why = batch_that_fits(model, place, source.shape, size)
    if fitting < size and wanted is not None:
        _say(notes, why)
    names, own = block_list(blocks), dtype_of(model)
    bar = _bar(len(source), progress)
    try:
        return _passes(Engine(model, place, names, on_block, trunk), source, fitting, notes, bar)
    except ShapeError:
        if not (isinstance(dtype, str) and dtype == "auto") or place.dtype == own:
            raise
        # a model may make numbers of its own, in a type of its own
        again = Engine(model, replace(place, dtype=own), names, on_block, trunk)
        done = _passes(again, source, fitting, notes, _bar(len(source), progress))
        note = f"It does not run in {short(place.dtype)}, but in its own {short(own)}"
        warn(f"{note}.", RuntimeWarning)
        return replace(done, notes=(*done.notes, note))


def _passes(engine: Engine, source: Batches, fitting: int, notes: list[str], bar: Any) -> Run:
    """All batches, ``fitting`` at a time or fewer."""
    parts: list[Run] = []
    done = 0
    try:
        with engine.ready(), bar:
            while done < len(source):
                try:
                    parts.append(engine.run(source.batch(done, min(done + fitting, len(source)))))
                except DeviceError:
                    if fitting == 1:
                        raise
                    torch.cuda.empty_cache()
                    fitting //= 2
                    _say(notes, f"Memory ran out: the batch was halved to {fitting}")
                    continue
                done += parts[-1].images
                bar.update(parts[-1].images)
    except KeyboardInterrupt:
        until_then = join(parts, engine.place, fitting, [*notes, f"Interrupted after {done} of {len(source)} images"])
        raise Interrupted(f"Interrupted after {done} of {len(source)} images.", until_then) from None
    return join(parts, engine.place, fitting, notes)


def _wanted(batch_size: int | str) -> int | None:
    if isinstance(batch_size, str) and batch_size == "auto":
        return None
    if type(batch_size) is not int or batch_size < 1:
        raise ConfigError(f'batch_size is "auto" or a positive number, not {quoted(batch_size)}.')
    return batch_size


def _bar(total: int, progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, unit="image", delay=1, disable=not progress, leave=False)


def _say(notes: list[str], what: str) -> None:
    notes.append(what)
    warn(what + ".", RuntimeWarning)
