"""Archives that unpack to far more than they are: told by their directory, before anything is unpacked."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from classykit import formats

#: what weights are packed to at best, pruned ones, and what any machine has room for
RATIO, HARMLESS = 20, 64 * 2**20


def bloated(path: str | os.PathLike) -> str | None:
    """What is wrong with a file of ``torch.save``, a zip archive, that is far larger unpacked; None where it is not.

    torch does not pack what it saves. Whoever does may put gigabytes of zeros into a few megabytes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with zipfile.ZipFile(f"{folder}/zeros.pt", "w", zipfile.ZIP_DEFLATED) as archive:
    ...         archive.writestr("zeros", bytes(100_000_000))
    ...     bloated(f"{folder}/zeros.pt")
    'it would unpack from 97.3 kB to 100 MB, which weights do not'
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(inside.file_size for inside in archive.infolist())
        packed = path.stat().st_size
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return None  # no archive, or a damaged one: for whoever reads it
    if unpacked <= max(RATIO * packed, HARMLESS):
        return None
    return f"it would unpack from {formats.size(packed)} to {formats.size(unpacked)}, which weights do not"
