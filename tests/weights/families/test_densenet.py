"""classykit.weights.families.densenet: torchvision's DenseNets, old files among them."""

import pytest
import torch
from sources import assert_float64_parity, models

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights import keymaps
from classykit.weights.families import densenet


def test_old_densenet_files_write_dots():
    keys = ["features.denseblock1.denselayer2.norm.1.weight", "features.denseblock4.denselayer16.conv2.weight"]
    renamed = keymaps.rename(dict.fromkeys(keys), densenet.RULES, "a file")
    assert list(renamed) == [
        "features.block_0.block0-1.norm-1.weight", "features.block_3.block3-15.conv-2.weight",
    ]  # fmt: skip


def test_old_densenet_files(tmp_path, randomise):
    source = randomise(models.densenet121(num_classes=3)).eval()
    state = {k: v for k, v in source.state_dict().items() if not k.endswith("num_batches_tracked")}
    old = {k.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): v for k, v in state.items()}
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "d.pth")
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(
        ck.load_pretrained("densenet121", source=tmp_path / "d.pth")(x), source(x), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(
    "name",
    [
        "densenet121",
        "densenet161",
        pytest.param("densenet169", marks=pytest.mark.slow),
        pytest.param("densenet201", marks=pytest.mark.slow),
    ],
)
def test_the_logits_are_the_sources(name, randomise, parity):
    source = randomise(getattr(models, name)(num_classes=11)).eval()
    model = ck.load_pretrained(name, source=source)
    assert model.config["name"] == name and not model.training
    assert model.config["heads"][0]["fork_block"] == model.block_names[-1]
    assert_float64_parity(model, source, f"torchvision {name}", parity)
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert next(source.parameters()).abs().sum() > 0, "the weights are copies"


def test_another_densenet_is_refused():
    with pytest.raises(WeightsError, match=r"lacks .*block2-24"):
        ck.load_pretrained("densenet169", source=models.densenet121())


def test_sizes_are_read_from_the_weights(tmp_path):
    mine = ck.build_model("densenet", num_blocks=[2, 3], init_planes=8, growth_rate=4, expansion=2)
    torch.save(mine.state_dict(), tmp_path / "mine.pth")
    config = ck.load_pretrained("densenet", source=tmp_path / "mine.pth").config
    assert [config[k] for k in ("num_blocks", "init_planes", "growth_rate", "expansion")] == [[2, 3], 8, 4, 2]
