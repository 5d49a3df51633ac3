"""Equal blocks are worked out once: what is counted is the same as when each of them is run."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.inspecting.folding import outline, redraw, structure_key
from classykit.inspecting.tracer import trace
from classykit.meta import meta_twin

MODELS = ["resnet50", "vit_b_16", "regnet_y_800mf", "efficientnet_b0", "densenet121", "r3d_18"]


OTHERS = ["torchvision swin_t", "torchvision convnext_tiny", "torchvision mobilenet_v2", "timm mixer_s32_224"]


@pytest.fixture(scope="module", params=[*MODELS, *OTHERS])
def twins(request):
    """Makes twins of one model."""
    package, _, name = request.param.rpartition(" ")
    if package == "torchvision":
        module = getattr(pytest.importorskip("torchvision.models"), name)()
    elif package == "timm":
        module = pytest.importorskip("timm").create_model(name)
    else:
        module = ck.build_model(name, device="meta")
    model = ck.ClassyModel.from_model(meta_twin(module)) if package else module.eval()
    return lambda: meta_twin(model)


def test_it_counts_the_same(twins):
    seen = []
    for fold in (True, False):
        twin = twins()
        seen.append(trace(twin, twin.block_paths(), twin.example_input(1, "meta"), fold=fold))
    folded, plain = seen
    assert list(folded.blocks) == list(plain.blocks) == list(twin.block_paths()) != []
    assert folded.uncounted == plain.uncounted
    for name, block in plain.blocks.items():
        other = folded.blocks[name]
        assert block.cost == other.cost, name
        assert [p.shape for p in block.params] == [p.shape for p in other.params]
        assert outline(block.output) == outline(other.output) and outline(block.input) == outline(other.input)
    assert outline(folded.output) == outline(plain.output)


def test_repeated_blocks_are_not_run_again():
    runs = []

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.fc = nn.Linear(width, width)

        def forward(self, x):
            runs.append(x.shape)
            return self.fc(x).relu()

    for fold, expected in ((True, 1), (False, 6)):
        twin = ck.ClassyModel.from_model(meta_twin(nn.Sequential(*(Block(8) for _ in range(6)))))
        paths = twin.block_paths()
        runs.clear()
        trace(twin, paths, torch.empty(1, 8, device="meta"), fold=fold)
        assert len(runs) == expected


@pytest.mark.parametrize("one, other", [
    (nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3, stride=2)),
    (nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3, padding=1)),
    (nn.Linear(3, 3), nn.Linear(3, 3, bias=False)),
    (nn.Linear(3, 3), nn.Linear(3, 3, dtype=torch.float64)),
    (nn.Sequential(nn.ReLU()), nn.Sequential(nn.GELU())),
    (nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU())),
    (nn.Dropout(0.1), nn.Dropout(0.1).eval()),
    (nn.LeakyReLU(1), nn.LeakyReLU(True)),
])  # fmt: skip
def test_what_differs_has_another_fingerprint(one, other):
    assert structure_key(one) != structure_key(other)


def test_what_is_equal_has_the_same_fingerprint():
    def make():
        return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.TransformerEncoderLayer(8, 2))

    assert structure_key(make()) == structure_key(make()) is not None


def test_hooks_inside_may_do_anything():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_forward_hook(lambda m, a, o: None)
    assert structure_key(model) is None


def test_a_part_that_is_listed_itself_makes_a_block_none_to_fold():
    block = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    assert structure_key(block, other_than={id(block)}) == structure_key(block) is not None
    assert structure_key(block, other_than={id(block[1][0])}) is None


def test_outlines():
    value = {"a": [torch.empty(2, 3, device="meta"), 5], "b": (torch.empty(3, 2, device="meta").T, None)}
    again = redraw(outline(value))
    assert again["a"][1] == 5 and again["b"][1] is None
    assert again["b"][0].stride() == (1, 2) and again["a"][0].shape == (2, 3)
    x = torch.empty(2, 3, device="meta")
    assert outline([x, x.view(6)]) is None and outline(x, other_than=[x]) is None and outline(object()) is None
