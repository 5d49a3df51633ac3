"""What `classykit.extract` reads: a folder of pictures or a Dataset, as inputs with ids and labels."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from classykit.errors import ConfigError, ImageError
from classykit.extracting.digests import digest_of, digest_of_file
from classykit.extracting.picture_folder import SAMPLED, Folder
from classykit.images import Preprocessing
from classykit.inputs import preprocess

_INPUTS = ("image", "img", "pixel_values", "video", "input", "x")
_LABELS = ("label", "labels", "target")
_PICTURES = (str, os.PathLike, bytes, np.ndarray, Image.Image)


class ItemInfo(NamedTuple):
    """One image: its number in the dataset, its id, its label."""

    index: int
    id: str
    label: Any = None


class Skipped(NamedTuple):
    """One image that could not be read: its number in the dataset, its id, and why."""

    index: int
    id: str
    reason: str


class Batch(NamedTuple):
    """Images read: (n, ...) or, where their shapes differ, a list of them; and what could not be read."""

    rows: list[ItemInfo]
    x: Any
    skipped: list[Skipped]


class Items(Dataset):
    """The images of a folder or Dataset as a model takes them; item i is ``(ItemInfo, tensor)`` or a ``Skipped``.

    Args:
        dataset: a folder, or anything with a length and items by number.
        model: its ``preprocessing`` or ``input_shape`` is what pictures are prepared for.
        key: where the input is in items that are dicts.
        on_error: "skip" or "raise", for pictures that cannot be read.
    """

    def __init__(self, dataset: Any, model: Any, key: str | None = None, on_error: str = "skip"):
        self.data = Folder(dataset) if isinstance(dataset, (str, os.PathLike)) else dataset
        self.key, self.on_error = key, on_error
        _check(self.data)
        # not the model itself: this object is sent to the workers
        self.takes = SimpleNamespace(
            preprocessing=getattr(model, "preprocessing", None), input_shape=getattr(model, "input_shape", None)
        )
        input_key = getattr(model, "input_key", None)
        self.keys = [key] if key is not None else [*([input_key] if isinstance(input_key, str) else []), *_INPUTS]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[ItemInfo, torch.Tensor] | Skipped:
        name = self.data.ids[index] if isinstance(self.data, Folder) else str(index)
        try:
            value, row = self._parts(index, self._item(index))
            name = row.id
            return row, self._input(value, index)
        except (ImageError, OSError) as error:
            if _says_nothing_about_it(error):
                raise
            if self.on_error == "raise":
                raise ImageError(
                    f'Image {index} ({name}) cannot be read: {error} With on_error="skip" it is left out, and listed.'
                ) from error
            return Skipped(index, _utf8(name), str(error) or type(error).__name__)

    def _item(self, index: int) -> Any:
        try:
            return self.data[index]
        except StopIteration as error:  # which would end the loop that asks for items, as if there were no more
            raise ConfigError(
                f"Item {index} of the dataset, a {type(self.data).__name__}, raised StopIteration: some iterator in "
                f"its __getitem__ has run out."
            ) from error

    @property
    def labels_are_folders(self) -> bool:
        """Whether pictures lie in sub-folders, whose names are their labels."""
        return isinstance(self.data, Folder) and any("/" in name for name in self.data.ids)

    def first(self) -> tuple[ItemInfo, torch.Tensor]:
        """The first image that can be read."""
        reason = ""
        for index in range(len(self)):
            item = self[index]
            if not isinstance(item, Skipped):
                return item
            reason = reason or item.reason
        raise ImageError(f"None of the {len(self):,} images can be read. The first: {reason}")

    def batches(self, ranges: Sequence[range], workers: int, pin_memory: bool) -> DataLoader:
        """A loader that gives one `Batch` a range, in order."""
        return DataLoader(
            self,
            batch_sampler=_Ranges(ranges),
            num_workers=min(workers, len(ranges)),
            collate_fn=_collate,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # the global one stays as it is
        )

    def describe(self) -> dict[str, Any]:
        """What tells this dataset, and how its pictures are prepared, from others; as JSON has it."""
        if isinstance(self.data, Folder):
            fingerprint, pictures = self.data.fingerprint(), True
        else:
            fingerprint, pictures = self._sampled()
        recipe = self.takes.preprocessing
        recipe = recipe.to_dict() if isinstance(recipe, Preprocessing) else {"input_shape": self.takes.input_shape}
        kind = "folder of pictures" if isinstance(self.data, Folder) else type(self.data).__name__
        return {
            "dataset": kind, "images": len(self), "content": fingerprint, "preprocessing": recipe if pictures else None,
        }  # fmt: skip

    def _sampled(self) -> tuple[str, bool]:
        """(a fingerprint of the first, middle and last item, whether they are pictures to be prepared)

        In a list, whose items cost nothing, of more of them; of paths, of what is in the files too. Items that differ
        from one reading to the next, for all that the seed is the same, do not count.
        """
        found, pictures = [], False
        many = SAMPLED if isinstance(self.data, (list, tuple)) else 3
        for index in sorted({i * (len(self) - 1) // (many - 1) for i in range(many)}):
            readings = []
            for _ in range(2):
                with _same_luck():
                    try:
                        value, row = self._parts(index, self.data[index])
                    except (ImageError, OSError):
                        readings.append("unreadable")
                        continue
                pictures = pictures or _is_picture(value)
                readings.append(digest_of([row.id, row.label, value, _content(value)]))
            found.append(readings[0] if readings[0] == readings[1] else "random")
        return digest_of(found), pictures

    def _parts(self, index: int, item: Any) -> tuple[Any, ItemInfo]:
        """(the input, who it is) of an item of the dataset."""
        name, label = str(index), None
        if isinstance(item, Mapping):
            where = next((k for k in self.keys if k in item), None)
            if where is None:
                raise ConfigError(
                    f"Item {index} is a dict with {', '.join(map(repr, item))}, and the input is looked for under "
                    f"{' or '.join(map(repr, self.keys))}: say key=... ."
                )
            value, name = item[where], str(item.get("id", index))
            label = next((item[k] for k in _LABELS if k in item), None)
        elif isinstance(item, (tuple, list)) and item:
            value, label = item[0], item[1] if len(item) > 1 else None
        else:
            value = item
        if name == str(index) and isinstance(value, (str, os.PathLike)):
            name = str(value)
        return value, ItemInfo(index, _utf8(name), _plain(label))

    def _input(self, value: Any, index: int) -> torch.Tensor:
        """(C, H, W), or whatever the dataset gives as a tensor."""
        if _is_picture(value):
            return preprocess(value, self.takes)[0]
        if isinstance(value, torch.Tensor):
            return value.detach()
        raise ConfigError(
            f"Item {index} has a {type(value).__name__} where its input should be: a tensor as the model takes it, "
            f"without a batch dimension, or a picture (a path, a PIL image, an array). Of a dict, say key=... ."
        )


def _content(value: Any) -> bytes:
    """What is in the file, where an item is the path of one."""
    if not isinstance(value, (str, os.PathLike)):
        return b""
    try:
        return digest_of_file(value)
    except (OSError, ValueError):  # none, or no path at all: the name of a sample
        return b""


class WorkerDied(Exception):
    """A process that reads items was killed, or has crashed."""


@contextmanager
def watched(loader: Any) -> Iterator[None]:
    """Within the block the death of one of a loader's workers is a `WorkerDied`, whatever it made fail."""
    try:
        yield
    except Exception as error:
        died = _death_of(loader, error)
        if died is None:
            raise
        raise WorkerDied(died) from error


