"""classykit.archives: what unpacks to gigabytes is refused before it is unpacked."""

import resource
import zipfile

import pytest
import torch

import classykit as ck
from classykit.archives import HARMLESS, bloated
from classykit.errors import StateError, WeightsError


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A file of torch.save with 3 GB of zeros in 3 MB."""
    path = tmp_path_factory.mktemp("packed") / "zeros.pt"
    torch.save({"state_dict": {"w": torch.zeros(2)}}, path)
    with zipfile.ZipFile(path) as archive:
        inside = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in inside.items():
            if not name.endswith("data/0"):
                archive.writestr(name, content)
                continue
            with archive.open(name, "w", force_zip64=True) as file:
                for _ in range(3000):
                    file.write(bytes(10**6))
    assert path.stat().st_size < 3.1e6
    return path


def test_it_is_refused_before_it_is_unpacked(packed):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match=r"would unpack from 2.9\d MB to 3.00 GB"):
        ck.load_pretrained("resnet18", source=packed)
    with pytest.raises(StateError, match=r"is not read: it would unpack from"):
        ck.load_checkpoint(packed)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "in kB"


def test_what_torch_saves_is_not(tmp_path):
    model = ck.build_model({"name": "resnet18", "init_planes": 8})
    for parameter in model.parameters():
        parameter.data.zero_()  # as compressible as can be
    ck.save_checkpoint(model, tmp_path / "model.pt")
    assert bloated(tmp_path / "model.pt") is None
    assert ck.load_checkpoint(tmp_path / "model.pt").config == model.config
    with zipfile.ZipFile(tmp_path / "model.pt") as archive:
        inside = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(tmp_path / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in inside.items():
            archive.writestr(name, content)
    assert bloated(tmp_path / "model.pt") is None and HARMLESS > 1e6
    assert ck.load_checkpoint(tmp_path / "model.pt").config == model.config, "packed by somebody, and small"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_for_others_to_say(content, tmp_path):
    (tmp_path / "file.pt").write_bytes(content)
    assert bloated(tmp_path / "file.pt") is None
    with pytest.raises(StateError):
        ck.load_checkpoint(tmp_path / "file.pt")
    assert bloated(tmp_path / "gone.pt") is None
