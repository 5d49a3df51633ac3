"""classykit.inspecting.report: rows, totals, and the forms in which they can be had."""

import pytest

import classykit as ck
from classykit.errors import ConfigError

HOSTILE = "<script>alert(1)</script>"


class TestRows:
    @pytest.mark.parametrize("column", ["params", "macs", "activations", "activation_bytes"])
    def test_they_sum_to_the_totals(self, column, resnet50, light):
        model = ck.build_model(light)
        model.attach_head(model.block_names[0], "linear_probe", num_classes=3)
        for i in (resnet50, ck.inspect(model)):
            assert sum(getattr(b, column) for b in i.blocks) == getattr(i, column) > 0

    def test_a_row_by_name(self, resnet50):
        assert resnet50["block1-0"].name == "block1-0"
        with pytest.raises(KeyError, match="block9-9"):
            resnet50["block9-9"]


class TestForms:
    @pytest.fixture
    def hostile(self, small):
        model, _ = small
        model.attach_head("block0-0", "fully_connected", unique_id=HOSTILE, num_classes=3)
        return ck.inspect(model)

    def test_html_escapes_names(self, hostile):
        page = hostile._repr_html_()
        assert "<script" not in page and page.count("&lt;script&gt;") >= 2
        assert page.count("<tr>") == page.count("</tr>") == len(hostile.blocks) + 1

    def test_text(self, hostile, resnet50):
        assert HOSTILE in str(hostile)
        lines = str(resnet50).splitlines()
        assert lines[0] == "resnet50, input 3×224×224" and "heads" not in lines[2]
        assert [line.split()[0] for line in lines[4:-2]] == [b.name for b in resnet50.blocks if b.like is None]
        assert "block2-1 … block2-5 ×5" in lines[-5]
        assert "23.5 M parameters" in lines[-1] and "4.09 G MACs (8.17 G FLOPs)" in lines[-1]
        assert repr(resnet50) == str(resnet50)

    def test_pandas(self, hostile):
        frame = hostile.to_pandas()
        assert list(frame.columns) == [
            "block", "type", "stage", "input_shape", "output_shape",
            "stride", "params", "macs", "activations", "activation_bytes", "receptive_field", "heads",
        ]  # fmt: skip
        assert frame["params"].sum() == hostile.params and frame["macs"].sum() == hostile.macs
        row = frame.set_index("block").loc["block0-0"]
        assert row["heads"] == HOSTILE and row["output_shape"] == "32×56×56" and row["stride"] == 4
        assert frame["stage"].isna().sum() == 1


@pytest.mark.parametrize("kind", ["cost", "shapes", "receptive field"])
def test_plots(kind, resnet50):
    figure = resnet50.plot(kind)
    assert figure.axes and figure._repr_png_().startswith(b"\x89PNG")


def test_a_plot_that_is_not_known(resnet50):
    with pytest.raises(ConfigError, match="'shapes'"):
        resnet50.plot("shape")


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("name", ["r3d_18", "efficientnet_b0", "regnet_y_128gf"])
def test_text_is_no_wider_than_the_terminal(width, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = str(ck.inspect(name)).splitlines()
    assert max(map(len, lines)) <= width
    assert "params" in lines[2] and ("type" in lines[2] or width < 160) and ("type" not in lines[2] or width > 80)


def test_html_folds_equal_blocks(resnet50):
    page = resnet50._repr_html_()
    first, every = page.split("<details>")
    assert "block2-1 … block2-5 ×5" in first and "block2-3" not in first and "block2-3" in every
    assert "All 17 rows" in every and first.count("background:#5b9bd5") == 3 * first.count("<tr>") - 3
    assert "<script" not in page and "http" not in page
