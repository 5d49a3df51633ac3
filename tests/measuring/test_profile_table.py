"""classykit.measuring.profile_table: a profile as text and as HTML."""

import copy

import pytest
from profiled import quick


class TestForms:
    @pytest.fixture
    def found(self, small):
        return quick(*small)

    def test_the_text(self, found):
        text = " ".join(str(found).split())
        assert "block1-0" in text and "without hooks" in text and "for this machine" in text
        assert f"{found.total_ms:.3g}"[:3] in text and "cpu, float32" in text

    def test_equal_blocks_share_a_line(self):
        found = quick({"name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 4, "num_heads": 2,
                       "hidden_dim": 16, "mlp_dim": 24})  # fmt: skip
        runs = found.runs()
        assert [r.name for run in runs for r in run] == [r.name for r in found.rows]
        assert [len(run) for run in runs if run[0].name == "layer_0"] == [4]
        assert "layer_0 … layer_3 ×4" in str(found)
        page = found._repr_html_()
        assert f"All {len(found.rows)} rows" in page and page.count("<tr>") == len(runs) + len(found.rows) + 2

    def test_the_html_is_escaped(self, found):
        evil = copy.copy(found)
        object.__setattr__(evil, "name", "<script>")
        object.__setattr__(evil, "rows", tuple(_renamed(r, "<i>&") for r in found.rows))
        page = evil._repr_html_()
        assert "<script" not in page and "<i>" not in page and "&lt;i&gt;&amp;" in page


def _renamed(row, name):
    new = copy.copy(row)
    object.__setattr__(new, "name", name)
    object.__setattr__(new, "like", None)
    return new
