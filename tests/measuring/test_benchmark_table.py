"""classykit.measuring.benchmark_table: a benchmark as text and as HTML."""

import copy

import torch


class TestForms:
    def test_the_text_says_where_the_figures_hold(self, found):
        text = str(found)
        unfolded = " ".join(text.split())
        assert found.machine in unfolded and "for this machine" in unfolded
        assert "100 GFLOP/s" in text and "needs a CUDA device" in text
        assert f"torch {torch.__version__}" in found.machine
        assert max(map(len, text.splitlines())) <= 120

    def test_the_html_is_escaped(self, found):
        evil = copy.copy(found)
        object.__setattr__(evil, "shapes", {"<b>&": (12,)})
        page = evil._repr_html_()
        assert "<b>&lt;b&gt;&amp;, input" in page and page.count("<tr>") == 9
        assert "needs a CUDA device; this is cpu" in page and "<script" not in page
