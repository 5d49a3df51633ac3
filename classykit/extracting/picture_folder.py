"""A folder of pictures as a Dataset: sorted, with paths as ids and sub-folders as labels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from classykit.errors import ImageError, quoted
from classykit.extracting.digests import digest_of_file

#: The files that a folder of pictures is searched for, in small or capital letters.
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")

SAMPLED = 256  # files whose content is looked at, to tell one folder from another


class Folder(Dataset):
    """The pictures in a folder and the folders in it, sorted by their paths.

    The id is the path relative to the folder, with ``/``; the label is the name of the sub-folder that it begins
    with, None for pictures that lie in the folder itself. Hidden files and folders are left out.
    """

    def __init__(self, root: str | os.PathLike):
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            what = "a file" if self.root.exists() else "not there"
            raise ImageError(f"A folder of pictures is wanted: {str(root)!r} is {what} (seen from {os.getcwd()}).")
        self.ids = sorted(_pictures(self.root))
        if not self.ids:
            others = sorted(p.name for p in self.root.iterdir())
            found = f"it holds {', '.join(others[:5])}{', ...' if len(others) > 5 else ''}" if others else "it is empty"
            raise ImageError(
                f"There is no picture in {quoted(str(root))} or the folders in it: {found}. "
                f"Looked for are {', '.join(SUFFIXES)}."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        name = self.ids[index]
        label = name.split("/")[0] if "/" in name else None
        return {"image": self.root / name, "id": name, "label": label}

    def fingerprint(self) -> str:
        """Of the names and the sizes of the files, and of what is in some of them.

        Links that lead nowhere, and files that have gone, count as such.
        """
        digest = hashlib.sha256()
        step = max(len(self.ids) // SAMPLED, 1)
        for i, name in enumerate(self.ids):
            try:
                size = str(os.stat(self.root / name).st_size)
                inside = digest_of_file(self.root / name) if i % step == 0 else b""
            except OSError:
                size, inside = "gone", b""
            digest.update(f"{name}\0{size}\0".encode(errors="surrogateescape") + inside)
        return digest.hexdigest()


def _pictures(root: Path) -> Iterator[str]:
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        try:
            about = os.stat(folder)
        except OSError:  # gone meanwhile
            continue
        if (about.st_dev, about.st_ino) in seen:  # a link that leads in a circle
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        inside = Path(folder).relative_to(root)
        yield from ((inside / f).as_posix() for f in files if f.lower().endswith(SUFFIXES) and not f.startswith("."))
