"""classykit.inspect: what a network is and what it costs, against figures known from elsewhere."""

import pytest
import torch
from torch import nn
from torch.library import custom_op

import classykit as ck
from classykit.errors import ClassyKitError, ConfigError, ShapeError, UnknownNameError


@pytest.mark.parametrize(
    "name, params, gmacs",
    [
        ("resnet50", 25_557_032, 4.09),
        ("resnet18", 11_689_512, 1.81),
        ("swin_t", 28_288_354, 4.49),
        ("vit_b_16", 86_567_656, 17.56),
        ("vit_l_16", 304_326_632, 61.55),
        ("mobilenet_v3_small", 2_542_856, 0.06),
    ],
)
def test_torchvisions_figures(name, params, gmacs):
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        i = ck.inspect(getattr(models, name)())
    assert (i.params, round(i.macs / 1e9, 2)) == (params, gmacs)
    assert i.uncounted == {}


@pytest.mark.parametrize(
    "name, params, gmacs",
    [("resnet50", 23_508_032, 4.09), ("vit_b_16", 85_798_656, 17.56), ("efficientnet_b0", 5_288_548, 0.39),
     ("efficientnet_lite0", 4_652_008, 0.39), ("vit_h_14", 630_764_800, 167.3)],
)  # fmt: skip
def test_our_figures(name, params, gmacs):
    i = ck.inspect(name)
    assert i.params == params and i.macs / 1e9 == pytest.approx(gmacs, rel=0.02)
    assert i.flops == 2 * i.macs and i.param_bytes == 4 * params


