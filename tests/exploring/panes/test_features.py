"""classykit.exploring.panes.features: the unit that is looked at, what moves it most, and the model without it."""

import base64
import io
import re

import pytest
import torch
from PIL import Image
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError
from classykit.exploring.explored import Explored
from classykit.exploring.panes import features as module
from classykit.exploring.panes.features import FeaturesPane, ordinal
from classykit.exploring.scene import Scene

SMALL = {"name": "resnet18", "init_planes": 4}
PICTURES = ["chelsea", "coffee", "rocket"]


def pane_of(model, image="coffee", example=None):
    said = []
    scene = Scene(Explored(model, example), "cpu", image, image and ck.load_image(image), "moving shapes")
    pane = FeaturesPane(scene, lambda words, done, total: said.append(words))
    pane.said = said
    return pane


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    found = [sample for sample in ck.sample_images() if sample in PICTURES]
    monkeypatch.setattr(module, "sample_images", lambda: found)


@pytest.fixture
def pane():
    """A small model with a head of 3 classes on its last block; it has run, and channel 2 of block1-0 is open."""
    torch.manual_seed(0)
    pane = pane_of(SMALL)
    pane.scene.subject.attach_head("block3-1", "fully_connected", "cls", {"num_classes": 3})
    pane.scene.run()
    pane.look_at(2, (4, 5))
    return pane


def unit(pane):
    return pane.show()[0]["unit"]


def act(pane, kind, **message):
    holds, what = pane.acts[kind]
    assert {name: type(value) for name, value in message.items()} == holds
    what(message)


