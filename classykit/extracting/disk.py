"""Writing files that are either there or not, and what the disk refuses, in words."""

from __future__ import annotations

import errno
import logging
import os
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import portalocker

from classykit.errors import DeviceError, MissingDependencyError, StateError

log = logging.getLogger(__name__)

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


@contextmanager
def sole_writer(folder: Path, lock: Path) -> Iterator[None]:
    """Within the block no other extraction writes to ``folder``; StateError where one does already.

    A process that is killed lets go. On a disk that knows no locks, as some network's, nobody is kept out. A folder
    that is made here, and in which nothing but the lock is left, goes again.
    """
    made = [where for where in dict.fromkeys((lock.parent, folder)) if not where.exists()]
    with explained(folder, "make the folder"):
        lock.parent.mkdir(parents=True, exist_ok=True)
    with explained(folder, "write"):
        file = open(lock, "a")  # closed, be it by the garbage collector, it lets go
    locked = False
    try:
        portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        locked = True
    except portalocker.AlreadyLocked:
        file.close()
        raise StateError(
            f"Another extraction is writing to {folder}: wait until it is done, or stop it; then the same call goes on "
            f"from there. Or name another folder."
        ) from None
    except portalocker.LockException:
        log.warning("%s knows no locks: keep other extractions away from it", folder)
    try:
        yield
    finally:
        if locked and made and {p for where in made for p in where.iterdir()} <= {lock, lock.parent}:
            lock.unlink(missing_ok=True)
            for where in made:
                where.rmdir()
        file.close()


def checksum(path: Path, start: int = 0, stop: int | None = None) -> int:
    """A checksum (CRC-32) of a file's bytes from ``start`` to ``stop``: what damage changes."""
    found = 0
    with open(path, "rb") as file:
        file.seek(start)
        while chunk := file.read(min(2**20, 2**20 if stop is None else stop - file.tell())):
            found = zlib.crc32(chunk, found)
    return found
