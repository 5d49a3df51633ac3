"""classykit.inspecting.report: rows, totals, and the forms in which they can be had."""

import pytest
from torch import nn

import classykit as ck
from classykit.errors import ConfigError

HOSTILE = "<script>alert(1)</script>"


class TestRows:
    @pytest.mark.parametrize("column", ["params", "macs", "activations", "activation_bytes"])
    def test_they_sum_to_the_totals(self, column, resnet50, light):
        model = ck.build_model(light)
        model.attach_head(model.block_names[0], "linear_probe", num_classes=3)
        both = (resnet50, ck.inspect(model))
        totals = [getattr(i, column) for i in both]
        assert [sum(getattr(b, column) for b in i.blocks) for i in both] == totals and min(totals) > 0

    def test_a_row_by_name(self, resnet50):
        assert resnet50["block1-0"].name == "block1-0"
        with pytest.raises(KeyError, match="block9-9"):
            resnet50["block9-9"]


class TestStrides:
    def test_a_block_has_its_own_beside_that_of_the_input(self, resnet50):
        own = {b.name: resnet50.own_strides(b.name) for b in resnet50.blocks}
        assert own["initial_block"] == (4, 4) and own["block1-0"] == (2, 2) and own["block1-1"] == (1, 1)
        for n in (1, 2):  # each is what the blocks until there have made of the input
            stride = 1
            for b in resnet50.blocks:
                stride *= own[b.name][n - 1]
                assert b.strides[n - 1] == stride
        assert [resnet50[name].of_input for name in ("block1-1", "block3-0")] == [
            "1/8 of the input",
            "1/32 of the input",
        ]

    def test_odd_sizes_and_the_way_up(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 2, 2))
        i = ck.inspect(model, (3, 33, 33))
        assert [i.own_strides(b.name) for b in i.blocks] == [(1.0, 1.0), (2, 2), (0.5, 0.5)]
        assert i.blocks[0].of_input == "as fine as the input" and i.blocks[1].of_input == "1/2 of the input"

    def test_along_each_axis_and_without_any(self):
        clip = ck.inspect("r3d_18")
        assert clip.own_strides("stem-path0") == (1.0, 2.0, 2.0) and clip.own_strides("pathway0-stage2-block0") == (
            2,
            2,
            2,
        )
        assert clip["stem-path0"].of_input == "1×1/2×1/2 of the input"
        vectors = ck.inspect(nn.Sequential(nn.Linear(4, 5)), (4,))
        assert vectors.own_strides("0") == () and vectors["0"].of_input == ""
        tokens = ck.inspect("vit_b_32")
        assert tokens.own_strides("layer_0") == () and tokens.own_strides("conv_proj") == (32, 32)


class TestForms:
    @pytest.fixture
    def hostile(self, small):
        model, _ = small
        model.attach_head("block0-0", "fully_connected", unique_id=HOSTILE, num_classes=3)
        return ck.inspect(model)

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