class TestTheUnit:
    def test_nothing_is_open_at_first(self):
        pane = pane_of(SMALL)
        assert pane.show() == ({"unit": None}, b"") and pane.code() == "" and not pane.due
        assert pane.scene.features is None

    def test_where_it_stands(self, pane):
        now, order = unit(pane), pane.scene.channel_order
        at = order.index(2)
        assert (now["channel"], now["position"]) == (2, (4, 5))
        assert now["rank"] == f"{ordinal(at + 1)} of 8 by variance"
        assert now["before"] == (order[at - 1] if at else None)
        assert now["after"] == (order[at + 1] if at < 7 else None)

    def test_at_both_ends(self, pane):
        order = pane.scene.channel_order
        pane.look_at(order[0])
        assert unit(pane)["before"] is None and unit(pane)["after"] == order[1]
        pane.look_at(order[-1])
        assert unit(pane)["before"] == order[-2] and unit(pane)["after"] is None

    def test_the_page_of_maps_is_the_one_that_it_is_on(self, pane):
        scene = pane.scene
        scene.choose("block3-1")
        scene.look()
        order = scene.channel_order
        pane.look_at(order[25])
        unit(pane)
        assert scene.offset == 24 and scene.maps().channels == order[24:32]
        scene.order = "index"
        assert unit(pane)["rank"] == f"{ordinal(order[25] + 1)} of 32 by index"
        assert scene.offset == order[25] // 24 * 24

    def test_it_is_left(self, pane):
        act(pane, "features_close")
        assert unit(pane) is None and pane.scene.channel is None and pane.scene.position is None

    def test_another_block_closes_it(self, pane):
        pane.scene.choose("block0-0")
        assert unit(pane) is None

    def test_a_position(self, pane):
        act(pane, "features_position", row=27, column=0)
        assert pane.scene.position == (27, 0)

    @pytest.mark.parametrize("row, column", [(28, 0), (0, 28), (-1, 0)])
    def test_a_position_that_is_not_there(self, pane, row, column):
        for kind, more in (("features_position", {}), ("features_unit", {"channel": 1})):
            with pytest.raises(ConfigError, match="28 × 28 places"):
                act(pane, kind, row=row, column=column, **more)
        assert pane.scene.position == (4, 5) and pane.scene.channel == 2

    @pytest.mark.parametrize("channel", [8, -1])
    def test_a_channel_that_is_not_there(self, pane, channel):
        with pytest.raises(ConfigError, match="no channel"):
            act(pane, "features_unit", channel=channel, row=0, column=0)
        assert pane.scene.channel == 2

    def test_a_vector_has_none(self):
        pane = pane_of({"name": "mlp", "input_dim": 64, "output_dim": 3, "hidden_dims": [4]})
        pane.scene.run()
        with pytest.raises(ConfigError, match="no channel 0"):
            pane.look_at(0, (0, 0))
        pane.scene.channel = 0  # as another tab may have left it
        assert unit(pane) is None

    def test_before_a_run_there_is_nothing_to_show(self):
        pane = pane_of(SMALL)
        pane.scene.channel = 1
        assert unit(pane) is None

    def test_of_a_clip(self):
        pane = pane_of({"name": "r3d_18", "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32})
        pane.scene.run()
        pane.look_at(1, (0, 0))
        assert unit(pane)["channel"] == 1 and unit(pane)["patches"] is None


class TestSorting:
    def test_like_the_picture(self, pane):
        scene = pane.scene
        scene.order = "picture"
        grey = torch.tensor([[sum(p) / 765 for p in row] for row in _rows(scene.seen_picture())])
        wanted = ck.seeing.feature_maps.feature_maps(scene.features, grey, count=None).channels
        assert scene.channel_order == wanted and unit(pane)["rank"].endswith("of 8 by likeness to the picture")

    def test_by_evidence(self, pane):
        scene = pane.scene
        scene.order = "evidence"
        assert scene.sorted_by == "variance" and pane.due
        pane.work()
        model = scene.subject.model
        found = ck.evidence(model, ck.preprocess("coffee", model), blocks="block1-0")
        assert scene.channel_order == found.channels["block1-0"][0].argsort(descending=True).tolist()
        best = int(scene.logits.argmax())
        assert unit(pane)["rank"].endswith(f"by evidence for class {best}") and not pane.due

    def test_for_another_class(self, pane):
        scene = pane.scene
        scene.order, scene.target = "evidence", 0
        pane.work()
        first = scene.scores
        scene.target = 1
        assert pane.due
        pane.show()
        assert scene.scores is None, "it is of the other class"
        pane.work()
        assert not torch.equal(first, scene.scores) and not pane.due

    def test_what_goes_wrong_is_said_once(self, pane):
        scene = pane.scene
        scene.order, scene.target = "evidence", 7
        with pytest.raises(ConfigError, match="no class 7"):
            pane.work()
        assert not pane.due and scene.sorted_by == "variance" and unit(pane)["rank"].endswith("by variance")

    def test_a_block_that_does_not_lead_to_the_score(self):
        torch.manual_seed(0)
        pane = pane_of(SMALL)
        pane.scene.subject.attach_head("block1-0", "fully_connected", "cls", {"num_classes": 3})
        pane.scene.run()
        pane.scene.choose("block3-1")
        pane.scene.look()
        pane.scene.order = "evidence"
        with pytest.raises(BlockError, match="does not lead to the score"):
            pane.work()
        assert not pane.due

    def test_without_classes_there_is_none(self):
        pane = pane_of(SMALL)
        pane.scene.run()
        pane.scene.order = "evidence"
        assert not pane.due and pane.scene.logits is None and pane.scene.sorted_by == "variance"


def _rows(picture):
    width, height = picture.size
    return [[picture.getpixel((x, y)) for x in range(width)] for y in range(height)]


class TestPatches:
    def test_they_are_those_of_the_verb(self, pane):
        act(pane, "features_patches")
        now = unit(pane)["patches"]
        model = pane.scene.subject.model
        wanted = ck.top_patches(model, PICTURES, "block1-0", channels=[2], k=16).patches[2]
        assert [(i["value"], tuple(i["at"])) for i in now["items"]] == [(p.value, p.position) for p in wanted]
        assert [i["name"] for i in now["items"]] == [PICTURES[p.picture] for p in wanted]
        assert len(now["items"]) == 6, "two a picture at most"
        assert now["note"] == "each cut to the 67 × 67 px that the unit sees" and now["count"] == 3
        assert pane.said[-1] == "The strongest places of block1-0 in 3 pictures."
        first = wanted[0].box
        size = (first[1].stop - first[1].start, first[0].stop - first[0].start)
        assert _opened(now["items"][0]["source"]).size == size and now["items"][0]["dot"] is None

    def test_another_channel_takes_no_other_pass(self, pane, monkeypatch):
        pane.find_patches()
        monkeypatch.setattr(module, "top_patches", lambda *a, **k: pytest.fail("another pass"))
        pane.look_at(5, (0, 0))
        act(pane, "features_patches")
        assert len(unit(pane)["patches"]["items"]) == 6

    def test_a_unit_that_sees_everything(self, pane):
        pane.scene.choose("block3-1")
        pane.scene.look()
        pane.look_at(0, (0, 0))
        pane.find_patches()
        now = unit(pane)["patches"]
        assert now["note"] == "the unit sees 435 × 435 px, more than the picture: the dot is where it stands"
        places = [item["at"] for item in now["items"]]
        assert len(places) == 6 and [item["dot"] for item in now["items"]] == [
            [(column + 0.5) / 7, (row + 0.5) / 7] for row, column in places
        ]
        assert {_opened(item["source"]).size for item in now["items"]} == {(96, 96)}

    def test_no_weights_are_kept(self, pane):
        pane.find_patches()
        (found,) = pane._found.values()
        assert not list(found.model.parameters())

    def test_nothing_is_kept_of_another_model(self, pane):
        pane.find_patches()
        pane.scene.open(Explored({**SMALL, "init_planes": 5}))
        pane.scene.run()
        pane.look_at(2, (0, 0))
        assert unit(pane)["patches"]["count"] is None and not pane._found and not pane._seen

    def test_one_that_is_clicked_becomes_the_picture(self, pane):
        pane.find_patches()
        items = unit(pane)["patches"]["items"]
        index = next(i for i, item in enumerate(items) if item["name"] != "coffee")
        act(pane, "features_patch", index=index)
        scene = pane.scene
        assert scene.image == items[index]["name"] and list(scene.position) == items[index]["at"]
        assert float(scene.features[0, 2][scene.position]) == pytest.approx(items[index]["value"], rel=1e-4)
        assert [i for i, item in enumerate(unit(pane)["patches"]["items"]) if item["chosen"]] == [index]

    @pytest.mark.parametrize("index", [-1, 6])
    def test_one_that_is_not_there(self, pane, index):
        pane.find_patches()
        with pytest.raises(ConfigError, match="6 patches"):
            pane.go_to(index)

    def test_cancelled_on_the_way_all_is_as_it_was(self, pane, monkeypatch):
        pane.find_patches()
        index = next(i for i, item in enumerate(unit(pane)["patches"]["items"]) if item["name"] != "coffee")
        scene, last = pane.scene, pane.scene.last

        def stop():
            raise KeyboardInterrupt

        monkeypatch.setattr(scene, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            pane.go_to(index)
        assert scene.image == "coffee" and scene.last is last and scene.position == (4, 5)

    def test_in_a_folder(self, pane, tmp_path):
        ck.load_image("rocket").save(tmp_path / "one rocket.png")
        act(pane, "features_source", source="folder", folder="")
        assert unit(pane)["patches"]["items"] == [] and not unit(pane)["patches"]["auto"]
        act(pane, "features_source", source="folder", folder=f" {tmp_path} ")
        now = unit(pane)["patches"]
        assert [i["name"] for i in now["items"]] == ["one rocket"] * 2 and now["folder"] == str(tmp_path)
        pane.go_to(0)
        assert pane.scene.image == tmp_path / "one rocket.png"
        assert f"ck.top_patches(model, {str(tmp_path)!r}," in pane.code().replace('"', "'")

    @pytest.mark.parametrize("source, folder, words", [
        ("folder", "/nowhere", "no folder '/nowhere'"), ("web", "", "digits or a folder, not 'web'"),
    ])  # fmt: skip
    def test_a_source_that_cannot_be_had(self, pane, source, folder, words):
        pane.find_patches()
        with pytest.raises(ConfigError, match=words):
            pane.find_patches(source, folder)
        assert unit(pane)["patches"]["source"] == "samples" and unit(pane)["patches"]["count"] == 3

    def test_digits_where_the_model_is_for_such(self):
        torch.manual_seed(0)
        pane = pane_of(ck.build_model(SMALL, in_channels=1), "digit 7")
        pane.scene.run()
        pane.look_at(0, (0, 0))
        assert [s["id"] for s in unit(pane)["patches"]["sources"]] == ["samples", "digits", "folder"]
        pane.find_patches("digits")
        now = unit(pane)["patches"]
        assert now["count"] == 10 and re.fullmatch(r"digit \d", now["items"][0]["name"])
        pane.go_to(0)
        assert pane.scene.image == now["items"][0]["name"]

    def test_of_a_vector_or_a_signal_there_are_none(self):
        net = nn.Sequential(nn.Sequential(nn.Conv1d(1, 4, 9, 4, 4), nn.ReLU()), nn.Conv1d(4, 8, 9, 4, 4))
        pane = pane_of(net, None, torch.rand(1, 1, 200))
        pane.scene.run()
        pane.look_at(1, (0, 3))
        assert unit(pane)["patches"] is None and unit(pane)["without"] is None


def _opened(url):
    return Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))


class TestWithout:
    @pytest.mark.parametrize("to", ["zero", "mean"])
    def test_it_is_what_the_verb_gives(self, pane, to):
        assert unit(pane)["without"] == {"on": False, "to": "zero", "rows": []}
        act(pane, "features_off", on=True, to=to)
        now, scene = unit(pane)["without"], pane.scene
        x = ck.preprocess("coffee", scene.subject.model)
        wanted = ck.ablate(scene.subject.model, x, {"block1-0": [2]}, to).top(5)
        assert [(r["label"], r["share"], r["before"]) for r in now["rows"]] == [
            (f"class {m.number}", m.after, m.before) for m in wanted
        ]
        assert len(wanted) == 3 and all(re.fullmatch(r"[+−]\d+|±0", row["points"]) for row in now["rows"])
        assert pane.off == "Channel 2 of block1-0 is switched off."
        assert now["on"] and now["to"] == to and scene.ablated == {"block1-0": [2]}
        assert pane.said[-1].startswith("channel 2 of block1-0 is switched off: class ")

    def test_off_again_everything_is_as_before(self, pane):
        before = unit(pane), pane.code()
        pane.switch(True)
        assert pane.code() == 'without = ck.ablate(model, x, {"block1-0": [2]})'
        pane.switch(False)
        assert (unit(pane), pane.code()) == before and pane.scene.ablated == {}
        assert pane.said[-1] == "channel 2 of block1-0 is on again."

    def test_another_picture(self, pane):
        pane.switch(True)
        rows = unit(pane)["without"]["rows"]
        scene = pane.scene
        scene.image, scene.picture = "rocket", ck.load_image("rocket")
        scene.forget()
        assert not pane.due
        scene.run()
        assert pane.due
        pane.work()
        assert not pane.due and unit(pane)["without"]["rows"] != rows

    @pytest.mark.parametrize("leave", [
        lambda pane: pane.look_at(None), lambda pane: pane.look_at(3, (0, 0)),
        lambda pane: pane.scene.choose("block0-0"), lambda pane: pane.scene.open(Explored(SMALL)),
    ])  # fmt: skip
    def test_leaving_the_unit_ends_it(self, pane, leave):
        pane.switch(True)
        leave(pane)
        assert pane.scene.ablated == {}
        now = unit(pane)
        assert now is None or not now["without"]["on"]

    def test_cancelled_on_the_way(self, pane, monkeypatch):
        def stop(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(module, "ablate", stop)
        with pytest.raises(KeyboardInterrupt):
            pane.switch(True)
        assert pane.scene.ablated == {} and not unit(pane)["without"]["on"]

    def test_what_makes_no_sense(self, pane):
        with pytest.raises(ConfigError, match="zero or its mean"):
            pane.switch(True, "one")
        pane.look_at(None)
        with pytest.raises(ConfigError, match="no channel to switch off"):
            pane.switch(True)
        bare = pane_of(SMALL)
        bare.scene.run()
        bare.look_at(0, (0, 0))
        assert unit(bare)["without"] is None
        with pytest.raises(ConfigError, match="tells classes apart"):
            bare.switch(True)


def test_the_figure_is_of_the_unit(pane):
    assert len(pane.figure().axes) == 4, "the picture, the map, its colour bar and its histogram"
    pane.look_at(None)
    assert pane.figure() is None


def test_of_a_clip_the_figure_is_of_the_moment():
    pane = pane_of({"name": "r3d_18", "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32})
    pane.scene.run()
    pane.look_at(1, (0, 0))
    assert pane.figure() is not None and pane.off == ""


def test_the_code_gives_what_is_shown(pane):
    pane.find_patches()
    pane.switch(True, "mean")
    names = {}
    exec(f"{pane.scene.experiment.to_code()}\n{pane.code()}", names)
    model = names["model"]
    assert names["patches"].patches.keys() == {2} and len(names["patches"].patches[2]) == 16
    assert names["without"].channels == {"block1-0": (2,)} and names["without"].to == "mean"
    assert names["x"].shape == (1, 3, 224, 224) and model.block_names == pane.scene.block_names
