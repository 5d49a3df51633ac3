"""classykit.inspecting.tracer: what one pass shows of modules and operations."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import classykit as ck

OLD_FLEX = tuple(int(n) for n in torch.__version__.split(".")[:2]) < (2, 9)


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


def test_work_after_the_last_block_that_is_not_counted_is_listed_once():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.w = nn.Linear(4, 4), nn.Parameter(torch.randn(4))

        def forward(self, x):
            return self.c(x) @ self.w  # a matrix-vector product

    assert ck.inspect(Net(), (10, 4)).uncounted == {"mv": 1}


def test_what_is_no_arithmetic_is_no_gap_in_the_count():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pos, self.prelu = nn.Conv2d(3, 8, 4, 4), nn.Embedding(16, 8), nn.PReLU()

        def forward(self, x):
            x = self.conv(x).flatten(2).transpose(1, 2) + self.pos(torch.arange(16, device=x.device))
            x = x / (x.var(-1, keepdim=True) + 1e-5).sqrt() * torch.linspace(0, 1, 8, device=x.device)
            return nn.functional.glu(self.prelu(x)) + x.new_full((), 2).prod() + torch.eye(4, device=x.device)[0]

    weight_norm = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)))
    for net in (Net(), nn.DataParallel(nn.Conv2d(3, 8, 3)), weight_norm):
        assert ck.inspect(net, (3, 16, 16)).uncounted == {}


class HookUNet(nn.Module):
    """Its skip connection is a hook's work."""

    def __init__(self):
        super().__init__()
        self.skips = {}
        self.down, self.mid = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Conv2d(16, 2, 1)
        self.down.register_forward_hook(lambda m, args, out: self.skips.__setitem__("down", out))

    def forward(self, x):
        return self.out(torch.cat([self.mid(self.down(x)), self.skips["down"]], 1))


def test_hooks_that_a_model_needs_run_on_its_twin(everything, assert_same):
    net = HookUNet()
    before = everything(net)
    i = ck.inspect(net, (3, 16, 16))
    assert i.macs == 64 * 8 * 27 + 64 * 8 * 72 + 64 * 32 and i.error is None and net.skips == {}
    assert_same(before, everything(net))
    model = ck.ClassyModel.from_model(net, (3, 16, 16))
    assert model.block_names == ["down", "mid", "out"]
    head = model.attach_head("mid", "linear_probe", num_classes=2)
    assert head.fc.in_features == 8 and model(torch.rand(1, 3, 16, 16)).shape == (1, 2)


def test_what_a_hook_makes_of_an_output_counts():
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(16, 4, 1))
    net[0].register_forward_hook(lambda m, args, out: torch.cat([out, out], 1))
    assert ck.inspect(net, (3, 4, 4)).macs == 16 * (8 * 3 + 4 * 16)


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


def test_what_runs_where_no_block_is_listed_counts():
    i = ck.inspect(nn.Sequential(nn.ReLU()), (3, 8, 8))
    assert i.activations == 3 * 8 * 8 and i.activation_bytes == 4 * 192


class Compiled(nn.Module):
    """Calls a function that was compiled."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.function = torch.compile(lambda x: torch.relu(x @ x.transpose(-1, -2)), backend="eager")

    def forward(self, x):
        return self.function(self.fc(x))


class Flexible(nn.Module):
    """Attention as a higher-order operator, which has no rule for modes that watch operations."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)

    def forward(self, x):
        from torch.nn.attention.flex_attention import flex_attention

        q, k, v = (t.unsqueeze(1) for t in self.qkv(x).chunk(3, -1))
        return flex_attention(q, k, v).squeeze(1)


def test_functions_that_are_compiled_are_seen_through():
    found = ck.inspect(Compiled(), (7, 4)).require()
    assert found.macs == 7 * 4 * 4 + 7 * 7 * 4 and not found.uncounted


@pytest.mark.skipif(OLD_FLEX, reason="flex_attention runs nowhere but compiled on a GPU")
@pytest.mark.filterwarnings("ignore:.*flex_attention called without torch.compile")
def test_higher_order_operators_are_taken_apart():
    found = ck.inspect(Flexible(), (128, 16)).require()
    assert found.macs == 128 * 16 * 48 + 2 * 128 * 128 * 16 and not found.uncounted


def test_in_inference_mode_it_is_the_same():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(2), nn.Linear(36, 5))
    usual = ck.inspect(module, (3, 8, 8))
    with torch.inference_mode():
        within = ck.inspect(module, (3, 8, 8))
    assert within.macs == usual.macs > 0 and within.activations == usual.activations
    assert within.blocks == usual.blocks


