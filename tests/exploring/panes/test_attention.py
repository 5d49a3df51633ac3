"""The attention tab in plain Python: when it is there, what is read and chosen, what it shows, how Python says it."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ClassyKitError, ConfigError, StateError
from classykit.exploring.explored import Explored
from classykit.exploring.panes.attention import HEADS, MEAN, ROLLOUT, WHOLE, AttentionPane, special_tokens
from classykit.exploring.scene import Scene
from classykit.images import load_image

SMALL = {
    "name": "vision_transformer", "image_size": 64, "patch_size": 16, "num_layers": 4, "num_heads": 4,
    "hidden_dim": 64, "mlp_dim": 64,
}  # fmt: skip


def opened(model=SMALL, image="chelsea", run=True, example=None):
    """A pane over a model that has run, and what it told."""
    scene = Scene(Explored(model, example), "cpu", image, None if image is None else load_image(image), "moving shapes")
    if run:
        scene.run()
    told = []
    pane = AttentionPane(scene, lambda *words: told.append(words))
    return pane, scene, told


def act(pane, kind, **message):
    holds, handler = pane.acts[kind]
    assert {name: type(value) for name, value in message.items()} == holds
    handler(message)


def arrays(state, pixels):
    """The arrays of the tab as the page unpacks them."""
    numbers = torch.frombuffer(bytearray(pixels), dtype=torch.uint16).to(torch.float64) / 65535
    found = []
    for one in state["arrays"]:
        size = math.prod(one["shape"])
        values = numbers[one["start"] : one["start"] + size] * (one["high"] - one["low"]) + one["low"]
        found.append(values.reshape(one["shape"]).float())
    return found


def read(model=SMALL, **keys):
    pane, scene, _ = opened(model, **keys)
    pane.work()
    return pane, scene


@pytest.mark.parametrize(
    ("model", "there"),
    [(SMALL, True), ("resnet18", False), ("vit_b_16", True), ("efficientnet_lite0", False), ("vit_demo", True)],
)
def test_it_is_there_where_there_is_attention(model, there):
    pane, scene, _ = opened(model, run=False)
    assert pane.applies is there
    assert scene.subject.live is None, "that is told without weights"


class TestReading:
    def test_before_anything_ran_it_is_asked_for(self):
        pane, scene, _ = opened(run=False)
        state, pixels = pane.show()
        assert not pane.due and pixels == b"" and "layers" not in state
        assert state["asks"] == "See its attention" and state["untrained"] and "vision_transformer" in state["hint"]
        act(pane, "attention_read")
        assert "layers" in pane.show()[0] and scene.last is None

    def test_after_a_run_it_is_read_unasked_and_once(self):
        pane, scene, told = opened()
        assert pane.due
        pane.work()
        assert not pane.due and [done for _, done, _ in told] == [0, 1, 2, 3] and {of for *_, of in told} == {3}
        assert "4 layers read" in told[-1][0]
        scene.forget()
        assert "layers" not in pane.show()[0], "it was of another picture"
        scene.run()
        assert pane.due

    def test_another_model_lets_it_go(self):
        pane, scene = read()
        scene.open(Explored({**SMALL, "num_layers": 2}))
        assert "layers" not in pane.show()[0] and pane.code() == "" and pane.figure() is None
        with pytest.raises(StateError, match="not read yet"):
            act(pane, "attention_token", token=0)

    def test_what_cannot_be_read_is_said_and_not_tried_again(self, monkeypatch):
        pane, scene, _ = opened()

        def refuses(*_):
            raise ConfigError("No attention was seen.")

        monkeypatch.setattr("classykit.exploring.panes.attention.attention", refuses)
        with pytest.raises(ConfigError):
            pane.work()
        state, _ = pane.show()
        assert (state["hint"], state["asks"]) == ("No attention was seen.", "") and not pane.due
        scene.forget()
        scene.run()
        assert pane.due, "with another picture it may go"

    def test_stopped_halfway_nothing_has_changed(self, monkeypatch):
        pane, _ = read()
        before = pane.show()

        def stopped(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("classykit.exploring.panes.attention.capture", stopped)
        with pytest.raises(KeyboardInterrupt):
            pane.work()
        assert pane.show() == before

    def test_no_picture(self):
        pane, _, _ = opened(image=None, run=False)
        state, _ = pane.show()
        assert state["hint"].startswith("Choose a picture") and state["asks"] == ""
        with pytest.raises(ClassyKitError, match="no picture"):
            act(pane, "attention_read")

    def test_it_keeps_no_weights_alive(self):
        pane, scene = read()
        kept = pane._found.attention._look.model
        assert not list(kept.parameters()) and kept is not scene.subject.live


class TestChoosing:
    def test_the_layer_is_that_of_the_block(self):
        pane, scene = read()
        for block in ("layer_0", "layer_3"):
            scene.choose(block)
            state, _ = pane.show()
            assert state["layers"][state["layer"]]["name"] == block == state["block"]
        scene.choose("patches" if "patches" in scene.block_names else scene.block_names[0])
        assert pane.show()[0]["layer"] == 3, "a block without attention changes nothing"

    def test_a_cell_chooses_its_block(self):
        pane, scene = read()
        act(pane, "attention_place", row=2, column=3)
        act(pane, "attention_cell", layer=2, head=1)
        state, _ = pane.show()
        assert (scene.block, state["layer"], state["head"]) == ("layer_2", 2, 1)
        assert scene.position == (2, 3) == (state["row"], state["column"]), "the place stays chosen"

    def test_a_place_is_the_one_selection(self):
        pane, scene = read()
        assert pane.show()[0]["row"] == -1, "the class token at first"
        act(pane, "attention_place", row=1, column=2)
        assert scene.position == (1, 2) and pane.show()[0]["row"] == 1
        scene.position = 3, 0
        assert (pane.show()[0]["row"], pane.show()[0]["column"]) == (3, 0)
        scene.position = 0, 9
        assert (pane.show()[0]["row"], pane.show()[0]["column"]) == (3, 0), "no place of this grid"
        act(pane, "attention_token", token=0)
        assert scene.position is None and pane.show()[0]["row"] == -1

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            ("attention_place", {"row": 4, "column": 0}),
            ("attention_place", {"row": -1, "column": 0}),
            ("attention_cell", {"layer": 4, "head": 0}),
            ("attention_cell", {"layer": 0, "head": 4}),
            ("attention_cell", {"layer": 0, "head": -3}),
            ("attention_token", {"token": 1}),
            ("attention_token", {"token": -1}),
        ],
    )
    def test_no_such_thing(self, kind, message):
        pane, _ = read()
        before = pane.show()
        with pytest.raises(ConfigError):
            act(pane, kind, **message)
        assert pane.show() == before

    def test_pages_of_heads(self):
        pane, _ = read({**SMALL, "num_heads": 16})
        assert pane.show()[0]["first"] == 0 and arrays(*pane.show())[3].shape[0] == HEADS + 2
        for first, shown in ((8, 8), (3, 0), (99, 8), (-1, 0)):
            act(pane, "attention_heads", first=first)
            assert pane.show()[0]["first"] == shown


class TestShowing:
    @pytest.mark.parametrize("head", [0, 3, MEAN, ROLLOUT])
    @pytest.mark.parametrize("place", [None, (1, 3)])
    def test_it_is_the_verb_s(self, head, place):
        pane, scene = read()
        if place:
            act(pane, "attention_place", row=place[0], column=place[1])
        act(pane, "attention_cell", layer=1, head=head)
        model = scene.subject.model
        found = ck.attention(model, scene.input_for(model))
        weights = found["layer_1"][0]
        others = {ROLLOUT: found.rollouts()["layer_1"][0], MEAN: weights.mean(0)}
        wanted = others[head] if head < 0 else weights[head]
        state, pixels = pane.show()
        matrix, places, likeness, *rest = arrays(state, pixels)
        torch.testing.assert_close(matrix[0], wanted, atol=1e-5, rtol=0)
        assert places.numel() == 0 and likeness.shape == (16, 16) and likeness.diagonal().min() > 0.999
        row = matrix[0, 0 if place is None else 1 + place[0] * 4 + place[1], 1:].reshape(4, 4)
        cell = head if head >= 0 else 4 if head == MEAN else 5
        torch.testing.assert_close(rest[1][cell], row, atol=1e-5, rtol=0)
        assert state["even"] == pytest.approx(1 / 17) and state["doubt"] == "" and state["untrained"]
        assert [one["block"] for one in state["tokens"]] == [f"layer_{i}" for i in range(4)]
        colours = ck.feature_pca(ck.capture(model, scene.input_for(model), "layer_1")["layer_1"], grid=(4, 4))[0]
        torch.testing.assert_close(rest[4 + 1], colours, atol=1e-3, rtol=0)
        apart = found.distance()["layer_1"].tolist()
        assert state["layers"][1]["apart"] == pytest.approx(apart, abs=0.01)

    @pytest.mark.parametrize("head", [1, MEAN, ROLLOUT])
    @pytest.mark.parametrize("place", [None, (1, 3)])
    def test_the_code_gives_what_is_shown(self, head, place):
        pane, scene = read()
        if place:
            act(pane, "attention_place", row=place[0], column=place[1])
        act(pane, "attention_cell", layer=2, head=head)
        model = scene.subject.model
        names = {"ck": ck, "model": model, "x": scene.input_for(model)}
        exec(pane.code(), names)
        matrix = arrays(*pane.show())[0]
        row = names["row"][1:].reshape(4, 4) if names["row"].ndim == 1 else names["row"]
        shown = matrix[0, 0 if place is None else 1 + place[0] * 4 + place[1], 1:].reshape(4, 4)
        torch.testing.assert_close(shown, row, atol=1e-5, rtol=0)
        assert pane.figure() is not None

    def test_of_very_many_weights_those_of_one_query_are_sent(self):
        pane, _ = read({**SMALL, "patch_size": 2, "num_layers": 1})  # 1025² weights
        act(pane, "attention_place", row=30, column=7)
        state, pixels = pane.show()
        matrix, _, likeness, *_ = arrays(state, pixels)
        assert not state["whole"] and matrix.shape == (1, 1, 1025) and 1025**2 > WHOLE and likeness.numel() == 0
        torch.testing.assert_close(
            matrix[0, 0], pane._found.attention["layer_0"][0, 0, 1 + 30 * 32 + 7], atol=1e-6, rtol=0
        )
        assert len(pixels) < 1_000_000


def with_registers(count, **keys):
    """A vision transformer of timm's with so many registers."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    return timm.models.vision_transformer.VisionTransformer(
        patch_size=56, embed_dim=32, depth=2, num_heads=2, num_classes=5, reg_tokens=count, **keys
    ).eval()


