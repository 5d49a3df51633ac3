"""classykit.inspecting.receptive.field_rules: what each operation does to what is seen."""

import pytest
import torch
from fields_of import field_of
from torch import nn

import classykit as ck


def _windows(x):
    n, c, h, w = x.shape
    x = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
    x = (x @ x.mT).softmax(-1) @ x
    return x.view(n, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w)


def _axial(x):
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n * h, w, c)
    rows = nn.functional.scaled_dot_product_attention(rows, rows, rows)
    return rows.view(n, h, w, c).permute(0, 3, 1, 2)


def _shift(x):
    out = torch.zeros_like(x)
    out[:, :, 1:] = x[:, :, :-1]
    return out


def _patches(x):
    """Patches by moving entries about, as einops does."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(n, h * w // 4, 4 * c)


def _class_token_apart(x):
    tokens = torch.cat([torch.zeros(len(x), 1, x.shape[1], device=x.device), x.flatten(2).mT], 1)
    return tokens[:, 1:].mT.reshape(x.shape)


def _rows_of_a_stack(x):
    return torch.stack(x.unbind(2), 2)


class TestOperations:
    @pytest.mark.parametrize(
        "function, parts, wanted",
        [
            (lambda x: x.transpose(1, 2).contiguous().transpose(1, 2), (), "3×3, stride 2"),
            (lambda x: x.flatten(2).mT.reshape(1, 16, 16, 4).permute(0, 3, 1, 2), (), "3×3, stride 2"),
            (lambda x, c: c(x) + x, (nn.Conv2d(4, 4, 3, padding=1),), "7×7, stride 2"),
            (lambda x, a, b: torch.cat([a(x), b(x)], 1),
             (nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 5, padding=2)), "11×11, stride 2"),
            (lambda x, c: c(x), (nn.Conv2d(4, 4, 3, padding=2, dilation=2),), "11×11, stride 2"),
            (lambda x: nn.functional.pad(x, (3, 0, 0, 0)), (), "3×3, stride 2"),
            (lambda x: x[:, :, ::2, 1::2], (), "3×3, stride 4"),
            (lambda x: torch.cat([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1), (), "5×5, stride 4"),
            (lambda x, f: f(_patches(x)).mT.reshape(1, 6, 8, 8), (nn.Linear(16, 6),), "5×5, stride 4"),
            (lambda x, c: (c[0] @ nn.functional.unfold(x, 3, padding=1)).view(1, 2, 16, 16),
             (nn.ParameterList([torch.ones(2, 36)]),), "7×7, stride 2"),
            (lambda x: x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2)), (), "5×5, stride 4"),
            (_class_token_apart, (), "3×3, stride 2"),
            (lambda x, f: f(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), (nn.LayerNorm(4),), "3×3, stride 2"),
            (lambda x: nn.functional.adaptive_avg_pool2d(x, 4), (), "9×9, stride 8"),
            (lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), (), "global (squeeze-excitation in f)"),
            (lambda x: x + x.mean((2, 3), keepdim=True), (), "global (pooling in f)"),
            (lambda x: x.mul_(x.amax((2, 3), keepdim=True)), (), "global (squeeze-excitation in f)"),
            (lambda x: x / x.norm(dim=(2, 3), keepdim=True), (), "global (normalisation in f)"),
            (lambda x, f: f(x), (nn.GroupNorm(2, 4),), "global (group normalisation in f)"),
            (lambda x, f: f(x), (nn.LayerNorm((4, 16, 16)),), "global (layer normalisation in f)"),
            (lambda x, f: f(x), (nn.InstanceNorm2d(4),), "global (normalisation by the map's statistics in f)"),
            (lambda x, f: f(x.flatten(1)), (nn.Linear(1024, 2),), "global (a linear layer over positions in f)"),
            (lambda x, f: f(x.flatten(2)), (nn.Linear(256, 2),), "global (a linear layer over positions in f)"),
            (lambda x, f: f(*[x.flatten(2).mT] * 3)[0],
             (nn.MultiheadAttention(4, 2, batch_first=True),), "global (attention in f)"),
            (lambda x, f: f(x.flatten(2).mT), (nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),),
             "global (attention in f)"),
            (lambda x: torch.einsum("nchw,ndhw->ncd", x, x), (), "global (attention in f)"),
            (lambda x: x.flatten(2).softmax(-1).view(x.shape), (), "global (softmax over positions in f)"),
            (_axial, (), "3×32, stride 2×0, partly global (attention in f)"),
            (_windows, (), "unknown (windows of positions)"),
            (lambda x: x + _windows(x), (), "unknown (windows of positions in f)"),
            (lambda x: (x + _windows(x)).mean((2, 3)), (), "global (pooling in f)"),
            (lambda x: x.roll(2, -1) + x, (), "unknown (positions out of order in f)"),
            (lambda x: x.flip(-1), (), "unknown (positions out of order in f)"),
            (lambda x: x[:, :, torch.arange(16, device=x.device).flip(0)], (),
             "unknown (positions picked by index in f)"),
            (_shift, (), "unknown (writing in place)"),
            (_rows_of_a_stack, (), "unknown (positions side by side in f)"),
            (lambda x: x + x[:, :, :1], (), "unknown (one position spread over many in f)"),
            (lambda x: nn.functional.interpolate(x, scale_factor=2), (), "unknown (upsampling in f)"),
            (lambda x, f: f(x), (nn.ConvTranspose2d(4, 4, 2, 2),),
             "unknown (upsampling by a transposed convolution in f)"),
            (lambda x: nn.functional.interpolate(x.mean((2, 3), keepdim=True), size=8), (), "global (pooling in f)"),
            (lambda x: x[:, :, :8, :8] + x[:, :, ::2, ::2], (), "unknown (branches of different strides in f)"),
            (lambda x: torch.linalg.svdvals(x).unsqueeze(-1).expand(1, 4, 16, 16), (),
             "unknown (operation _linalg_svd is not followed in f)"),
        ],
    )  # fmt: skip
    def test_each(self, function, parts, wanted):
        assert str(field_of(function, *parts)) == wanted

    def test_what_comes_from_no_pixel_has_none(self):
        assert field_of(torch.zeros_like) is None
        found = ck.inspect({"name": "mlp", "input_dim": 4, "output_dim": 2, "hidden_dims": [3]})
        assert found.blocks[0].receptive_field is None

    def test_a_signal(self):
        field = field_of(lambda x, f: f(x), nn.Conv1d(4, 4, 5, stride=3), shape=(3, 64), before=nn.Conv1d(3, 4, 3))
        assert (field.size, field.stride, field.offset) == ((7,), (3,), (0,))