class TestAttention:
    @pytest.mark.parametrize("build", [
        lambda: nn.MultiheadAttention(16, 2, batch_first=True),
        lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
    ])  # fmt: skip
    def test_it_is_one_operation(self, build):
        """Its weights, (heads, L, L), are written by no kernel of today."""
        layer, x = build(), torch.rand(3, 10, 16)
        given = ck.Inputs(x, x, x, need_weights=False) if isinstance(layer, nn.MultiheadAttention) else x
        short, long = (ck.inspect(layer, example=cut(given, n)) for n in (5, 10))
        assert long.activations == 2 * short.activations and long.macs > 2 * short.macs and not long.uncounted

    def test_of_more_values_than_queries(self):
        class Cross(nn.Module):
            def __init__(self):
                super().__init__()
                self.q, self.kv = nn.Linear(8, 8, bias=False), nn.Linear(8, 24, bias=False)

            def forward(self, x, y):
                k, v = self.kv(y).split([8, 16], -1)
                return nn.functional.scaled_dot_product_attention(self.q(x), k, v)

        found = ck.inspect(Cross(), example=ck.Inputs(torch.rand(2, 4, 8), torch.rand(2, 9, 8))).require()
        assert found.macs == 2 * (4 * 64 + 9 * 8 * 24 + 4 * 9 * (8 + 16))


def cut(given, n):
    given = ck.Inputs.of(given)
    return ck.Inputs(*(t[:, :n] for t in given.args), **given.kwargs)


def test_weights_that_are_not_used_have_a_row():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.aux, self.b = nn.Conv2d(3, 8, 3), nn.Linear(9, 9), nn.Conv2d(8, 8, 3)
            self.scale, self.mask = nn.Parameter(torch.ones(8, 1, 1)), nn.Parameter(torch.ones(5))

        def forward(self, x):
            return self.b(self.a(x) * self.scale)

    found = ck.inspect(Idle(), (3, 9, 9))
    assert [b.name for b in found.blocks] == ["a", "b", "(unused)"] and [b.name for b in found.trunk] == ["a", "b"]
    assert found["(unused)"].params == 90 + 5 and found["b"].params == 8 * 72 + 8 + 8
    assert found.params == sum(p.numel() for p in Idle().parameters())
    assert "weights not used" in str(found) and found.plot("cost") is not None


def test_strides_by_axis():
    net = nn.Sequential(nn.Conv2d(1, 16, 3, (2, 1), 1), nn.Conv2d(16, 16, 3, 2, 1), nn.Flatten(), nn.LazyLinear(3))
    found = ck.inspect(net, (1, 33, 50)).require()
    assert [b.stride for b in found.blocks] == [(2, 1), (4, 2), None]
    assert [b.strides for b in found.blocks] == [(2, 1), (4, 2), ()]
    assert [b.receptive_field.stride for b in found.blocks[:2]] == [(2, 1), (4, 2)] and "4×2" in str(found)
    assert found.to_pandas()["stride"].tolist()[:2] == [1, 2]
    odd = ck.inspect("resnet18", (3, 225, 193)).require()
    assert odd["block3-1"].stride == 32 == odd["block3-1"].receptive_field.stride[0]
    unknown = ck.inspect(nn.Sequential(nn.Conv2d(3, 8, 3), Fourier(), nn.Conv2d(8, 8, 3)), (3, 16, 16))
    assert unknown.blocks[-1].receptive_field.unknown and unknown.blocks[-1].stride == 1  # 16 pixels at 12 positions


class Fourier(nn.Module):
    def forward(self, x):
        return torch.fft.fft2(x).real


def test_modules_in_a_plain_list_are_said():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)
            self.hidden = [nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)]

        def forward(self, x):
            x = self.a(x)
            for layer in self.hidden:
                x = layer(x)
            return self.b(x)

    model = Plain()
    found = ck.inspect(model, (3, 12, 12)).require()
    assert found.params == sum(p.numel() for p in model.parameters()) == sum(b.params for b in found.blocks)
    assert found.macs == 100 * 8 * 27 + 64 * 8 * 72 + 36 * 8 * 72 + 36 * 8 * 8
    assert "uses 1.17 k parameters that it does not list" in found.note and "nn.ModuleList" in found.note
    assert ck.inspect(nn.Sequential(nn.Conv2d(3, 8, 3), *model.hidden), (3, 12, 12)).note == ""


class TestActivationsDoNotMove:
    """Attention is one operation, fused or taken apart, on meta and where numbers are computed."""

    class ReadsNumbers(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x):
            y = self.model(x)
            return y if float(y.sum()) < 1e9 else -y

    @pytest.fixture
    def vit(self):
        return ck.build_model(
            "vision_transformer", image_size=64, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
        ).eval()

    @pytest.mark.parametrize("kernel", ["MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION"])
    @pytest.mark.parametrize("reads", [False, True])
    def test_over_kernels(self, vit, kernel, reads):
        from torch.nn.attention import SDPBackend, sdpa_kernel

        wanted = ck.inspect(vit)
        model = self.ReadsNumbers(vit) if reads else vit
        ck.clear_cache()
        with sdpa_kernel(getattr(SDPBackend, kernel)):
            found = ck.inspect(model, (3, 64, 64))
        extra = 1 if reads else 0  # what it reads
        assert found.macs == wanted.macs
        assert abs(found.activation_bytes - wanted.activation_bytes) <= 64 * extra

    def test_of_a_layer_by_hand(self):
        """Queries, keys and values of 3 × 5 × 8 in, as many out: nothing of 5 × 5 counts."""

        class Attends(nn.Module):
            def forward(self, x):
                return F.scaled_dot_product_attention(x, x, x)

        found = ck.inspect(nn.Sequential(Attends()), (3, 5, 8))
        assert sum(b.activations for b in found.blocks) == 3 * 5 * 8
        assert found.macs == 2 * 3 * 5 * 5 * 8
