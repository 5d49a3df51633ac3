"""Two hundred models of five libraries: what is counted, how they are divided, and that nothing of them changes."""

from collections import Counter
from types import SimpleNamespace

import foreign
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import classykit as ck

#: {library: what came of each of its models}, filled by the tests below, for the table at the end
SEEN: dict[str, list[SimpleNamespace]] = {}
#: kinds of parts of which torch's own counter makes something else on the meta device: see `counted_by_torch`
RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)


class Counting(TorchDispatchMode):
    """torch's formulas over all operations of a pass, none left out, whatever the blocks."""

    def __init__(self):
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        self.flops += 0 if formula is None else formula(*args, **(kwargs or {}), out_val=out)
        return out


def counted_by_torch(one):
    """The MACs of the same pass, on the meta device and unfolded, by torch's formulas; None where there is none."""
    if one.found is None or one.found.note or any(isinstance(m, RECURRENT) for m in one.model.modules()):
        return None
    twin, x = one.found._make(one.found.batch_size, None)
    with Counting() as counting, torch.no_grad():
        ck.Inputs.of(x).call(twin)
    return counting.flops // 2


@pytest.mark.parametrize("library", foreign.LIBRARIES)
def test_a_library(library):
    seen = SEEN[library] = [foreign.looked_at(library, name) for name in foreign.LIBRARIES[library][1]]
    for one in seen:
        counted = counted_by_torch(one)
        assert counted is None or counted == one.found.macs, one.name
        one.model = None  # and its memory
    wrong = {one.name: one.wrong or one.words for one in seen if one.wrong or one.words}
    assert len(wrong) <= 0.06 * len(seen), wrong
    assert not any("classykit/" in one.words for one in seen)


def test_nearly_all_of_them(capsys):
    """97 of a hundred list 4 to 80 blocks, folded where there are more, with under a tenth of the work outside."""
    if SEEN.keys() != foreign.LIBRARIES.keys():
        pytest.skip("goes with the tests of all libraries")
    every = [one for seen in SEEN.values() for one in seen]
    with capsys.disabled():
        print(f"\n\n{'library':30}{'tried':>7}{'right':>7}{'refused in words':>18}")
        for library, seen in SEEN.items():
            right = sum(not one.wrong and not one.words for one in seen)
            print(f"{library:30}{len(seen):7}{right:7}{sum(bool(one.words) for one in seen):18}")
        for one in every:
            if one.wrong or one.words:
                print(f"  {one.name}: {one.wrong or one.words[:200]}")
    assert len(every) >= 200
    assert sum(not one.wrong and not one.words for one in every) >= 0.97 * len(every)


#: some of each library, of all kinds: for what takes weights, and therefore time
FEW = [
    ("torchvision", "shufflenet_v2_x0_5"), ("torchvision", "squeezenet1_0"), ("torchvision", "swin_t"),
    ("torchvision", "lraspp_mobilenet_v3_large"), ("torchvision", "ssdlite320_mobilenet_v3_large"),
    ("timm", "cait_xxs24_224"), ("timm", "convnext_atto"), ("timm", "ghostnet_050"), ("timm", "levit_128s"),
    ("timm", "mobilevitv2_050"), ("timm", "regnetx_002"), ("timm", "xcit_nano_12_p8_224"),
    ("transformers", "mobilevit"), ("transformers", "segformer"), ("transformers", "pvt_v2"),
    ("segmentation_models_pytorch", "Unet on mobilenet_v2"), ("segmentation_models_pytorch", "FPN on resnet18"),
    ("vit_pytorch", "CrossViT"), ("vit_pytorch", "NesT"), ("vit_pytorch", "SimpleViT 1d"),
    ("vit_pytorch", "ViT with token sampling"),
]  # fmt: skip


@pytest.mark.parametrize("library, name", FEW)
def test_nothing_of_them_changes(library, name, everything, assert_same):
    model, keys = foreign.built(library, name, meta=False)
    model.train()  # which a pass in eval mode must put back
    adopted = ck.ClassyModel.from_model(model, keys.get("input_shape"), example=keys.get("example"))
    x = ck.Inputs.of(keys["example"]) if "example" in keys else torch.rand(2, *adopted.input_shape)
    before = everything(model)
    found = ck.inspect(model, **keys).require()
    blocks = [b.name for b in found.trunk]
    assert adopted.block_names == [b for b in blocks if b in adopted.block_names] and len(blocks) >= 4
    adopted.block_features(blocks[:2])
    ck.capture(model, x, blocks[len(blocks) // 2])
    ck.run(model, x, device="cpu", dtype="float32", progress=False)
    assert_same(before, everything(model))


def test_unused_weights_are_called_unused():
    model, keys = foreign.built("torchvision", "googlenet", meta=False)
    found = ck.inspect(model, **keys)  # in eval mode its auxiliary classifiers do not run
    assert found["(unused)"].params == sum(p.numel() for aux in (model.aux1, model.aux2) for p in aux.parameters())
    assert found.params == sum(p.numel() for p in model.parameters()) and found["(unused)"].macs == 0


def test_what_is_not_counted_is_said():
    model, keys = foreign.built("vit_pytorch", "SimpleViT with fft")
    assert "fft" in " ".join(ck.inspect(model, **keys).uncounted)
    names = Counter()
    for library, name in [
        ("timm", "vit_tiny_patch16_224"),
        ("torchvision", "swin_v2_t"),
        ("transformers", "segformer"),
    ]:
        names.update(ck.inspect(foreign.built(library, name)[0]).uncounted)
    assert not names
