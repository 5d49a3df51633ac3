"""classykit.measuring.bench: rows for what can be measured, and rows that say why it cannot."""

import math

import torch
from measured import MLP, quick
from torch import nn

from classykit.measuring import bench


class Limited(nn.Module):
    """Runs out of memory on batches above its limit."""

    def __init__(self, limit):
        super().__init__()
        self.fc, self.limit, self.input_shape = nn.Linear(3, 2), limit, (3,)

    def forward(self, x):
        if len(x) > self.limit and not x.is_meta:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nand more")
        return self.fc(x)


class TestTrouble:
    def test_running_out_of_memory_is_a_row_that_says_so(self):
        found = quick(Limited(2), (1, 2, 4))
        assert [r.ok for r in found.rows] == [True, True, False]
        assert found.rows[2].status == "out of memory: CUDA out of memory. Tried to allocate 20 GiB"
        assert "out of memory" in str(found) and math.isnan(found.to_pandas().latency_ms[2])

    def test_what_cannot_fit_is_not_tried(self, monkeypatch, small):
        monkeypatch.setattr(bench, "batch_that_fits", lambda m, p, s, n: (n, "") if n < 4 else (3, "A batch of 4: so"))
        found = quick(small[0], (1, 4), input_shape=(3, 32, 32))
        assert found.rows[0].ok and found.rows[1].status == "does not fit: A batch of 4"

    def test_a_type_that_the_model_cannot_do(self):
        class OnlyFloat(nn.Module):
            input_shape = (3,)

            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                if x.dtype != torch.float32:
                    raise TypeError("float32 only\nplease")
                return self.fc(x)

        found = quick(OnlyFloat(), 1, ["float32", "float64"])
        assert [r.status for r in found.rows] == ["ok", "failed: TypeError: float32 only"]


class TestCompare:
    def test_one_that_cannot_run_does_not_keep_the_others(self):
        found = quick(MLP, 4, compare={"limited": Limited(1)})
        assert [r.ok for r in found.rows] == [True, False] and len(found.ratios()) == 0
