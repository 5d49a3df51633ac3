"""Features that `classykit.extract` wrote, to be read without loading them all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classykit.errors import BlockError, ConfigError, StateError, quoted, suggest
from classykit.extracting.disk import pyarrow
from classykit.extracting.feature_source import Skipped
from classykit.extracting.feature_store import COLUMNS, Store
from classykit.features import shape_text

if TYPE_CHECKING:
    import pandas


class Extraction:
    """The features in a folder that `classykit.extract` wrote, as far as they had come when this was made.

    Attributes:
        path: the folder.
        blocks: {block: shape of one image's features}: (C) where pooled.
        images: how many images the dataset has.
        done: how many of them have been dealt with, those that could not be read included.

    >>> Extraction("nowhere")
    Traceback (most recent call last):
    classykit.errors.StateError: There are no features of classykit in nowhere ...
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser()
        store = Store.open(self.path)
        if store is None:
            raise StateError(f"There are no features of classykit in {self.path} (seen from {os.getcwd()}).")
        self._store, self._shards = store, store.done()
        self.blocks = {block: layout.shape for block, layout in store.layouts.items()}
        self.images = store.images
        self.done = sum(len(store.numbers(shard)) for shard in self._shards)

    def __len__(self) -> int:
        """How many images there are features of."""
        return self.done - len(self.skipped)

    @property
    def complete(self) -> bool:
        """Whether every image of the dataset has been dealt with."""
        return self.done == self.images

    @cached_property
    def skipped(self) -> list[Skipped]:
        """The images that could not be read: (index, id, reason)."""
        return [Skipped(*entry) for note in self._notes for entry in note["skipped"]]

    def to_pandas(self) -> pandas.DataFrame:
        """A row an image, in the dataset's order: index, id, label and, where pooled, an array (C) a block."""
        import pandas

        if self._store.pooled:
            return self._table().to_pandas()
        rows = [row for note in self._notes for row in note["rows"]]
        table = pandas.DataFrame(rows, columns=list(COLUMNS))
        return table if self._store.manifest["label"] else table.drop(columns="label")

    def open(self) -> Any:
        """The features without reading them: where pooled a ``pyarrow.dataset.Dataset``, else {block: memory map}.

        A memory map is (images, *shape), also before all is done; row i is the dataset's image i, NaN where it could
        not be read.
        """
        if not self._store.pooled:
            files = self._store.files.items()
            with self._readable():
                return {block: np.load(self.path / name, mmap_mode="r") for block, name in files}
        pa, _ = pyarrow()
        from pyarrow.dataset import FileSystemDataset, ParquetFileFormat, dataset

        paths = [self._store.part(shard) for shard in self._shards]
        if not paths:
            raise StateError(f"{self.path} holds no features yet: none of {self.images:,} images is done.")
        try:
            str(self.path).encode()
        except UnicodeEncodeError:  # a path that pyarrow does not open by itself
            read = ParquetFileFormat()
            parts = [read.make_fragment(pa.PythonFile(path.open("rb"))) for path in paths]
            return FileSystemDataset(parts, parts[0].physical_schema, read)
        return dataset(list(map(str, paths)), format="parquet")

    def array(self, block: str | None = None) -> np.ndarray:
        """The features of one block (default: the only one).

        Returns where pooled (len(self), C), read into memory, a row for each row of `to_pandas`; else the memory map
        of `open`.
        """
        if block is None:
            if len(self.blocks) > 1:
                raise ConfigError(f"Say which block: there are {', '.join(map(repr, self.blocks))}.")
            block = next(iter(self.blocks))
        if block not in self.blocks:
            raise BlockError(
                f"There are no features of {quoted(block)}.{suggest(block, self.blocks)} There are those of "
                f"{', '.join(map(repr, self.blocks))}."
            )
        if not self._store.pooled:
            return self.open()[block]
        column = self._table([block]).column(block)
        parts = [np.asarray(chunk.flatten()) for chunk in column.chunks]
        return np.concatenate(parts).reshape(-1, *self.blocks[block])

    def _table(self, columns: list[str] | None = None) -> Any:
        with self._readable():
            return self.open().to_table(columns=columns)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except StateError:
            raise
        except (OSError, ValueError, EOFError) as error:  # pyarrow's own are of these kinds
            raise StateError(
                f"A part of {self.path} is damaged ({error}): the same call of extract finds it, and makes it again."
            ) from error

    @cached_property
    def _notes(self) -> list[dict[str, Any]]:
        notes = self._store.notes()
        return [notes[shard] for shard in self._shards]

    def __str__(self) -> str:
        of = ", ".join(f"{block} ({shape_text(shape)})" for block, shape in self.blocks.items())
        kind = f"pooled with {self._store.manifest['reduce']}, Parquet" if self._store.pooled else "whole, .npy"
        partly = "" if self.complete else f" (not complete: {self.done:,} of {self.images:,} done)"
        skipped = f"; {len(self.skipped):,} could not be read: see .skipped" if self.skipped else ""
        path = os.fsencode(self.path).decode(errors="replace")  # names of files need not be text
        return f"Features of {len(self):,} images{partly} in {path}: {of}; {kind}{skipped}"

    __repr__ = __str__
