"""What inspect says of models that break off, and of those that meta tensors cannot follow."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ShapeError


class Breaks(nn.Module):
    """The second convolution takes other channels than the first gives."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.body = nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(16, 4, 1))
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        x = self.body(self.stem(x))
        return self.fc(x.mean((2, 3)))


class Raises(nn.Module):
    """An exception in the user's own code."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = self.first(x)
        if x.shape[-1] == 4:
            raise KeyError("no such <thing>")
        return self.second(x)


class Branches(nn.Module):
    """Whether the second layer runs depends on the numbers."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.norm(self.first(x))
        if x.abs().sum().item() >= 0:
            x = self.second(x)
        return x


def broken(model, shape):
    partial = ck.inspect(model, shape)
    with pytest.raises(ShapeError) as caught:
        partial.require()
    assert str(partial.error) in str(caught.value)
    for ask in (partial.peak_memory, partial.layers):
        with pytest.raises(ShapeError, match="cannot run"):
            ask()
    return partial


def test_a_shape_that_does_not_fit():
    partial = broken(Breaks(), (3, 10, 10))
    failure = partial.error
    assert [b.name for b in partial.blocks] == ["stem", "body"]
    assert partial["stem"].output_shape == (8, 8, 8) and partial["stem"].macs == 8 * 8 * 8 * 27
    assert partial["body"].output_shape is None and partial["body"].input_shape == (8, 8, 8)
    assert (failure.block, failure.module, failure.input_shape) == ("body", "body.1", (1, 8, 8, 8))
    assert failure.layer.startswith("Conv2d(16, 4") and failure.expected == "(N, C, H, W) with C = 16"
    assert f"{__file__}:" in failure.source and "self.body(self.stem(x))" in failure.source
    said = ["Breaks", "3×10×10", "block body", "Conv2d(16, 4", "C = 16", "(1, 8, 8, 8)", "self.body(self.stem(x))"]
    for word in said:
        assert word in str(partial), word


def test_the_table_until_then_is_shown():
    partial = broken(Breaks(), (3, 10, 10))
    text = str(partial)
    assert "stem" in text and "failed in block body" in text and 'role="alert"' in partial._repr_html_()
    assert "until it failed" in text and partial.macs == partial["stem"].macs


def test_an_exception_in_the_users_code():
    failure = broken(Raises(), (4,)).error
    assert failure.block is None and failure.module == "" and failure.layer == "Raises"
    assert failure.reason == "KeyError: 'no such <thing>'" and 'raise KeyError("no such <thing>")' in failure.source
    page = broken(Raises(), (4,))._repr_html_()
    assert "no such &lt;thing&gt;" in page and "<thing>" not in page


def test_in_a_named_model():
    failure = broken("resnet18", (4, 64, 64)).error
    assert failure.block == "initial_block" and failure.expected == "(N, C, H, W) with C = 3"
    assert failure.input_shape == (1, 4, 64, 64)


def test_a_head_that_fails(small):
    model, _ = small
    model.attach_head(model.block_names[-1], "fully_connected", unique_id="cls", num_classes=3)
    model.get_heads()[model.block_names[-1]][0].fc = nn.Linear(5, 3)
    failure = broken(model, (3, 32, 32)).error
    assert failure.expected == "(..., 5)" and failure.layer.startswith("Linear(in_features=5")


@pytest.mark.parametrize("layer, shape, expected", [
    (nn.Linear(5, 2), (4,), "(..., 5)"),
    (nn.BatchNorm2d(6), (5, 4, 4), "(N, C, ...) with C = 6"),
    (nn.GroupNorm(2, 6), (5, 4, 4), "(N, C, ...) with C = 6"),
    (nn.LayerNorm(7), (5, 4), "(..., 7)"),
    (nn.Conv3d(2, 3, 1), (3, 4, 4, 4), "(N, C, T, H, W) with C = 2"),
])  # fmt: skip
def test_what_layers_take(layer, shape, expected):
    failure = broken(nn.Sequential(nn.Identity(), layer), shape).error
    assert failure.expected == expected and failure.input_shape == (1, *shape)


def test_what_depends_on_numbers_is_run_on_some(everything, assert_same):
    model = Branches().train()
    before = everything(model)
    i = ck.inspect(model, (6,))
    assert_same(before, everything(model))
    assert i.macs == 6 * 6 + 6 * 3 and i.params == sum(p.numel() for p in model.parameters())
    assert "real pass on random numbers" in i.note and i.note in str(i) and "real pass" in i._repr_html_()
    assert i.uncounted == {} and ck.inspect("resnet18").note == ""


def test_a_real_pass_that_fails_says_so():
    class Both(Branches):
        def forward(self, x):
            return super().forward(x) @ torch.zeros(9, 9)

    failure = broken(Both(), (6,)).error
    assert "mat1 and mat2" in failure.reason and "torch.zeros(9, 9)" in failure.source
