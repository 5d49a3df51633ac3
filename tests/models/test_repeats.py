"""classykit.models.repeats: what is copied is what would have been built."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.inspecting.folding import structure_key
from classykit.models.repeats import Repeats

NAMES = ["regnet_y_800mf", "regnet_z_500mf", "resnet18", "resnet50", "resnext50_32x4d", "vit_b_32"]


def built_one_by_one(name, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Repeats, "__call__", lambda self, kind, *args: kind(*args))
        return ck.build_model(name, device="meta")


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_the_same(name, monkeypatch):
    ours, theirs = ck.build_model(name, device="meta"), built_one_by_one(name, monkeypatch)
    for path in ours.block_paths().values():
        assert structure_key(ours.get_submodule(path)) == structure_key(theirs.get_submodule(path)) is not None
    assert [path for path, _ in ours.named_modules()] == [path for path, _ in theirs.named_modules()]
    outlines = [{k: (t.shape, t.dtype, t.device) for k, t in m.state_dict().items()} for m in (ours, theirs)]
    assert outlines[0] == outlines[1]
    assert [p.requires_grad for p in ours.parameters()] == [p.requires_grad for p in theirs.parameters()]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_shared(name):
    model = ck.build_model(name, device="meta")
    modules = list(model.modules())
    assert len(modules) == sum(1 for _ in model.named_modules(remove_duplicate=False))
    tensors = [t for m in modules for t in (*m._parameters.values(), *m._buffers.values()) if t is not None]
    assert len({t.untyped_storage()._cdata for t in tensors}) == len(tensors)
    held = [id(value) for m in modules for value in vars(m).values() if isinstance(value, (dict, set))]
    assert len(set(held)) == len(held)


def test_with_weights_each_is_drawn():
    make = Repeats()
    a, b = make(nn.Linear, 3, 3), make(nn.Linear, 3, 3)
    assert not torch.equal(a.weight, b.weight)


def test_only_the_same_again_is_copied():
    with torch.device("meta"):
        make, made = Repeats(), []
        kinds = [(nn.Linear, 2, 3), (nn.Linear, 2, 3), (nn.Linear, 2, 4), (nn.Bilinear, 2, 4, 3), (nn.ReLU,)]
        made = [make(*kind) for kind in kinds]
    assert [type(m) for m in made] == [kind[0] for kind in kinds]
    assert [tuple(m.weight.shape) for m in made[:3]] == [(3, 2), (3, 2), (4, 2)]
