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
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from classykit import formats
from classykit.errors import DeviceError, StateError
from classykit.extracting.disk import TEMPORARY, checksum, explained, pyarrow, replacing
from classykit.extracting.feature_layout import FeatureLayout

# Readers of a folder of Parquet files pass over names that begin with _ or a dot
MANIFEST, DONE = "_manifest.json", "_done"
LOCK = ".lock"  # in DONE, for who writes
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
            others = sorted(p.name for p in _of_others(path)) if path.exists() else []
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
        """Make the folder and what has to be there before the first shard; what is there already, and sound, stays."""
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
                if not (self.path / name).exists() and self.notes():
                    raise StateError(
                        f"{self.path / name} is gone, and part of it was done: put it back, or delete the folder "
                        f"and begin again."
                    )
                self._lay_out(self.path / name, self.layouts[block])
            for shard in set(self.notes()) - set(self.sound()):
                self.note_of(shard).unlink()  # not done, then

    def _lay_out(self, path: Path, layout: FeatureLayout) -> None:
        """Make an .npy file for all images; one that was cut short, or has lost its beginning, is mended."""
        shape = (self.images, *layout.shape)
        with suppress(OSError, ValueError, EOFError):
            there = np.load(path, mmap_mode="r")
            if (there.shape, there.dtype.str) == (shape, np.dtype(layout.dtype).str):
                return
        blank = path.with_name(f"{TEMPORARY}{path.name}")
        start = np.lib.format.open_memmap(blank, "w+", layout.dtype, shape).offset
        if path.exists():
            with open(blank, "rb") as new, open(path, "rb+") as file:
                file.write(new.read(start))
                file.truncate(blank.stat().st_size)
            blank.unlink()
        else:
            os.replace(blank, path)

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
        """The shards that are done, in order: there is a note of them, and the files are there, at their length."""
        return [shard for shard, note in self.notes().items() if all(self._there(*file) for file in note["files"])]

    def sound(self) -> list[int]:
        """Of those that are `done`, the shards whose numbers are those that were written.

        Files that were written to since the last note are read, to tell.
        """
        notes = self.notes()
        last: dict[str, int] = {}
        for note in notes.values():
            for name, _, time, _ in note["files"]:
                last[name] = max(last.get(name, 0), time)
        untouched = {n for n, time in last.items() if (p := self.path / n).exists() and p.stat().st_mtime_ns == time}

        def is_sound(shard: int) -> bool:
            try:
                files = notes[shard]["files"]
                return all(name in untouched or self._checksum(name, shard) == sum for name, _, _, sum in files)
            except (OSError, ValueError, EOFError):  # it cannot even be read
                return False

        return [shard for shard in self.done() if is_sound(shard)]

    def _checksum(self, name: str, shard: int) -> int:
        """Of what a file has of a shard."""
        if self.pooled:
            return checksum(self.path / name)
        block = next(block for block, file in self.files.items() if file == name)
        of_one = math.prod(self.layouts[block].shape) * np.dtype(self.layouts[block].dtype).itemsize
        start, numbers = self.offsets[block], self.numbers(shard)
        return checksum(self.path / name, start + numbers.start * of_one, start + numbers.stop * of_one)

    def describe(self, name: str, shard: int) -> tuple[str, int, int, int]:
        """Of a file with numbers of a shard: (its name, its size, when it was written to, a checksum of the shard)."""
        about = os.stat(self.path / name)
        return name, about.st_size, about.st_mtime_ns, self._checksum(name, shard)

    def _there(self, name: str, size: int, *_: int) -> bool:
        path = self.path / name
        return path.exists() and path.stat().st_size == size

    def notes(self) -> dict[int, dict[str, Any]]:
        """{shard: what was noted when it was done}, in order; notes that are damaged are none."""
        found = {}
        for path in sorted((self.path / DONE).glob("[0-9]*.json"), key=lambda path: int(path.stem)):
            try:
                note = json.loads(path.read_text())
                files = [(str(name), *map(int, facts)) for name, *facts in note.get("files", ())]
                found[int(path.stem)] = note | {"skipped": list(note["skipped"]), "files": files}
            except (OSError, ValueError, TypeError, LookupError, AttributeError):
                continue
        return found

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
                notes = self.notes()
                for note in (notes[shard] for shard in self.done()):
                    rows = [(*row, None) for row in note["rows"]]
                    rows += [(index, name, None, reason) for index, name, reason in note["skipped"]]
                    lines.writerows(sorted(rows, key=lambda row: row[0]))
                text.detach()  # writes what it holds, and leaves the file open


def _of_others(path: Path) -> Iterator[Path]:
    """What is in a folder and was not left there by an extraction that came to nothing."""
    for inside in path.iterdir():
        ours = inside.name == DONE and inside.is_dir() and all(p.name == LOCK for p in inside.iterdir())
        if not ours and not inside.name.startswith(TEMPORARY):
            yield inside


def _file_names(blocks: Any) -> dict[str, str]:
    """{block: the name of its .npy file}"""
    plain = {block: re.sub(r"[^\w.-]", "_", block) for block in blocks}
    alone = len(set(plain.values())) == len(plain)
    return {block: f"{name}.npy" if alone else f"{i}-{name}.npy" for i, (block, name) in enumerate(plain.items())}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
