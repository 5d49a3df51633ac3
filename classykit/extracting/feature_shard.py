"""One shard of features, a fixed range of a dataset, as it is written."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from classykit.errors import ConfigError, ShapeError, quoted
from classykit.extracting.disk import explained, pyarrow, replacing
from classykit.extracting.feature_source import ItemInfo, Skipped
from classykit.extracting.feature_store import Store

_LABELS = {"int": int, "float": float, "str": str}


class Shard:
    """One shard that is being written."""

    def __init__(self, store: Store, number: int):
        self.store, self.number = store, number
        self.rows: list[ItemInfo] = []
        self.skipped: list[Skipped] = []
        self.features: dict[str, list[np.ndarray]] = {block: [] for block in store.layouts}

    def add(self, rows: list[ItemInfo], features: dict[str, np.ndarray]) -> None:
        """The features {block: (n, ...)} of n rows."""
        for block, values in features.items():
            wanted = self.store.layouts[block].shape
            if values.shape[1:] != wanted:
                cure = "" if self.store.pooled else ', or pool them with reduce="mean"'
                raise ShapeError(
                    f"{block!r} gives {values.shape[1:]} for image {rows[0].index} ({rows[0].id}), and {wanted} for "
                    f"the first: all must be of one shape. Bring the images to one size{cure}."
                )
            if self.store.pooled:
                self.features[block].append(values.copy())  # a model may use its output's memory again
            else:
                self._write(block, [row.index for row in rows], values)
        self.rows += [row._replace(label=self._label(row)) for row in rows]

    def skip(self, skipped: list[Skipped]) -> None:
        """These could not be read."""
        if skipped and not self.store.pooled:
            for block, layout in self.store.layouts.items():
                dtype = np.dtype(layout.dtype)
                blank = np.full((1, *layout.shape), np.nan if dtype.kind == "f" else 0, dtype)
                for entry in skipped:
                    self._write(block, [entry.index], blank)
        self.skipped += skipped

    def finish(self) -> None:
        """All is there: bring it to the disk, then note that it is."""
        store = self.store
        with explained(store.path, "write"):
            if store.pooled:
                with replacing(store.part(self.number)) as file:
                    self._parquet(file)
            else:
                for name in store.files.values():
                    with open(store.path / name, "rb+") as file:
                        os.fsync(file.fileno())
            names = [store.part(self.number).name] if store.pooled else store.files.values()
            files = [store.describe(name, self.number) for name in names]
            note = {"images": len(self.rows), "skipped": self.skipped, "files": files}
            if not store.pooled:
                note["rows"] = self.rows
            with replacing(store.note_of(self.number)) as file:
                file.write(json.dumps(note).encode())

    def _write(self, block: str, numbers: list[int], values: np.ndarray) -> None:
        # by way of the file: where the disk is full, writing to a memory map kills the process
        with explained(self.store.path, "write"), open(self.store.path / self.store.files[block], "rb+") as file:
            for number, value in zip(numbers, values, strict=True):
                file.seek(self.store.offsets[block] + number * value.nbytes)
                file.write(value.tobytes())

    def _parquet(self, file: Any) -> None:
        pa, pq = pyarrow()
        columns = {
            "index": pa.array([r.index for r in self.rows], pa.int64()),
            "id": pa.array([r.id for r in self.rows], pa.string()),
        }
        kind = self.store.manifest["label"]
        if kind is not None:
            types = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}
            columns["label"] = pa.array([r.label for r in self.rows], types[kind])
        for block, layout in self.store.layouts.items():
            (width,) = layout.shape
            parts = self.features[block] or [np.empty((0, width), layout.dtype)]
            flat = pa.array(np.concatenate(parts).reshape(-1))
            columns[block] = pa.FixedSizeListArray.from_arrays(flat, width)
        # of features hardly any value occurs twice: a dictionary of them only costs time
        pq.write_table(pa.table(columns), file, use_dictionary=["label"] if kind is not None else False)

    def _label(self, row: ItemInfo) -> Any:
        kind = self.store.manifest["label"]
        if row.label is None or label_type(row.label) == kind:
            return row.label
        if kind == "float" and isinstance(row.label, int):
            return float(row.label)
        raise ConfigError(
            f"Image {row.index} ({row.id}) has the label {quoted(row.label)}, and those of the first are "
            f"{kind or 'none'}: give labels of one type."
        )


def label_type(label: Any) -> str | None:
    """The name of a label's type, None for none."""
    return next((name for name, kind in _LABELS.items() if isinstance(label, kind)), None)
