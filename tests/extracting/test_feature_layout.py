"""classykit.extracting.feature_layout: where one image's features lie in what a block gives."""

import pytest
import torch
from extractions import plain, run

from classykit.errors import ShapeError
from classykit.extracting.feature_layout import layouts


def test_tokens_and_other_layouts():
    first = torch.rand(3, 6, 6)
    give = {
        "map": lambda x: x, "last": lambda x: x.permute(0, 2, 3, 1), "clip": lambda x: x[:, :, None],
        "tokens": lambda x: x.flatten(2).mT, "sequence first": lambda x: x.flatten(2).permute(2, 0, 1),
        "vector": lambda x: x.mean((2, 3)),
    }  # fmt: skip
    found = layouts(lambda x: {name: f(x) for name, f in give.items()}, first, "mean")
    assert list(found) == list(give)
    for n in (1, 2, 3, 6, 36):
        x = torch.rand(n, 3, 6, 6)
        for name, layout in found.items():
            torch.testing.assert_close(torch.tensor(layout.rows(give[name](x))), x.mean((2, 3)), msg=name)
    whole = layouts(lambda x: {name: f(x) for name, f in give.items()}, first, None)
    assert whole["sequence first"].shape == (36, 3) and whole["last"].shape == (6, 6, 3)


def test_what_is_no_features():
    windows = {"w": lambda x: x.reshape(-1, 3, 3, 3)}
    with pytest.raises(ShapeError, match=r"'w' gives \(4, 3, 3, 3\) for one image and \(8, 3, 3, 3\) for two"):
        layouts(lambda x: {k: f(x) for k, f in windows.items()}, torch.rand(3, 6, 6), None)
    with pytest.raises(ShapeError, match=r"no map, tokens or vector.*reduce=None"):
        layouts(lambda x: {"n": x.argmax(1)}, torch.rand(3, 6, 6), "mean")
    with pytest.raises(ShapeError, match="gives a list"):
        layouts(lambda x: {"n": [1]}, torch.rand(3, 6, 6), "mean")


@pytest.mark.parametrize("dtype, pooled, whole", [
    ("float32", "float32", "float32"), ("bfloat16", "float32", "float32"), ("float64", "float64", "float64"),
    ("float16", "float32", "float16"),
])  # fmt: skip
def test_types(dtype, pooled, whole, small, tmp_path):
    model, x = small
    wanted = plain(model, x, ["block1-0"])["block1-0"]
    for reduce, kept in (("mean", pooled), (None, whole)):
        got = run(model, x, "block1-0", tmp_path / str(reduce), reduce=reduce, dtype=dtype).array()
        assert got.dtype == kept
        got = torch.tensor(got).float()
        torch.testing.assert_close(got if reduce else got.mean((2, 3)), wanted, rtol=0.1, atol=0.05)
    assert next(model.parameters()).dtype == torch.float32
