"""Writing files that are either there or not, and what the disk refuses, in words."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from classykit.errors import DeviceError, MissingDependencyError

TEMPORARY = ".tmp-"  # what names of files begin with that are being written


def pyarrow() -> tuple[Any, Any]:
    """(pyarrow, pyarrow.parquet); MissingDependencyError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingDependencyError(
            'Pooled features are kept as Parquet, by pyarrow, which is not installed: pip install "classykit[features]"'
            ", or pip install pyarrow. reduce=None needs numpy alone: it keeps whole features as .npy arrays."
        ) from None
    return pyarrow, pyarrow.parquet


@contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """A file to write to, which takes the place of ``path`` in one step once it is all on the disk."""
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """What the disk refuses, in words."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "The disk is full: make room" if full else "See to that"
        raise DeviceError(
            f"{path}: cannot {what}: {error.strerror or error}. {cure}, and make the same call again: what is written "
            f"stays, and it goes on from there."
        ) from error
