"""classykit.comparing.compare_stages: blocks of several models, stage by stage."""

import pandas as pd
import pytest
from torch import nn

import classykit as ck
from classykit.comparing.compare_stages import align, counterpart, places


class UNet(nn.Module):
    """Strides 1, 2, 4, and up again."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.up1, self.up2 = nn.ConvTranspose2d(8, 8, 2, 2), nn.ConvTranspose2d(8, 4, 2, 2)

    def forward(self, x):
        return self.up2(self.up1(self.c(self.b(self.a(x)))))


class TestStages:
    def test_columns_sum_to_the_totals(self):
        models = ["resnet50", "vit_b_16", "efficientnet_b4", "r3d_18"]
        c = ck.compare(models)
        sums = c.stages().groupby("model")[["params", "macs", "activations"]].sum()
        assert {name: tuple(sums.loc[name]) for name in sums.index} == {
            name: (c[name].params, c[name].macs, c[name].activations) for name in models
        }

    def test_blocks_of_one_stride_stand_together(self):
        stages = ck.compare(["resnet50", "efficientnet_b4"], classifier=True).stages()
        shapes = stages.pivot(index="stage", columns="model", values="output_shape")
        # 380 pixels at 95, 48, 24 and 12 positions
        assert list(stages["stage"].drop_duplicates()) == [
            "stride 2", "stride 4", "stride 8", "stride 16", "stride 32", "vector",
        ]  # fmt: skip
        assert shapes.loc["stride 16"].tolist() == ["160×24×24", "1024×14×14"]
        assert pd.isna(shapes.loc["stride 2", "resnet50"])
        depths = stages[stages.model == "resnet50"].set_index("stage")["depth"]
        assert depths.to_dict() == {"stride 4": 4, "stride 8": 4, "stride 16": 6, "stride 32": 3}

    def test_a_decoder_is_no_encoder(self):
        stages = ck.compare([UNet()], input_shape=(3, 32, 32)).stages()
        assert list(zip(stages.stage, stages.output_shape, strict=True)) == [
            ("stride 1", "4×32×32"), ("stride 2", "8×16×16"), ("stride 4", "8×8×8"), ("stride 2, again", "8×16×16"),
            ("stride 1, again", "4×32×32"),
        ]  # fmt: skip

    def test_what_is_no_map(self, light_configs):
        pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Flatten(),
                               nn.Linear(4, 2))  # fmt: skip
        c = ck.compare([light_configs["MLP"], light_configs["VisionTransformer"], pooled], classifier=True)
        stages = c.stages().groupby("model")["stage"].apply(list)
        assert stages["mlp"] == ["vector"]
        assert stages["vision_transformer"] == ["stride 8", "tokens", "vector"]
        assert stages["Sequential"] == ["stride 1", "pooled", "vector"]


class TestCounterparts:
    @pytest.mark.parametrize(
        "block, wanted",
        [("block1-0", "block0-2"), ("block3-0", "block2-5"), ("trunk_output", "block3-2"), ("stem", "initial_block")],
    )
    def test_the_last_of_the_same_stage_else_that_at_the_nearest_depth(self, block, wanted):
        assert counterpart(block, ck.inspect("efficientnet_lite0"), ck.inspect("resnet50")) == wanted

    def test_each_block_of_any_model_has_one(self):
        models = [ck.inspect(name) for name in ("resnet18", "vit_b_32", "r3d_18", "efficientnet_lite0")]
        found = [[[counterpart(b.name, own, other) for b in own.trunk] for other in models] for own in models]
        assert [[len(blocks) for blocks in row] for row in found] == [[9] * 4, [16] * 4, [9] * 4, [19] * 4]
        strangers = [
            set(blocks) - {b.name for b in other.trunk}
            for row in found
            for blocks, other in zip(row, models, strict=True)
        ]
        assert strangers == [set()] * 16

    def test_each_row_has_a_place_and_places_are_the_stages(self):
        inspection = ck.inspect("efficientnet_lite0")
        found = places(inspection)
        assert [block for block, _ in found] == list(inspection.blocks)
        assert [place[2] for place in sorted({place for _, place in found})] == list(align({"model": inspection}))