class TestTokensBeforeThePatches:
    def test_the_class_token_and_registers_each_by_its_name(self):
        pane, scene = read(with_registers(4))
        state, _ = pane.show()
        names = ["class token", "register 1", "register 2", "register 3", "register 4"]
        assert state["before"] == state["query_before"] == names and (state["row"], state["column"]) == (-1, 0)
        model = scene.subject.model
        for number in (3, 4, 0):
            act(pane, "attention_token", token=number)
            state, pixels = pane.show()
            assert (state["row"], state["column"]) == (-1, number)
            given = {"ck": ck, "model": model, "x": scene.input_for(model)}
            exec(pane.code(), given)
            matrix, *_ = arrays(state, pixels)
            torch.testing.assert_close(matrix[0, number, 5:].reshape(4, 4), given["row"], atol=1e-5, rtol=0)
            assert f"query={number})" in pane.code() and pane.figure().axes

    def test_it_stays_chosen_in_other_layers_until_a_patch_is(self):
        pane, scene = read(with_registers(4))
        act(pane, "attention_token", token=2)
        act(pane, "attention_cell", layer=0, head=1)
        assert pane.show()[0]["column"] == 2 and scene.position is None
        act(pane, "attention_place", row=1, column=3)
        assert (pane.show()[0]["row"], pane.show()[0]["column"]) == (1, 3)
        with pytest.raises(ConfigError, match=r"no token 5 before its patches; there is 0: class token, 1: register 1"):
            act(pane, "attention_token", token=5)

    def test_registers_alone_are_no_class_token(self):
        pane, _ = read(with_registers(2, class_token=False, global_pool="avg"))
        state, _ = pane.show()
        assert state["query_before"] == ["register 1", "register 2"]
        assert (state["row"], state["column"]) == (2, 2), "the patch in the middle at first"
        act(pane, "attention_token", token=0)
        assert (pane.show()[0]["row"], pane.show()[0]["column"]) == (-1, 0)

    def test_transformers_models(self):
        t = pytest.importorskip("transformers")
        keys = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        dino = t.Dinov2WithRegistersModel(
            t.Dinov2WithRegistersConfig(image_size=56, patch_size=14, num_register_tokens=2, **keys)
        )
        assert special_tokens(dino) == ["class token", "register 1", "register 2"]
        deit = t.DeiTModel(t.DeiTConfig(image_size=32, patch_size=16, **keys))
        assert special_tokens(deit) == ["class token", "distillation token"]

    @pytest.mark.parametrize(
        ("shape", "names"), [((1, 1, 8), ["class token"]), ((8,), ["class token"]), ((1, 2, 8), ["token 0", "token 1"])]
    )
    def test_what_a_weight_does_not_tell_is_said_by_number(self, shape, names):
        module = nn.Module()
        module.cls_token = nn.Parameter(torch.zeros(shape))
        found, _ = read()
        found = replace(found._found, special=special_tokens(module))
        assert found.before(len(names)) == names
        assert replace(found, special=[]).before(1) == ["class token"] and found.before(0) == []


