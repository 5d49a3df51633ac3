"""The plots of what was measured: time beside MACs by block, and benchmarks by mode and batch size."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from classykit.errors import ConfigError
from classykit.measuring.benchmark_report import Benchmark, Row
from classykit.measuring.profile_report import BlockProfile, Profile
from classykit.plots import benchmark_bars, profile_bars
from classykit.plots.profile import shortened_reason
from classykit.running.placement import Place


def profile(n=4, macs=True, memory=True, like=False):
    rows = tuple(
        BlockProfile(f"block{i}", "block", ((i + 1) * 1e-3,) * 3, 1, (n - i) * 10**6 if macs else None,
                     (i + 1) * 10**5 if memory else None, 1000, like="block0" if like and i else None)
        for i in range(n)
    )  # fmt: skip
    place = Place(torch.device("cpu"), torch.float32)
    return Profile("net $a$", (1, 3, 8, 8), 1, rows, place, "a machine", (0.01,), (0.01,))


def benchmark():
    def row(mode, size, seconds, status="ok", model="a"):
        times = (seconds * 0.9, seconds, seconds * 1.2) if status == "ok" else ()
        return Row(model, "cpu", mode, "float32", size, status, times, 0.1, 10**6, 10**6, 1e11)

    rows = [
        row("eager", 1, 0.001), row("eager", 1, 0.002, model="b"),
        row("eager", 8, 0.005), row("eager", 8, 0.01, model="b"),
        row("cuda_graph", 1, 0, "needs a CUDA device; this is cpu"), row("cuda_graph", 8, 0, "odd", "b"),
    ]  # fmt: skip
    return Benchmark(rows, "a machine; torch", {"a": (3, 8, 8), "b": (3, 8, 8)}, {torch.float32: 1e11})


def pixels(figure):
    return np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("RGBA"))


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


class TestProfile:
    def test_bars_are_the_shares(self):
        given = profile()
        shares, speed, memory = profile_bars(given).axes
        time, macs = ([bar.get_width() for bar in c] for c in shares.containers)
        assert time == pytest.approx([10, 20, 30, 40]) and macs == pytest.approx([40, 30, 20, 10])
        assert [b.get_width() for b in speed.containers[0]] == pytest.approx([r.flops_per_s for r in given.rows])
        assert [b.get_width() for b in memory.containers[0]] == [1e5, 2e5, 3e5, 4e5]
        assert [t.get_text() for t in shares.get_yticklabels()] == ["block0", "block1", "block2", "block3"]
        assert shares.get_ylim()[0] > shares.get_ylim()[1]  # the first block is above

    def test_equal_blocks_share_a_line(self):
        figure = profile_bars(profile(like=True))
        assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["block0 … block3 ×4"]
        assert figure.axes[0].containers[0][0].get_width() == pytest.approx(100)

    @pytest.mark.parametrize("macs, memory, columns", [(False, True, 2), (True, False, 2), (False, False, 1)])
    def test_what_is_not_known_is_left_out(self, macs, memory, columns):
        figure = profile_bars(profile(macs=macs, memory=memory))
        assert len(figure.axes) == columns and len(figure.axes[0].containers) == 1 + macs
        assert pixels(figure).any()

    def test_many_blocks_stay_a_page(self):
        figure = profile_bars(profile(300))
        assert figure.get_figheight() < 14
        labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
        assert "block0" in labels and len(labels) < 100

    def test_the_title_is_no_formula_and_can_be_given(self):
        assert "net $a$, input 1×3×8×8, on cpu, float32" in profile_bars(profile()).get_suptitle()
        assert profile_bars(profile(), title="mine").get_suptitle() == "mine"

    def test_it_is_drawn_on_the_pages_own_ground(self):
        picture = pixels(profile_bars(profile()))
        assert picture[0, 0, 3] == 0 and len(np.unique(picture.reshape(-1, 4), axis=0)) > 10

    def test_nothing_to_draw(self):
        with pytest.raises(ConfigError, match="nothing was timed"):
            profile_bars(profile(0))

    def test_the_method_gives_it(self):
        assert len(profile().plot().axes) == 3


class TestBenchmark:
    def test_a_panel_a_batch_size_and_a_bar_a_row(self):
        figure = benchmark_bars(benchmark())
        assert [a.get_title(loc="left") for a in figure.axes] == ["batch of 1", "batch of 8"]
        widths = [[bar.get_width() for c in axes.containers for bar in c] for axes in figure.axes]
        assert widths == [pytest.approx([1, 2]), pytest.approx([5, 10])]
        assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == [
            "eager a", "eager b", "cuda_graph a", "cuda_graph b"
        ]  # fmt: skip

    def test_reasons_stand_where_bars_would(self):
        assert "needs a CUDA device" in texts(benchmark_bars(benchmark()))

    @pytest.mark.parametrize("what", ["latency_ms", "images_per_s", "peak_memory_mb", "tflops", "peak_percent"])
    def test_every_figure(self, what):
        figure = benchmark().plot(what)
        row = benchmark().rows[0]
        assert figure.axes[0].containers[0][0].get_width() == pytest.approx(getattr(row, what))
        assert pixels(figure).any()

    def test_what_cannot_be_drawn(self):
        with pytest.raises(ConfigError, match="Did you mean 'latency_ms'"):
            benchmark_bars(benchmark(), "latency")
        with pytest.raises(ConfigError, match="nothing was measured"):
            benchmark_bars(Benchmark([], "", {"a": (3,)}, {}))

    def test_long_reasons_are_cut_between_words(self):
        cut = shortened_reason("a reason that goes on and on for much longer than a bar is wide")
        assert cut.endswith(" …") and len(cut) <= 40
