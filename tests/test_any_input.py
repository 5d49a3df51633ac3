"""Tokens, several tensors, keywords and dicts: what a model is called with, through every verb that looks at one."""

import copy

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, ShapeError

FAST = {"device": "cpu", "dtype": "float32", "progress": False}


class Two(nn.Module):
    """Two vectors."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(6, 8)

    def forward(self, x, y):
        return self.a(x) + self.b(y)


class Named(nn.Module):
    """Token ids and pictures, by keyword, as transformers call theirs."""

    def __init__(self):
        super().__init__()
        self.conv, self.table, self.fc = nn.Conv2d(3, 8, 3), nn.Embedding(10, 8), nn.Linear(8, 8)

    def forward(self, input_ids=None, pixel_values=None, scale=1.0):
        return self.fc(self.conv(pixel_values).mean((2, 3)) + scale * self.table(input_ids).mean(1))


class OfDict(nn.Module):
    """One argument, a dict."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(4, 8)

    def forward(self, x):
        return self.a(x["left"]) * self.b(x["right"])


class OfList(nn.Module):
    """A list of pictures of different sizes, as detection models take them."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)

    def forward(self, pictures):
        return torch.stack([self.b(self.a(p[None])).mean((2, 3))[0] for p in pictures])


def bert():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.Sequential(nn.Embedding(11, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


#: {case: (model, what it is called with, MACs of an input, a block, the block's shape for an input)}
CASES = {
    "two tensors": (Two, lambda: ck.Inputs(torch.rand(2, 4), torch.rand(2, 6)), 80, "b", (8,)),
    "by name": (Two, lambda: ck.Inputs(torch.rand(2, 4), y=torch.rand(2, 6)), 80, "b", (8,)),
    "keywords": (
        Named, lambda: ck.Inputs(input_ids=torch.ones(2, 5, dtype=torch.long), pixel_values=torch.rand(2, 3, 8, 8),
                                 scale=2.0), 36 * 27 * 8 + 64, "conv", (8, 6, 6),
    ),
    "token ids": (bert, lambda: torch.ones(2, 7, dtype=torch.long), None, "1.layers.0", (7, 8)),
    "a dict": (OfDict, lambda: {"left": torch.rand(2, 4), "right": torch.rand(2, 4)}, 64, "a", (8,)),
    "a list": (OfList, lambda: ck.Inputs([torch.rand(3, 9, 9), torch.rand(3, 9, 9)]), 49 * 27 * 8 + 25 * 72 * 8, "a",
               None),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    make, example, macs, block, shape = CASES[request.param]
    torch.manual_seed(0)
    return make().eval(), example(), macs, block, shape


def wanted(model, example):
    example = ck.Inputs.of(example)
    with torch.no_grad():
        return model(*example.args, **example.kwargs)


def test_inspect(case, everything, assert_same):
    model, example, macs, block, shape = case
    before = everything(model)
    found = ck.inspect(model, example=example).require()
    assert_same(before, everything(model))
    assert found.batch_size == 2 and found.params == sum(p.numel() for p in model.parameters())
    assert macs is None or found.macs == 2 * macs
    assert shape is None or found[block].output_shape == shape
    assert ck.inspect(model, example=example, batch_size=5).macs * 2 == found.macs * 5
    assert found.peak_memory(batch_size=1).weights == found.param_bytes and found.layers() is not None
    assert "Inputs" not in str(found) and found._repr_html_()


def test_run_in_batches(case):
    model, example, *_, block, shape = case
    found = ck.run(model, example, blocks=[block] if shape else [], batch_size=1, **FAST)
    torch.testing.assert_close(found.output, wanted(model, example))
    assert found.images == 2 and (shape is None or tuple(found.features[block].shape) == (2, *shape))
    assert ck.run(model, example, **FAST).images_per_s > 0


def test_capture(case):
    model, example, *_, block, shape = case
    before = [t.clone() for t in ck.Inputs.of(example).tensors]
    features = ck.capture(model, example, block)[block]
    assert shape is None or tuple(features.shape) == (2, *shape)
    assert all(map(torch.equal, before, ck.Inputs.of(example).tensors))


def test_measuring(case):
    model, example, *_ = case
    keys = {"device": "cpu", "dtype": "float32", "seconds": 0.001, "progress": False}
    wanted_macs = ck.inspect(model, example=example).macs
    for of_blocks in (ck.profile_blocks(model, example, **keys), ck.profile_blocks(model, example=example, **keys)):
        assert of_blocks.batch_size == 2 and sum(row.macs for row in of_blocks.rows) == wanted_macs
    keys.pop("dtype")
    found = ck.benchmark(model, (1, 3), "float32", "eager", example=example, **keys)
    assert [row.status for row in found.rows] == ["ok", "ok"]


def test_heads(case):
    model, example, _, block, shape = case
    adopted = ck.ClassyModel.from_model(model, example=example)
    if shape is None:
        pytest.skip("its blocks give one picture at a time")
    head = adopted.attach_head(block, "linear_probe", num_classes=3)
    assert head.in_plane == 8 and tuple(wanted(adopted, example).shape) == (2, 3)
    assert ck.inspect(adopted)["linear_probe"].output_shape == (3,)
    assert adopted.example_input(4, "meta") is not None and adopted.example is not None


def test_compare(case):
    model, example, *_ = case
    table = ck.compare([model, copy.deepcopy(model)], example=example, names=["a", "b"])
    assert table["a"].macs == table["b"].macs == ck.inspect(model, example=example).macs


def test_explore(case):
    model, example, *_ = case
    app = ck.explore(model, example=example)
    app.run()
    assert app._scene.last.images == 1 and not app.error
    assert "example=example" in app.to_code() and app.source["image"] is not None


def test_the_code_runs():
    model = Named()
    example = CASES["keywords"][1]()
    app = ck.explore(model, example=example)
    app.selected_block = "conv"
    scope = {"module": model}
    exec(app.to_code(), scope)
    assert scope["output"].shape == (2, 8) and scope["features"].shape == (2, 8, 6, 6)


@pytest.mark.parametrize("keys, words", [
    ({"example": 3}, "there is none in Inputs(3)"),
    ({"example": ck.Inputs(flag=True)}, "example is what the model is called with"),
    ({"example": torch.zeros(1, 4), "input_shape": (4,)}, "input_shape or example, not both"),
])  # fmt: skip
def test_what_is_no_example(keys, words):
    for verb in (ck.inspect, ck.ClassyModel.from_model, lambda m, **k: ck.benchmark(m, progress=False, **k)):
        with pytest.raises(ConfigError) as said:
            verb(Two(), **keys)
        assert words in str(said.value)


def test_an_input_is_given_once():
    x = torch.zeros(1, 4)
    with pytest.raises(ConfigError, match="x or example, not both"):
        ck.profile_blocks(Two(), x, example=x, progress=False)
    with pytest.raises(ConfigError, match="there is none in Inputs"):
        ck.profile_blocks(Two(), example=3, progress=False)


def test_an_example_is_for_modules():
    with pytest.raises(ConfigError, match="knows what it takes"):
        ck.explore("resnet18", example=torch.zeros(1, 3, 8, 8))


def test_a_name_takes_an_example_too():
    x = torch.zeros(2, 3, 32, 32)
    assert ck.inspect("resnet18", example=x).macs == ck.inspect("resnet18", (3, 32, 32), 2).macs


class TestWhatIsSaidOfOtherInputs:
    def test_a_guess_is_said_to_be_one(self):
        found = ck.inspect(Named())
        assert found.error is not None and "is a guess" in found.note and "example=classykit.Inputs" in found.note
        assert found.params == sum(p.numel() for p in Named().parameters())
        assert ck.inspect(Two(), (3,)).note == ""

    def test_parameters_are_counted_whatever_fails(self):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 4, 3), nn.Linear(7, 8))
        found = ck.inspect(net, (3, 9, 9))
        assert found.params == sum(p.numel() for p in net.parameters()) and found.unreached_params == 64
        assert sum(b.params for b in found.blocks) + found.unreached_params == found.params

    def test_the_line_is_the_users_own(self):
        line = ck.inspect(Named()).error.source
        assert __file__ in line and "self.conv(pixel_values)" in line
        assert ck.inspect("resnet18", (4, 32, 32)).error.source is None  # there is none of the user's
        with pytest.raises(ShapeError) as said:
            ck.run(Two(), torch.zeros(2, 4), **FAST)
        assert "classykit/" not in str(said.value)

    def test_a_dict_may_be_meant_as_keywords(self):
        batch = {"input_ids": torch.ones(2, 5, dtype=torch.long), "pixel_values": torch.rand(2, 3, 8, 8)}
        words = r"classykit\.Inputs\(\*\*batch\)"
        assert "Inputs(**batch)" in ck.inspect(Named(), example=batch).note
        with pytest.raises(ShapeError, match=words):
            ck.run(Named(), batch, **FAST)
        with pytest.raises(ShapeError, match=words):
            ck.capture(Named(), batch, "conv")
        pair = [torch.rand(2, 4), torch.rand(2, 6)]
        with pytest.raises(ShapeError, match=r"classykit\.Inputs\(\*batch\)"):
            ck.capture(Two(), pair, "a")

    def test_the_wrong_keywords(self):
        with pytest.raises(ShapeError, match="unexpected keyword argument 'pixels'"):
            ck.run(Named(), ck.Inputs(pixels=torch.zeros(2, 3, 8, 8)), **FAST)


def _small(**keys):
    return dict(num_hidden_layers=3, hidden_size=64, num_attention_heads=4, intermediate_size=128, **keys)


IDS = torch.ones(2, 16, dtype=torch.long)
#: {class: (its config's class and keys, what it is called with, some of its blocks, their kinds of features)}
TRANSFORMERS = {
    "BertModel": ("BertConfig", _small(), ck.Inputs(IDS, attention_mask=torch.ones(2, 16)),
                  "embeddings encoder.layer.0 encoder.layer.2 pooler", "tokens tokens tokens vector"),
    "GPT2LMHeadModel": ("GPT2Config", dict(n_layer=3, n_embd=64, n_head=4), IDS,
                        "transformer.wte transformer.h.0 lm_head", "tokens tokens tokens"),
    "T5ForConditionalGeneration": ("T5Config", dict(num_layers=2, d_model=64, d_ff=128, num_heads=4, d_kv=16),
                                   ck.Inputs(input_ids=IDS, decoder_input_ids=IDS),
                                   "encoder.block.0.layer.0 decoder.block.1.layer.2 lm_head", "tokens tokens tokens"),
    "CLIPModel": ("CLIPConfig", dict(text_config=_small(), vision_config=_small()),
                  ck.Inputs(input_ids=IDS, pixel_values=torch.rand(2, 3, 224, 224)),
                  "vision_model.encoder.layers.0 text_projection", "tokens vector"),
    "WhisperModel": ("WhisperConfig", dict(encoder_layers=2, decoder_layers=2, d_model=64, encoder_attention_heads=4,
                                           decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128),
                     ck.Inputs(input_features=torch.rand(1, 80, 3000), decoder_input_ids=IDS[:1]),
                     "encoder.conv1 encoder.layers.1 decoder.layers.1", "sequence tokens tokens"),
    "Wav2Vec2Model": ("Wav2Vec2Config", _small(), torch.rand(2, 16000),
                      "feature_extractor.conv_layers.0 encoder.layers.2", "sequence tokens"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_models_of_words_and_sounds(name, everything, assert_same):
    transformers = pytest.importorskip("transformers")
    kind, keys, example, blocks, kinds = TRANSFORMERS[name]
    torch.manual_seed(0)
    model = getattr(transformers, name)(getattr(transformers, kind)(**keys)).eval()
    before = everything(model)
    found = ck.inspect(model, example=example).require()
    assert found.params == sum(p.numel() for p in model.parameters()) and not found.uncounted
    assert [found[b].features.kind for b in blocks.split()] == kinds.split()
    assert sum(b.macs for b in found.blocks if b.name == "(rest)") < 0.01 * found.macs
    ran = ck.run(model, example, **FAST)
    assert type(ran.output) is type(wanted(model, example))
    assert_same(before, everything(model))
    adopted = ck.ClassyModel.from_model(model, example=example)
    head = adopted.attach_head(blocks.split()[1], "linear_probe", num_classes=3)
    assert head.in_plane in (64, 512) and wanted(adopted, example).shape == (ck.Inputs.of(example).batch_size, 3)
