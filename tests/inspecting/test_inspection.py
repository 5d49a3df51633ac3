"""classykit.inspect: what a network is and what it costs, against figures known from elsewhere."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ClassyKitError, ConfigError, ShapeError, UnknownNameError

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def resnet50():
    return ck.inspect("resnet50")


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
    @pytest.mark.parametrize("column", ["params", "macs", "activations", "activation_bytes"])
    def test_they_sum_to_the_totals(self, column, resnet50, light):
        model = ck.build_model(light)
        model.attach_head(model.block_names[0], "linear_probe", num_classes=3)
        for i in (resnet50, ck.inspect(model)):
            assert sum(getattr(b, column) for b in i.blocks) == getattr(i, column) > 0

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

    def test_a_row_by_name(self, resnet50):
        assert resnet50["block1-0"].name == "block1-0"
        with pytest.raises(KeyError, match="block9-9"):
            resnet50["block9-9"]


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


def test_what_runs_outside_the_blocks_has_a_row():
    class Tail(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.weight = nn.Parameter(torch.zeros(4, 3))

        def forward(self, x):
            return self.fc(x) @ self.weight

    i = ck.inspect(Tail(), (4,))
    assert [b.name for b in i.blocks] == ["fc", "(rest)"]
    assert (i.blocks[1].params, i.blocks[1].macs, i.params) == (12, 12, 32)


class TestForms:
    @pytest.fixture
    def hostile(self, small):
        model, _ = small
        model.attach_head("block0-0", "fully_connected", unique_id=HOSTILE, num_classes=3)
        return ck.inspect(model)

    def test_html_escapes_names(self, hostile):
        page = hostile._repr_html_()
        assert "<script" not in page and page.count("&lt;script&gt;") >= 2
        assert page.count("<tr>") == page.count("</tr>") == len(hostile.blocks) + 1

    def test_text(self, hostile, resnet50):
        assert HOSTILE in str(hostile)
        lines = str(resnet50).splitlines()
        assert lines[0] == "resnet50, input 3×224×224" and "heads" not in lines[2]
        assert [line.split()[0] for line in lines[4:-2]] == [b.name for b in resnet50.blocks if b.like is None]
        assert "block2-1 … block2-5 ×5" in lines[-5]
        assert "23.5 M parameters" in lines[-1] and "4.09 G MACs (8.17 G FLOPs)" in lines[-1]
        assert repr(resnet50) == str(resnet50)

    def test_pandas(self, hostile):
        frame = hostile.to_pandas()
        assert list(frame.columns) == [
            "block", "type", "stage", "input_shape", "output_shape",
            "stride", "params", "macs", "activations", "activation_bytes", "receptive_field", "heads",
        ]  # fmt: skip
        assert frame["params"].sum() == hostile.params and frame["macs"].sum() == hostile.macs
        row = frame.set_index("block").loc["block0-0"]
        assert row["heads"] == HOSTILE and row["output_shape"] == "32×56×56" and row["stride"] == 4
        assert frame["stage"].isna().sum() == 1


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


def test_a_hook_of_the_users_is_not_run_and_no_obstacle(small):
    import threading

    class Owner:
        def __init__(self):
            self.calls, self.lock = 0, threading.Lock()

        def count(self, *args):
            self.calls += 1

    owner, (model, _) = Owner(), small
    model.blocks.register_forward_hook(owner.count)
    assert ck.inspect(model).params == sum(p.numel() for p in model.parameters()) and owner.calls == 0


def test_a_module_that_keeps_what_it_saw():
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.seen = nn.Linear(3, 3), []

        def forward(self, x):
            self.seen.append(self.fc(x))
            return self.seen[-1]

    model = Keeps()
    model(torch.randn(2, 3))
    assert ck.inspect(model, (3,)).params == 12 and len(model.seen) == 1


def test_no_weight_is_allocated(monkeypatch):
    real = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *a, **k: real(*a, **{**k, "device": k.get("device", "meta")}))
    assert ck.inspect("vit_h_14").params == 630_764_800


@pytest.mark.parametrize("kind", ["cost", "shapes", "receptive field"])
def test_plots(kind, resnet50):
    figure = resnet50.plot(kind)
    assert figure.axes and figure._repr_png_().startswith(b"\x89PNG")


def test_a_plot_that_is_not_known(resnet50):
    with pytest.raises(ConfigError, match="'shapes'"):
        resnet50.plot("shape")


def test_what_runs_where_no_block_is_listed_counts():
    i = ck.inspect(nn.Sequential(nn.ReLU()), (3, 8, 8))
    assert i.activations == 3 * 8 * 8 and i.activation_bytes == 4 * 192


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("name", ["r3d_18", "efficientnet_b0", "regnet_y_128gf"])
def test_text_is_no_wider_than_the_terminal(width, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = str(ck.inspect(name)).splitlines()
    assert max(map(len, lines)) <= width
    assert "params" in lines[2] and ("type" in lines[2] or width < 160) and ("type" not in lines[2] or width > 80)


def test_layers(resnet50):
    tree = resnet50.layers()
    assert tree.total_params == resnet50.params and "Conv2d" in str(tree)
    clip = ck.inspect({"name": "r3d_18", "input_key": "video"})
    assert clip.layers().total_params == clip.params


def test_html_folds_equal_blocks(resnet50):
    page = resnet50._repr_html_()
    first, every = page.split("<details>")
    assert "block2-1 … block2-5 ×5" in first and "block2-3" not in first and "block2-3" in every
    assert "All 17 rows" in every and first.count("background:#5b9bd5") == 3 * first.count("<tr>") - 3
    assert "<script" not in page and "http" not in page