@pytest.mark.parametrize("kernel, stride, groups", [(3, 1, 1), (5, 2, 1), (3, 1, 4), (1, 1, 1)])
def test_a_convolution_by_hand(kernel, stride, groups):
    conv = nn.Conv2d(8, 12, kernel, stride, kernel // 2, groups=groups)
    i = ck.inspect(nn.Sequential(conv), (8, 16, 16))
    side = -(-16 // stride)
    assert i.macs == side * side * 12 * (8 // groups) * kernel * kernel
    assert i.params == sum(p.numel() for p in conv.parameters())
    assert i.activations == 12 * side * side and i.activation_bytes == 4 * i.activations


def test_a_linear_layer_by_hand():
    i = ck.inspect(nn.Sequential(nn.Linear(7, 5)), (7,), batch_size=3)
    assert (i.macs, i.params) == (3 * 7 * 5, 40)


class TestRows:
    def test_parameters_are_all_there(self, light):
        model = ck.build_model(light)
        i = ck.inspect(model)
        assert i.params == sum(p.numel() for p in model.parameters())
        assert i.buffer_bytes == sum(b.numel() * b.element_size() for b in model.buffers())

    def test_they_are_the_blocks_in_order_then_the_heads(self, light):
        model = ck.build_model(light)
        assert [b.name for b in ck.inspect(model).blocks] == model.block_names
        first, last = model.block_names[0], model.block_names[-1]
        model.attach_head(last, "linear_probe", unique_id="b", num_classes=3)
        model.attach_head(first, "identity", unique_id="a")
        i = ck.inspect(model)
        assert [b.name for b in i.blocks] == [*model.block_names, "b", "a"]
        assert [b.is_head for b in i.blocks] == [False] * len(model.block_names) + [True] * 2
        assert i[first].heads == ("a",) and i[last].heads == ("b",) and i["a"].params == 0
        assert i["b"].output_shape == (3,) and i["b"].stage is None
        assert ck.inspect(model.config).to_pandas().equals(i.to_pandas())

    def test_shapes_are_those_of_a_real_pass(self, light, input_for):
        model = ck.build_model(light).eval()
        x = input_for(model, batch=1)
        features = ck.capture(model, x, model.block_names)
        i = ck.inspect(model, tuple(x.shape[1:]))
        assert list(features) == [b.name for b in i.trunk] and len(features) > 1
        for name, feature in features.items():
            assert i[name].output_shape == tuple(feature.shape[1:])
            assert i[name].features.channels == model.block_features([name])[name].channels

    def test_strides_and_stages(self, resnet50):
        strides = {b.name: b.stride for b in resnet50.blocks}
        assert strides["initial_block"] == strides["block0-2"] == 4 and strides["block3-0"] == 32
        assert [resnet50[f"block{i}-0"].stage for i in range(4)] == [0, 1, 2, 3]
        assert resnet50["block1-0"].input_shape == (256, 56, 56) and resnet50["block1-0"].output_shape == (512, 28, 28)
        assert resnet50["block0-0"].has_skip and not resnet50["initial_block"].has_skip

    def test_shared_parameters_count_once(self):
        a = nn.Linear(6, 6)
        b = nn.Linear(6, 6)
        b.weight = a.weight
        i = ck.inspect(nn.Sequential(a, nn.ReLU(), b, nn.Sequential(a)), (6,))
        assert i.params == 36 + 6 + 6 and sum(row.params for row in i.blocks) == i.params
        assert i.macs == 3 * 36 and i.param_bytes == 4 * 48


@pytest.mark.parametrize("batch", [2, 7])
def test_figures_grow_with_the_batch(batch, light):
    one, many = ck.inspect(light), ck.inspect(light, batch_size=batch)
    assert many.macs == batch * one.macs and many.params == one.params
    assert [b.output_shape for b in many.blocks] == [b.output_shape for b in one.blocks]


def test_another_resolution():
    small, large = ck.inspect("resnet50", (3, 64, 64)), ck.inspect("resnet50", (3, 128, 128))
    assert large.macs == 4 * small.macs and small.input_shape == (3, 64, 64)
    assert small["block3-2"].output_shape == (2048, 2, 2)


@pytest.mark.parametrize("dtype, size", [(torch.float64, 8), (torch.float16, 2), (torch.bfloat16, 2)])
def test_bytes_follow_the_dtype(dtype, size):
    i = ck.inspect(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1)).to(dtype), (3, 8, 8))
    assert i.param_bytes == size * i.params and i.activation_bytes == size * i.activations


def test_what_is_not_counted_is_listed():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return torch.fft.fft(self.fc(x)).real

    i = ck.inspect(Odd(), (4,))
    assert any("fft" in name for name in i.uncounted) and "not counted" in str(i) and "fft" in i._repr_html_()


@pytest.mark.parametrize(
    "model, options, kind, words",
    [
        ("resnet50", {"input_shape": (4, 224, 224)}, ShapeError, "resnet50 cannot run on an input of 4×224×224"),
        ("resnet50", {"input_shape": (3, 0, 0)}, ClassyKitError, "."),
        ("resnet50", {"input_shape": (224, 224)}, ShapeError, "224×224"),
        ("resnet50", {"input_shape": ()}, ShapeError, "cannot run"),
        ("resnet50", {"input_shape": (3, -1, 4)}, ClassyKitError, "."),
        ("resnet50", {"input_shape": 224}, ClassyKitError, "input_shape"),
        ("resnet50", {"input_shape": "3x4"}, ClassyKitError, "input_shape"),
        ("vit_b_16", {"input_shape": (3, 256, 256)}, ShapeError, "image_size=256"),
        ("resnet50", {"batch_size": 0}, ConfigError, "batch_size"),
        ("resnet50", {"batch_size": True}, ConfigError, "batch_size"),
        ("resnet5", {}, UnknownNameError, "resnet50"),
        (5, {}, ConfigError, "not int"),
    ],
)
def test_errors(model, options, kind, words):
    with pytest.raises(kind, match=words):
        ck.inspect(model, **options).require()


def test_no_weight_is_allocated(monkeypatch):
    real = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *a, **k: real(*a, **{**k, "device": k.get("device", "meta")}))
    assert ck.inspect("vit_h_14").params == 630_764_800