class TestForeign:
    def test_swin_within_windows(self):
        swin = pytest.importorskip("torchvision.models").swin_transformer
        torch.manual_seed(0)
        module = swin.SwinTransformer([4, 4], 12, [2, 2], [3, 12], [7, 7]).eval()
        pane, scene = read(module)
        act(pane, "attention_cell", layer=1, head=2)  # the shifted one
        act(pane, "attention_place", row=2, column=55)
        state, pixels = pane.show()
        matrix, places, likeness, *rest = arrays(state, pixels)
        assert scene.block == "features.1.1" and not state["rollout"] and (state["rows"], state["columns"]) == (56, 56)
        assert matrix.shape == (64, 49, 49) and likeness.numel() == 0 and len(pixels) < 1_000_000
        assert places.round().flatten().sort().values.tolist() == list(range(56 * 56))
        window, query = (places.round() == 2 * 56 + 55).nonzero()[0].tolist()
        spread = torch.zeros(56 * 56)
        spread[places[window].round().long()] = matrix[window, query]
        torch.testing.assert_close(spread.view(56, 56), rest[1][2], atol=1e-5, rtol=0)
        assert [maps.shape[0] for maps in rest[:4]] == [4, 4, 9, 9]
        act(pane, "attention_heads", first=8)
        assert [maps.shape[0] for maps in arrays(*pane.show())[3:7]] == [1, 1, 5, 5]
        act(pane, "attention_cell", layer=2, head=8)
        assert scene.position == (1, 27), "the same part of the picture, on a coarser grid"
        names = {"ck": ck, "model": scene.subject.model, "x": scene.input_for(scene.subject.model)}
        exec(pane.code(), names)
        assert names["row"].shape == (28, 28)

    def test_torchs_own_and_doubts(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = nn.Conv2d(3, 16, 16, 16)
                self.first, self.second = nn.MultiheadAttention(16, 2, batch_first=True), Strange()
                self.head = nn.Linear(16, 4)

            def forward(self, x):
                x = self.stem(x).flatten(2).transpose(1, 2)
                x = x + self.first(x, x, x, need_weights=False)[0]
                return self.head(self.second(x).mean(1))

        class Strange(nn.Module):
            def __init__(self):
                super().__init__()
                self.qkv = nn.Linear(16, 48)

            def forward(self, x):
                q, k, v = self.qkv(x).chunk(3, -1)
                mixed = (q @ k.transpose(1, 2)).softmax(-1) @ v
                return torch.from_numpy(mixed.detach().numpy().copy())  # where nothing can be followed

        module = ck.ClassyModel.from_model(Net().eval(), input_shape=(3, 64, 64))
        pane, _ = read(module)
        state, _ = pane.show()
        doubts = []
        for layer in range(len(state["layers"])):
            act(pane, "attention_cell", layer=layer, head=0)
            doubts.append(pane.show()[0]["doubt"])
        assert doubts == ["", "what becomes of weights × values could not be followed to the end of the layer"]

    def test_words_have_no_grid(self):
        layer = nn.TransformerEncoderLayer(16, 4, 16, batch_first=True)
        pane, scene = read(nn.TransformerEncoder(layer, 2).eval(), image=None, example=torch.rand(1, 6, 16))
        state, _ = pane.show()
        assert (state["what"], state["rows"], state["columns"], state["query_columns"]) == ("token", 1, 6, 6)
        assert not state["layers"][0]["apart"] and pane.figure() is None
        act(pane, "attention_place", row=0, column=4)
        assert scene.position == (0, 4)
        names = {"ck": ck, "model": scene.subject.model, "x": scene.input_for(scene.subject.model)}
        exec(pane.code(), names)
        matrix = arrays(*pane.show())[0]
        torch.testing.assert_close(matrix[0, 4], names["row"], atol=1e-5, rtol=0)
        with pytest.raises(ConfigError):
            act(pane, "attention_place", row=0, column=6)
