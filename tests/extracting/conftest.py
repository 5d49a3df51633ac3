"""Folders of pictures, and one of features."""

import numpy as np
import pytest
import torch
from extractions import run
from PIL import Image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures, some of which are damaged, hidden or none."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("dog/b.png", "dog/a.JPG", "cat/deep/er/c.png", "cat/d.webp", "top.bmp"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8)).save(root / name)
    whole = (root / "dog/b.png").read_bytes()
    (root / "dog/cut.png").write_bytes(whole[:200])
    (root / "dog/empty.jpg").write_bytes(b"")
    (root / "dog/notes.txt").write_text("no picture")
    (root / "dog/._b.png").write_bytes(whole)
    (root / ".hidden").mkdir()
    (root / ".hidden/e.png").write_bytes(whole)
    (root / "dog/circle").symlink_to(root, target_is_directory=True)
    return root


@pytest.fixture
def begun(small, tmp_path):
    model, _ = small
    x = torch.rand(6, 3, 32, 32)
    return run(model, x, "block0-0", tmp_path / "out", shard_size=4), model, x
