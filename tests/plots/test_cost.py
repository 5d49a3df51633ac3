"""classykit.plots.cost: what each block costs."""

from dataclasses import replace

import pytest
from figures import overlapping, picture, texts

import classykit as ck
from classykit.errors import ConfigError
from classykit.plots import cost_bars


class TestCost:
    def test_bars_sum_to_the_totals(self):
        i = ck.inspect("resnet50")
        figure = cost_bars(i, ["params", "macs", "flops", "activations", "activation_bytes"])
        gaps = 0.007
        for axes, key in zip(figure.axes, ["params", "macs", "flops", "activations", "activation_bytes"], strict=True):
            drawn = sum(p.get_width() for p in axes.patches)
            assert drawn == pytest.approx(getattr(i, key), rel=len(axes.patches) * gaps)
        assert [a.get_xlabel() for a in figure.axes] == [
            "elements", "multiply-accumulates", "2 × MACs", "elements", "bytes",
        ]  # fmt: skip

    def test_equal_blocks_share_a_bar_that_is_parted(self):
        figure = cost_bars(ck.inspect("vit_b_16"), "macs")
        (axes,) = figure.axes
        labels = [t.get_text() for t in axes.get_yticklabels()]
        assert labels == ["conv_proj", "embedding", "layer_0 … layer_11 ×12", "ln", "trunk_output"]
        parts = [p for p in axes.patches if round(p.get_y() + p.get_height() / 2) == 2]
        assert len(parts) == 12 and len({round(p.get_width()) for p in parts}) == 1
        assert "17.4 G" in texts(axes) and "197 tokens" in texts(axes)

    def test_blocks_run_from_the_top(self):
        (axes,) = cost_bars(ck.inspect("resnet18"), ["params"]).axes
        low, high = axes.get_ylim()
        assert low > high and axes.get_yticklabels()[0].get_text() == "initial_block"

    def test_a_bar_for_each_stage(self):
        figure = cost_bars(ck.inspect("densenet201"), by="stage")
        labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
        assert labels == ["56×56, 7 blocks", "28×28, 13 blocks", "14×14, 49 blocks", "7×7, 34 blocks"]

    def test_names_of_many_blocks_do_not_touch(self, long):
        figure = cost_bars(long)
        figure.draw_without_rendering()
        labels = [t for t in figure.axes[0].get_yticklabels() if t.get_text()]
        assert 20 < len(labels) < 120 and labels[0].get_text() == "0"
        assert not overlapping([t.get_window_extent() for t in labels])
        assert any(t.startswith("Σ ") for t in texts(figure.axes[0])), "the sums of stages"
        assert picture(figure).height < 1000

    def test_heads_are_there(self):
        model = ck.build_model("resnet18", device="meta")
        model.attach_head(model.block_names[-1], "fully_connected", num_classes=10, unique_id="cls")
        (axes,) = cost_bars(ck.inspect(model), "params").axes
        assert axes.get_yticklabels()[-1].get_text() == "cls" and "head" in texts(axes)

    def test_what_costs_nothing(self):
        i = ck.inspect("resnet18")
        free = replace(i.blocks[0], params=0, macs=0, activations=0, activation_bytes=0)
        figure = cost_bars(replace(i, blocks=(free,)))
        assert texts(figure.axes[0])[0] == "0" and picture(figure)

    @pytest.mark.parametrize(
        "options, words",
        [({"what": ["parms"]}, "Did you mean 'params'"), ({"what": []}, "what is some of"), ({"by": "x"}, "by is"),
         ({"what": "time"}, "what is some of")],
    )  # fmt: skip
    def test_errors(self, options, words):
        with pytest.raises(ConfigError, match=words):
            cost_bars(ck.inspect("resnet18"), **options)
