"""A head's row is what a pass of the whole model finds."""

import pytest
from torch import nn

from classykit.heads.classy_head import ClassyHead, heads_that_fit
from classykit.inspecting.attached import with_heads
from classykit.inspecting.inspection import inspect
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import build_model

ONE_A_FAMILY = [
    "densenet121",
    "efficientnet_lite0",
    "resnet18",
    "vit_b_32",
    "regnet_y_400mf",
    {
        "name": "anynet",
        "depths": [1, 2],
        "widths": [16, 32],
        "group_widths": [8, 8],
        "bottleneck_multipliers": [1, 1],
        "strides": [2, 2],
    },
    "r3d_18",
    "resnext3d_r2plus1d_18",
    {"name": "mlp", "input_dim": 12, "output_dim": 3, "hidden_dims": [8, 8]},
]


def _meta(config):
    return build_model(config, device="meta").eval()


def _forms(inspection):
    return inspection, inspection.blocks, repr(inspection)


@pytest.mark.parametrize(
    "config", ONE_A_FAMILY, ids=lambda config: config if isinstance(config, str) else config["name"]
)
def test_every_kind_of_head_on_every_other_block(config):
    bare, model = inspect(config), _meta(config)
    rows = bare.trunk
    chosen = [rows[-1], rows[0], rows[len(rows) // 2]]  # heads run in another order than they are attached in
    for row in chosen:
        kinds = heads_that_fit(row.features)
        assert kinds
        for kind in kinds:
            model.attach_head(row.name, kind, **({} if kind == "identity" else {"num_classes": 7}))
    assert len(model.get_heads()) == 3
    found = with_heads(bare, model)
    assert found is not None
    assert _forms(found) == _forms(inspect(model.config))
    assert found.peak_memory() == inspect(model.config).peak_memory()


def test_of_a_batch_and_another_size():
    model = _meta("resnet18")
    model.attach_head("block2-0", "fully_connected", num_classes=3)
    bare = inspect("resnet18", input_shape=(3, 96, 160), batch_size=4)
    assert _forms(with_heads(bare, model)) == _forms(inspect(model.config, input_shape=(3, 96, 160), batch_size=4))


def test_heads_are_taken_away_again():
    model = _meta("resnet18")
    model.attach_head("block2-0", "fully_connected", unique_id="a", num_classes=3)
    more = with_heads(inspect("resnet18"), model)
    model.remove_head("a")
    assert more["block2-0"].heads == ("a",)
    assert _forms(with_heads(inspect("resnet18"), model)) == _forms(inspect("resnet18"))


def test_one_that_runs_where_no_row_is_tells_nothing():
    model = _meta("resnet18")
    model.attach_head("blocks.0.block0-0.convolutional_block", "identity")
    assert with_heads(inspect("resnet18"), model) is None


def test_one_that_fails_on_what_it_is_given_tells_nothing():
    class Fussy(ClassyHead):
        calls = 0

        def __init__(self):
            super().__init__("fussy", num_classes=None)

        def forward(self, x):
            if type(self).calls:
                raise RuntimeError("no more")
            return x

    model = _meta("resnet18")
    model.attach_head("block0-0", Fussy())
    Fussy.calls = 1
    assert with_heads(inspect("resnet18"), model) is None


def test_a_stranger_is_asked_as_a_whole():
    def stranger():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())

    assert with_heads(inspect(stranger()), ClassyModel.from_model(stranger().to("meta"))) is None