class TestTheRealPass:
    """Taken where a meta pass cannot be had: its figures are the same, and it leaves nothing behind."""

    class Attends(nn.Module):
        def __init__(self, reads):
            super().__init__()
            self.qkv, self.reads = nn.Linear(16, 48), reads

        def forward(self, x):
            if self.reads and x.sum().item() > 1e9:
                x = 2 * x
            q, k, v = (t.unsqueeze(1) for t in self.qkv(x).chunk(3, -1))
            return nn.functional.scaled_dot_product_attention(q, k, v).squeeze(1)

    def test_attention_is_counted(self):
        meta, real = (ck.inspect(self.Attends(reads), (10, 16)) for reads in (False, True))
        assert meta.macs == real.macs == 10 * 16 * 48 + 2 * 10 * 10 * 16
        assert real.uncounted == {} and "real pass" in real.note and meta.note == ""

    def test_recurrent_layers_are_counted(self):
        class Recurs(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm, self.fc = nn.LSTM(28, 128, 2, batch_first=True), nn.Linear(128, 10)

            def forward(self, x):  # as every tutorial has it
                h, c = (torch.zeros(2, x.size(0), 128).to(torch.device("cpu")) for _ in "hc")
                return self.fc(self.lstm(x, (h, c))[0][:, -1])

        enabled = torch.backends.mkldnn.enabled
        i = ck.inspect(Recurs(), (28, 28))
        assert i.macs == 28 * 4 * 128 * (28 + 128) + 28 * 4 * 128 * 256 + 1280
        assert torch.backends.mkldnn.enabled == enabled

    def test_an_operation_that_torch_cannot_do_without_numbers(self):
        @custom_op("classykit_tests::thrice", mutates_args=())
        def thrice(x: torch.Tensor) -> torch.Tensor:
            return x * 3

        class Custom(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)

            def forward(self, x):
                return self.b(thrice(self.a(x)))

        i = ck.inspect(Custom(), (3, 8, 8))
        assert i.macs == 4176 and i.error is None and "real pass" in i.note

    def test_what_forward_writes_stays_on_the_copy(self):
        class Writes(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.calls, self.last = nn.Conv2d(3, 8, 3), 0, None

            def forward(self, x):
                self.calls += 1
                self.last = self.a(x)
                return self.last if self.last.max().item() < 1e9 else x

        net = Writes()
        assert "real pass" in ck.inspect(net, (3, 16, 16)).note
        assert net.calls == 0 and net.last is None

    @pytest.mark.parametrize("reads", [False, True])
    def test_nothing_found_is_no_failure(self, reads):
        class Detects(nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.boxes = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)

            def forward(self, x):
                y = self.boxes(self.body(x)).flatten(2).transpose(1, 2)
                y = y[y > 1e6].view(-1, 4)[None] if reads else y[:, :0]
                return y.reshape(-1, 2, 2).reshape(-1, 4)

        i = ck.inspect(Detects(), (3, 16, 16))
        assert i.error is None and i.params == 224 + 36 and i.macs == 196 * 8 * 27 + 196 * 32

    def test_heads_on_a_model_that_reads_numbers(self):
        class Reads(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3)

            def forward(self, x):
                x = self.a(x)
                return self.b(x) if x.abs().max().item() < 1e9 else x

        model = ck.ClassyModel.from_model(Reads(), input_shape=(3, 16, 16))
        assert model.attach_head("a", "linear_probe", num_classes=2).fc.in_features == 8
        assert model(torch.rand(2, 3, 16, 16)).shape == (2, 2)
        assert ck.inspect(model).blocks[-1].is_head

    def test_without_numbers_the_failure_is_said(self):
        i = ck.inspect(self.Attends(True).to("meta"), (10, 16))
        assert "meta" in i.error.reason and i.note == ""