def _death_of(loader: Any, error: BaseException) -> str | None:
    """How one of a loader's workers died; None where none did."""
    # by the time that a connection is found broken, the system may not have said yet that its other end is dead
    patience = time.monotonic() + (1 if isinstance(error, (OSError, EOFError)) else 0)
    while True:
        code = next((worker.exitcode for worker in getattr(loader, "_workers", ()) if worker.exitcode), None)
        if code is not None:
            return f"killed by signal {-code}" if code < 0 else f"with exit code {code}"
        if time.monotonic() >= patience:
            break
        time.sleep(0.02)
    told: BaseException | None = error  # torch raises an error of its own, wherever the main process is just then
    while told is not None:
        if isinstance(told, RuntimeError) and str(told).startswith("DataLoader worker (pid"):
            return str(told).strip().removesuffix(".")
        told = told.__cause__ or told.__context__
    return None


def _check(data: Any) -> None:
    if isinstance(data, DataLoader):
        raise ConfigError("A DataLoader was given: give its dataset (loader.dataset), and batch_size and workers here.")
    lacks = [what for what in ("__len__", "__getitem__") if not hasattr(data, what)]
    if isinstance(data, (IterableDataset, Mapping)) or lacks or getattr(data, "ndim", 1) == 0:
        raise ConfigError(
            f"A {type(data).__name__} cannot be read by numbers, and so not gone on with, nor shared by processes: "
            f"give a folder, or a Dataset with __len__ and __getitem__, e.g. list(dataset) if it is small."
        )
    if len(data) == 0:
        raise ConfigError(f"The dataset, a {type(data).__name__}, is empty.")


class _Ranges(Sampler):
    """Ranges of numbers as the lists that a DataLoader wants, made one by one."""

    def __init__(self, ranges: Sequence[range]):
        self.ranges = ranges

    def __iter__(self) -> Iterator[list[int]]:
        return (list(numbers) for numbers in self.ranges)

    def __len__(self) -> int:
        return len(self.ranges)


def _collate(items: list[Any]) -> Batch:
    skipped = [item for item in items if isinstance(item, Skipped)]
    read = [item for item in items if not isinstance(item, Skipped)]
    x = [x for _, x in read]
    alike = len({(x.shape, x.dtype) for x in x}) == 1
    return Batch([row for row, _ in read], torch.stack(x) if alike else x, skipped)


def _is_picture(value: Any) -> bool:
    """Whether it is to be preprocessed; a tensor is when it holds bytes, as torchvision.io.read_image gives them."""
    if isinstance(value, torch.Tensor):
        return value.dtype == torch.uint8 and value.ndim == 3
    return isinstance(value, _PICTURES)


def _says_nothing_about_it(error: BaseException | None) -> bool:
    """Whether reading failed for want of memory or file handles: the picture may well be sound."""
    if error is None:
        return False
    wants = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    return getattr(error, "errno", None) in wants or _says_nothing_about_it(error.__cause__)


def _plain(label: Any) -> Any:
    """A label as a column can hold it: a whole number, a float or a text; None for anything else."""
    if isinstance(label, (torch.Tensor, np.ndarray, np.generic)):
        label = label.item() if label.ndim == 0 else None
    if isinstance(label, bool):
        return int(label)
    return label if isinstance(label, (int, float)) else _utf8(label) if isinstance(label, str) else None


def _utf8(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")  # names of files need not be text


@contextmanager
def _same_luck() -> Iterator[None]:
    """Within the block the global random states are seeded; afterwards they are as before."""
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()
    torch.default_generator.manual_seed(0)  # the CPU's alone: torch.manual_seed would seed the GPUs too
    random.seed(0)
    np.random.seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        random.setstate(before[1])
        np.random.set_state(before[2])
