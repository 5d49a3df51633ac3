"""classykit.inspecting.shortcuts: what is quicker on the meta device, and gives the same."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ShapeError
from classykit.inspecting import shortcuts


class TestShortcuts:
    @pytest.mark.parametrize("shape", [(2, 4), (2, 4, 5), (2, 4, 5, 6), (1, 4, 2, 3, 3)])
    @pytest.mark.parametrize("affine", [True, False])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_batch_norm_gives_what_torch_gives(self, shape, affine, dtype):
        x = torch.empty(shape, device="meta", dtype=dtype)
        w = torch.empty(4, device="meta", dtype=dtype) if affine else None
        args = (x, w, w, *(torch.empty(4, device="meta", dtype=dtype) for _ in range(2)), False, 0.1, 1e-5)
        op = torch.ops.aten.native_batch_norm.default
        ours, theirs = shortcuts.run(op, args, {})[0], op(*args)[0]
        assert (ours.shape, ours.dtype, ours.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
        numbers = tuple(torch.ones_like(a, device="cpu") if isinstance(a, torch.Tensor) else a for a in args)
        assert [t.shape for t in shortcuts.run(op, args, {})] == [t.shape for t in op(*numbers)]

    def test_what_is_wrong_is_left_to_torch(self):
        with pytest.raises(ShapeError, match="C = 6"):
            ck.inspect(nn.Sequential(nn.Identity(), nn.BatchNorm2d(6)), (5, 4, 4)).require()
