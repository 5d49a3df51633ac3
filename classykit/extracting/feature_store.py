"""Features on the disk: Parquet files or .npy arrays, written shard by shard so that nothing is lost or doubled.

A shard is a fixed range of the dataset. Its data are written first, then, in one step, the note that it is done: a
process that is killed leaves shards that are done and shards that are done again.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from classykit import formats
from classykit.errors import DeviceError, StateError
from classykit.extracting.disk import TEMPORARY, explained, pyarrow, replacing
from classykit.extracting.feature_layout import FeatureLayout

# Readers of a folder of Parquet files pass over names that begin with _ or a dot
MANIFEST, DONE = "_manifest.json", "_done"
COLUMNS = ("index", "id", "label")


class Store:
    """A folder of features, and the manifest that says of what.

    The manifest has ``images`` (how many), ``shard_size``, ``reduce``, ``label`` (the type of the labels, or None) and
    ``features``: {block: its `FeatureLayout` as a dict}.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]):
        self.path, self.manifest = path, manifest
        self.images, self.size = manifest["images"], manifest["shard_size"]
        self.pooled = manifest["reduce"] is not None
        self.layouts = {block: FeatureLayout.from_dict(f) for block, f in manifest["features"].items()}
        self.files = _file_names(self.layouts)

    @classmethod
    def open(cls, path: Path) -> Store | None:
        """The store in a folder; None where there is none yet. StateError when there is something else."""
        if not (path / MANIFEST).exists():
            if path.exists() and not path.is_dir():
                raise StateError(f"{path} is a file: name a folder to write the features to.")
            others = sorted(p.name for p in path.iterdir() if not p.name.startswith(TEMPORARY)) if path.exists() else []
            if others:
                raise StateError(
                    f"{path} holds other things ({', '.join(others[:5])}{', ...' if len(others) > 5 else ''}), no "
                    f"features of classykit: name a folder that is empty, or is not there yet."
                )
            return None
        try:
            return cls(path, json.loads((path / MANIFEST).read_text()))
        except (ValueError, LookupError, TypeError) as error:
            raise StateError(
                f"{path / MANIFEST} is damaged ({type(error).__name__}: {error}): delete the folder and begin again."
            ) from None

    def differs(self, asked: dict[str, Any]) -> StateError | None:
        """What is asked for otherwise than when the features were begun, as an error; None where nothing is."""
        had = self.manifest
        differing = [f"{k} is {_short(v)}, was {_short(had.get(k))}" for k, v in asked.items() if had.get(k) != v]
        if not differing:
            return None
        return StateError(
            f"{self.path} holds features that were begun otherwise: {'; '.join(differing)}. Name another folder, or "
            f"go on with what it was begun with, or delete it."
        )

    def create(self) -> None:
        """Make the folder and what has to be there before the first shard; what is there already stays."""
        if self.pooled:
            pyarrow()
        with explained(self.path, "make the folder"):
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / MANIFEST).exists():
                self._check_room()
                with replacing(self.path / MANIFEST) as file:
                    file.write(json.dumps(self.manifest, indent=1).encode())
            (self.path / DONE).mkdir(exist_ok=True)  # not before the manifest, which says whose folder this is
            for block, name in {} if self.pooled else self.files.items():
                if not (self.path / name).exists():
                    if self.done():
                        raise StateError(
                            f"{self.path / name} is gone, and part of it was done: put it back, or delete the folder "
                            f"and begin again."
                        )
                    layout, temporary = self.layouts[block], self.path / f"{TEMPORARY}{name}"
                    np.lib.format.open_memmap(temporary, "w+", layout.dtype, (self.images, *layout.shape))
                    os.replace(temporary, self.path / name)

    def _check_room(self) -> None:
        of_one = sum(math.prod(f.shape) * np.dtype(f.dtype).itemsize for f in self.layouts.values())
        needed = self.images * of_one
        free = shutil.disk_usage(self.path).free
        if needed > free:
            raise DeviceError(
                f"The features of {self.images:,} images take {formats.size(needed)}, and {self.path} has "
                f'{formats.size(free)} free: choose fewer or later blocks, or reduce="mean".'
            )

    def numbers(self, shard: int) -> range:
        """Which images are in a shard."""
        return range(shard * self.size, min((shard + 1) * self.size, self.images))

    def shards(self) -> range:
        return range(-(-self.images // self.size))

    def done(self) -> list[int]:
        """The shards that are done, in order."""
        noted = sorted(int(p.stem) for p in (self.path / DONE).glob("[0-9]*.json"))
        return [shard for shard in noted if self.part(shard).exists()] if self.pooled else noted

    def note(self, shard: int) -> dict[str, Any]:
        """What was noted when a shard was done."""
        return json.loads(self.note_of(shard).read_text())

    def part(self, shard: int) -> Path:
        """The Parquet file of a shard."""
        return self.path / f"part-{self._name(shard)}.parquet"

    def note_of(self, shard: int) -> Path:
        """The file that says that a shard is done."""
        return self.path / DONE / f"{self._name(shard)}.json"

    def _name(self, shard: int) -> str:
        return f"{shard:0{max(5, len(str(len(self.shards()))))}d}"  # so that names sort as numbers

    @cached_property
    def offsets(self) -> dict[str, int]:
        """{block: where the numbers begin in its .npy file}"""
        return {block: np.load(self.path / name, mmap_mode="r").offset for block, name in self.files.items()}

    def tidy(self) -> None:
        """Once all is done: take away what killed processes left half written, and list the images of .npy arrays."""
        with explained(self.path, "tidy up"):
            for folder in (self.path, self.path / DONE):
                for left in folder.glob(f"{TEMPORARY}*"):
                    left.unlink(missing_ok=True)
            listing = self.path / "index.csv"
            if self.pooled or listing.exists():
                return
            with replacing(listing) as file:
                text = io.TextIOWrapper(file, "utf-8", newline="")
                lines = csv.writer(text, lineterminator="\n")
                lines.writerow([*COLUMNS, "skipped"])
                for shard in self.done():
                    note = self.note(shard)
                    rows = [(*row, None) for row in note["rows"]]
                    rows += [(index, name, None, reason) for index, name, reason in note["skipped"]]
                    lines.writerows(sorted(rows, key=lambda row: row[0]))
                text.detach()  # writes what it holds, and leaves the file open


def _file_names(blocks: Any) -> dict[str, str]:
    """{block: the name of its .npy file}"""
    plain = {block: re.sub(r"[^\w.-]", "_", block) for block in blocks}
    alone = len(set(plain.values())) == len(plain)
    return {block: f"{name}.npy" if alone else f"{i}-{name}.npy" for i, (block, name) in enumerate(plain.items())}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
