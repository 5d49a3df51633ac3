"""classykit.probe: what can be read off each block, beside controls."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import TensorDataset

import classykit as ck
from classykit.errors import BlockError, ConfigError, DeviceError, HeadError, Interrupted, ShapeError

QUIET = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def found(lite, digits):
    return ck.probe(lite, *digits, ["block1-1", "block3-2", "trunk_output"], **QUIET)


def test_it_is_scikit_learns(found, lite, digits):
    """StandardScaler and LogisticRegression on captured features, to one point."""
    x, y = digits
    features = ck.capture(lite, x, "block3-2")["block3-2"].mean((2, 3)).numpy()
    split = StratifiedShuffleSplit(3, test_size=0.33, random_state=0).split(features, y)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    wanted = [fitted.fit(features[a], y[a]).score(features[b], y[b]) for a, b in split]
    assert abs(found.blocks["block3-2"].accuracy - np.mean(wanted)) < 0.01
    assert abs(found.blocks["block3-2"].stderr - np.std(wanted, ddof=1) / math.sqrt(3)) < 0.01
    assert found.blocks["block3-2"].dimensions == features.shape[1]


def test_the_table(found, lite):
    table = found.to_pandas()
    assert list(table) == ["block", "accuracy", "stderr", "dimensions", "macs_so_far"]
    assert table.block.tolist() == ["block1-1", "block3-2", "trunk_output"]
    inspection = ck.inspect(lite, (3, 32, 32))
    macs = np.cumsum([block.macs for block in inspection.blocks])
    names = [block.name for block in inspection.blocks]
    assert table.macs_so_far.tolist() == [macs[names.index(name)] for name in table.block]
    assert found.best == table.block[table.accuracy.idxmax()]
    assert found.pictures == 300 and found.classes == 10 and found.notes == ()


def test_controls(found, digits):
    _, y = digits
    assert set(found.controls) == {"chance", "pixels", "random"}
    assert float(found.controls["chance"]) == max(y.bincount()) / len(y)
    assert found.controls["pixels"].dimensions == 3 * 32 * 32 and found.controls["pixels"].accuracy > 0.8
    assert list(found.controls["random"]) == list(found.blocks)
    assert found.blocks["block3-2"].accuracy > 0.6


def test_it_is_said(found):
    text, page = str(found), found._repr_html_()
    for words in ("block3-2", "random weights", "raw pixels", "chance", "±"):
        assert words in text and words in page
    figure = found.plot()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"random weights", "raw pixels", "chance", "best", found.name} == set(labels)


def test_permuted_labels_give_chance(lite, digits):
    x, y = digits
    mixed = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]
    found = ck.probe(lite, x, mixed, ["block3-2"], controls=(), repeats=5, **QUIET)
    assert abs(found.blocks["block3-2"].accuracy - 0.1) < 0.07
    assert set(found.controls) == {"chance"}


def test_it_says_what_follows(found):
    assert 1 <= len(found.says) <= 4 and found.says[0].startswith(f"Most is read off {found.best}: ")
    assert not found.untrained and found.tested == 99


class TestAsItGoes:
    """Callbacks while it runs, an interrupt that keeps what was read, a limit."""

    @pytest.fixture
    def net(self):
        torch.manual_seed(0)
        return ck.build_model({"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True})

    def test_it_is_told_of_pictures_and_blocks(self, net, digits):
        passes, seen = [], []
        found = ck.probe(
            net, *digits, batch_size=100, on_pictures=lambda *of: passes.append(of), on_block=seen.append, **QUIET
        )
        assert passes == [(100, 300), (200, 300), (300, 300)] * 2
        blocks = len(net.block_names)
        grown = [(len(one.blocks), "pixels" in one.controls, len(one.controls.get("random", {}))) for one in seen]
        own = [(i + 1, False, 0) for i in range(blocks)]
        assert grown == [*own, (blocks, True, 0), *((blocks, True, i + 1) for i in range(blocks))]
        assert str(seen[-1]) == str(found)

    @pytest.mark.parametrize("after", [1, 2, 5])
    def test_what_was_read_is_kept_when_it_is_interrupted(self, net, digits, after):
        seen = []

        def stop(so_far):
            seen.append(so_far)
            if len(seen) == after:
                raise KeyboardInterrupt

        with pytest.raises(Interrupted, match="Interrupted") as caught:
            ck.probe(net, *digits, on_block=stop, **QUIET)
        kept = caught.value.result
        assert kept.blocks == seen[-1].blocks and kept.controls == seen[-1].controls
        assert kept.notes[-1].startswith("Interrupted") and kept.plot() is not None and len(kept.says) >= 2

    def test_nothing_is_kept_before_the_first_block(self, net, digits):
        def stop(done, of):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            ck.probe(net, *digits, on_pictures=stop, **QUIET)
        assert not isinstance(caught.value, Interrupted)

    def test_a_limit_takes_pictures_from_everywhere(self, net, digits):
        x, y = digits
        order = y.argsort(stable=True)
        x, y = x[order], y[order]  # as a folder has them
        picked = np.linspace(0, 299, 60).round().astype(int)
        wanted = ck.probe(net, x[picked], y[picked], "block0-0", **QUIET)
        for data, labels in ((x, y), (x.numpy(), y.tolist()), (list(x), y), (TensorDataset(x, y), None)):
            found = ck.probe(net, data, labels, "block0-0", limit=60, **QUIET)
            assert found.blocks == wanted.blocks and found.pictures == 60 and found.classes == 10
        assert ck.probe(net, x[:30], list("ab") * 15, "block0-0", limit=100, **QUIET).pictures == 30


class TestAsAHead:
    """What was learnt of a block, attached to it, gives the figures of its split."""

    @pytest.mark.parametrize(
        "config, block, pool",
        [
            ({"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}, "block1-0", "mean"),
            ({"name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2,
              "hidden_dim": 16, "mlp_dim": 16}, "layer_1", "mean"),
            ({"name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2,
              "hidden_dim": 16, "mlp_dim": 16}, "layer_1", "class"),
            ({"name": "mlp", "input_dim": 3072, "output_dim": 10, "hidden_dims": [400]}, "hidden0", None),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("classes", [10, 2])
    def test_it_gives_the_accuracy_of_the_probe(self, config, block, pool, classes, digits):
        torch.manual_seed(0)
        net = ck.build_model(config).eval()
        x, y = digits
        x, y = (x[:120].flatten(1) if config["name"] == "mlp" else x[:120]), y[:120] % classes
        found = ck.probe(net, x, y, block, pool=pool, controls=(), repeats=1, **QUIET)
        head = net.attach_head(block, found.head(block, "told"))
        held_out = next(StratifiedShuffleSplit(1, test_size=0.33, random_state=0).split(x.flatten(1), y))[1]
        with torch.no_grad():
            right = (net(x)["told"] if len(net.get_heads()) > 1 else net(x)).argmax(1) == y
        assert right[held_out].float().mean().item() == pytest.approx(found.blocks[block].accuracy, abs=1e-6)
        assert head.unique_id == "told" and not head.is_untrained

    def test_where_there_is_none(self, digits):
        net = ck.build_model({"name": "resnext", "num_blocks": [1], "init_planes": 8, "small_input": True})
        found = ck.probe(net, *digits, "block0-0", pool=None, controls=(), limit=60, **QUIET)
        with pytest.raises(HeadError, match="as they were pooled"):
            found.head("block0-0")
        with pytest.raises(BlockError, match="was not probed"):
            found.head("block0-1")


def test_nothing_of_the_model_changes(digits, everything, assert_same):
    model = ck.build_model({"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}).train()
    before = everything(model)
    ck.probe(model, *digits, **QUIET)
    assert_same(before, everything(model))


def test_the_same_for_the_same_seed(lite, digits):
    one, again, other = (ck.probe(lite, *digits, "block2-0", seed=seed, **QUIET) for seed in (0, 0, 1))
    assert str(one) == str(again) != str(other)


class TestWhatIsGiven:
    """Arrays, tensors, pictures, folders and Datasets; labels as numbers or names, some not known."""

    @pytest.fixture
    def net(self):
        torch.manual_seed(0)
        return ck.build_model({"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True})

    @pytest.fixture
    def wanted(self, net, digits):
        return ck.probe(net, *digits, "block1-0", controls=(), **QUIET).blocks

    def test_arrays_and_datasets(self, net, digits, wanted):
        x, y = digits
        for data, labels in ((x.numpy(), y.numpy()), (TensorDataset(x, y), None), (list(x), y.tolist())):
            assert ck.probe(net, data, labels, "block1-0", controls=(), **QUIET).blocks == wanted

    def test_names_and_what_is_not_known(self, net, digits):
        x, y = digits
        names = [None if i < 40 else "abcdefghij"[label] for i, label in enumerate(y)]
        found = ck.probe(net, x, names, "block1-0", **QUIET)
        assert found.pictures == 260 and found.controls["random"]["block1-0"].accuracy > 0.2

    def test_a_folder(self, net, digits, tmp_path):
        from PIL import Image

        for i, (x, y) in enumerate(zip(*digits, strict=True)):
            folder = tmp_path / f"digit {int(y)}"
            folder.mkdir(exist_ok=True)
            if i < 100:
                Image.fromarray(((x + 1) * 127.5).byte().permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
        (tmp_path / "digit 0" / "broken.png").write_bytes(b"not a picture")
        with pytest.warns(RuntimeWarning, match="1 pictures could not be read"):
            found = ck.probe(net, tmp_path, blocks="block1-0", test=0.4, **QUIET)
        assert found.pictures == 100 and found.classes == 10 and "could not be read" in found.notes[-1]

    def test_a_foreign_model_and_a_head(self, digits):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU()).eval()
        found = ck.probe(model, *digits, **QUIET)
        assert found.blocks and set(found.controls["random"]) == set(found.blocks)
        net = ck.build_model({"name": "resnext", "num_blocks": [1], "init_planes": 8, "small_input": True})
        net.attach_head("block0-0", "linear_probe", unique_id="mine", num_classes=5)
        one = ck.probe(net, *digits, ["mine", "block0-0"], controls=["pixels"], **QUIET)
        assert one.blocks["mine"].dimensions == 5
        with pytest.raises(BlockError):
            ck.probe(net, *digits, ["mine"], **QUIET)  # the network without what it has learnt has no such head

    def test_tokens(self, digits):
        vit = ck.build_model(
            "vision_transformer", image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8
        )
        dimensions = {
            pool: ck.probe(vit, *digits, "layer_0", pool=pool, controls=(), **QUIET).blocks["layer_0"].dimensions
            for pool in ("mean", "class", None)
        }
        assert dimensions == {"mean": 8, "class": 8, None: 17 * 8}

    @pytest.mark.parametrize(
        "keys, error, words",
        [
            ({"pool": "max"}, ConfigError, 'pool is "mean"'),
            ({"controls": ["noise"]}, ConfigError, "controls are"),
            ({"controls": "pixels"}, ConfigError, "controls are"),
            ({"test": 0}, ConfigError, "test is a share"),
            ({"test": 1.5}, ConfigError, "test is a share"),
            ({"repeats": 0}, ConfigError, "repeats is"),
            ({"seed": -1}, ConfigError, "seed is"),
            ({"limit": 1}, ConfigError, "limit is"),
            ({"limit": 10, "y": [0, 1]}, ShapeError, "300 pictures and 2 labels"),
            ({"batch_size": True}, ConfigError, "batch_size is"),
            ({"blocks": "block9-9"}, BlockError, "block9-9"),
            ({"y": [0] * 300}, ConfigError, "one class"),
            ({"y": [0, 1]}, ShapeError, "300 pictures and 2 labels"),
            ({"y": None}, ConfigError, "bring no labels"),
            ({"y": [0.5] * 300}, ConfigError, "whole numbers or names"),
            ({"y": ["a", 1] * 150}, ConfigError, "one or the other"),
        ],
    )
    def test_bad_input(self, net, digits, keys, error, words):
        x, y = digits
        with pytest.raises(error, match=words):
            ck.probe(net, x, **{"y": y, "blocks": "block0-0", "controls": (), **QUIET, **keys})

    def test_no_weights(self, digits):
        with pytest.raises(ConfigError, match="description"):
            ck.probe("resnet18", *digits)
        with pytest.raises(DeviceError, match="meta"):
            ck.probe(ck.build_model("resnet18", device="meta"), *digits)

    def test_a_block_that_overflows(self, digits):
        class Wild(nn.Module):
            def forward(self, x):
                return x / 0

        with pytest.raises(ShapeError, match="not finite"):
            ck.probe(nn.Sequential(nn.Conv2d(3, 4, 3), Wild()), *digits, ["1"], controls=(), **QUIET)
