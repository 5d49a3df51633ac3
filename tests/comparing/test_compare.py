"""classykit.compare: totals side by side, differences, stages, and budgets, in every form that a comparison has."""

import pytest
import torch
from compared import FIGURES, RESNETS, text_of
from torch import nn

import classykit as ck
from classykit.errors import ClassyKitError, ConfigError, ShapeError


class TestTotals:
    def test_they_are_those_of_the_inspections(self, resnets):
        assert resnets.names == tuple(RESNETS) == tuple(resnets.inspections) and len(resnets) == 3
        table = resnets.to_pandas().set_index("model")
        for name in RESNETS:
            i = ck.inspect(name)
            assert resnets[name] is i
            assert [table.loc[name, c] for c in FIGURES] == [getattr(i, c) for c in FIGURES]
            assert table.loc[name, "blocks"] == len(i.blocks) and table.loc[name, "input"] == "3×224×224"

    def test_input_shape_and_batch_size_are_handed_on(self):
        c = ck.compare(["resnet18", "resnet34"], input_shape=(3, 64, 64), batch_size=2)
        assert {(i.input_shape, i.batch_size) for i in c.inspections.values()} == {((3, 64, 64), 2)}
        assert "input 3×64×64" in str(c) and "batch of 2" in str(c)

    def test_models_of_all_kinds_together(self, light_configs):
        c = ck.compare(["resnet18", light_configs["VisionTransformer"], ck.build_model("vit_b_16", device="meta"),
                        nn.Sequential(nn.Conv2d(3, 4, 3))])  # fmt: skip
        assert c.names == ("resnet18", "vision_transformer", "vit_b_16", "Sequential") and not c.failed

    def test_a_model_is_left_as_it_was(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
        before = {k: v.clone() for k, v in model.state_dict().items()}
        ck.compare(["resnet18", model])
        assert model.training and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


class TestNames:
    def test_configs_of_one_name_are_told_apart_by_their_keys(self):
        config = {"name": "resnet18", "small_input": True}
        c = ck.compare(["resnet18", config, "resnet34"])
        assert c.names == ("resnet18", "resnet18 (small_input=True)", "resnet34")

    def test_modules_of_one_name_get_a_number(self):
        c = ck.compare([nn.Sequential(nn.Conv2d(3, n, 1)) for n in (1, 2, 3)])
        assert c.names == ("Sequential", "Sequential (2)", "Sequential (3)")
        assert [c[n].params for n in c.names] == [4, 8, 12]

    def test_long_differences_are_numbered_too(self):
        block = ck.build_model("resnet18", device="meta").block_names[-1]
        heads = [{"name": "fully_connected", "unique_id": "cls", "num_classes": 7, "fork_block": block}]
        c = ck.compare(["resnet18", {"name": "resnet18", "heads": heads}])
        assert c.names == ("resnet18", "resnet18 (2)")
        assert c.figure("resnet18 (2)", "blocks") == c.figure("resnet18", "blocks"), "a head is no block"

    def test_they_can_be_given(self):
        c = ck.compare([nn.Sequential(nn.Conv2d(3, n, 1)) for n in (1, 2)], names=["thin", "wide"], baseline="wide")
        assert c.names == ("thin", "wide") and c.baseline == "wide"

    @pytest.mark.parametrize("names", [["a"], ["a", "a"], "ab", ["a", 3]])
    def test_given_badly(self, names):
        with pytest.raises(ConfigError, match="names are 2 different strings"):
            ck.compare(["resnet18", "resnet34"], names=names)


class TestOrder:
    def test_as_given_or_by_a_column(self):
        assert ck.compare(RESNETS).names == tuple(RESNETS)
        assert ck.compare(RESNETS, sort="macs").names == ("resnet18", "resnet34", "resnet50")
        assert ck.compare(RESNETS, sort="-params").names == ("resnet50", "resnet34", "resnet18")
        assert ck.compare(RESNETS, sort="model").names == ("resnet18", "resnet34", "resnet50")
        assert ck.compare(RESNETS, sort="memory").names[0] == "resnet18"
        assert ck.compare(RESNETS, sort="blocks").baseline == "resnet50", "the first given, wherever it stands"


class TestFailures:
    def test_they_do_not_end_it(self):
        c = ck.compare(["resnet51", "resnet50", nn.Sequential(nn.Linear(3, 2)), "resnet18"])
        assert c.names == ("resnet50", "resnet18") and c.baseline == "resnet50"
        assert set(c.failed) == {"resnet51", "Sequential"}
        assert "Did you mean 'resnet50'" in c.failed["resnet51"] and "(1, 3, 224, 224)" in c.failed["Sequential"]
        for said in (str(c), text_of(c._repr_html_())[0]):
            assert "2 could not be inspected" in said and "no model named 'resnet51'" in said
        table = c.to_pandas().set_index("model")
        assert table["params"].isna().tolist() == [False, False, True, True]
        assert table.loc["resnet51", "remarks"] == c.failed["resnet51"]

    def test_when_none_is_left(self):
        with pytest.raises(ConfigError, match=r"None of the 2 models.*\n.*resnet51.*\n.*efficientnet_b9") as caught:
            ck.compare(["resnet51", "efficientnet_b9"])
        assert isinstance(caught.value.__cause__, ClassyKitError)

    def test_what_was_not_counted_is_said(self):
        class Fourier(nn.Module):
            def forward(self, x):
                return torch.fft.fft2(x).real

        c = ck.compare([nn.Sequential(Fourier()), "resnet18"])
        assert "not counted" in str(c) and "not counted" in c._repr_html_() and "fft" in c.remark("Sequential")

    def test_a_baseline_that_failed(self):
        with pytest.raises(ShapeError, match="baseline resnet51 could not be inspected"):
            ck.compare(["resnet51", "resnet50"], baseline="resnet51")


class TestArguments:
    @pytest.mark.parametrize(
        "models, words",
        [
            ([], "no model"),
            (iter([]), "no model"),
            ("resnet50", r"list of models.*compare\(\['resnet50'"),
            ({"name": "resnet50"}, "list of models, not one dict"),
            (nn.Sequential(nn.ReLU()), "not one Sequential"),
            (5, "takes a list"),
            (None, "takes a list"),
            (["resnet50", 3], "Number 2 of the list: A model is a name, a config or an nn.Module, not int 3"),
            (["resnet50", nn.ReLU], "the class ReLU. Give an instance: ReLU"),
            ([{"num_blocks": [1]}], "Number 1 of the list: A model's config has a 'name'"),
            (["resnet50", "resnet18", "resnet50"], "'resnet50' is given twice, as number 1 and 3"),
            (["resnet50", {"name": "resnet50"}], "given twice"),
        ],
    )
    def test_models(self, models, words):
        with pytest.raises(ConfigError, match=words):
            ck.compare(models)

    def test_the_same_module_twice(self):
        model = nn.Sequential(nn.Conv2d(3, 2, 1))
        with pytest.raises(ConfigError, match="given twice"):
            ck.compare([model, model])

    @pytest.mark.parametrize(
        "options, words",
        [
            ({"budget": {"parms": 1e6}}, "no budget for 'parms'. Did you mean 'params'"),
            ({"budget": {"params": -1}}, "positive number"),
            ({"budget": {"params": True}}, "positive number"),
            ({"budget": {"params": float("nan")}}, "positive number"),
            ({"budget": {"params": "5M"}}, "positive number"),
            ({"budget": {}}, "budget is a dict"),
            ({"budget": 5e6}, "budget is a dict"),
            ({"sort": "mac"}, "no column 'mac' to sort by. Did you mean 'macs'"),
            ({"sort": 3}, "no column 3"),
            ({"baseline": "resnet15"}, "not 'resnet15'. Did you mean 'resnet18'"),
            ({"baseline": 0}, "the name of a compared model"),
            ({"batch_size": 0}, "batch_size"),
        ],
    )
    def test_options(self, options, words):
        with pytest.raises(ConfigError, match=words):
            ck.compare(["resnet18", "resnet34"], **options)


class TestLikeWithLike:
    """Classifiers are counted of all models or of none, unless it is said."""

    def test_of_none_where_one_has_none(self):
        c = ck.compare(["resnet50", "efficientnet_b0"])
        whole = ck.inspect("efficientnet_b0")
        assert c.figure("efficientnet_b0", "params") == whole.params - whole["fc"].params
        assert c.figure("efficientnet_b0", "macs") == whole.macs - whole["fc"].macs
        assert c.figure("efficientnet_b0", "param_bytes") == 4 * c.figure("efficientnet_b0", "params")
        assert c.figure("efficientnet_b0", "memory") == whole.peak_memory().total - 4 * whole["fc"].params
        assert c.to_pandas().part.tolist() == ["trunk", "trunk"] and "2 models, trunks alone" in str(c)

    def test_of_all_where_each_has_one(self):
        net = ck.build_model("resnet18", device="meta")
        net.attach_head("block3-1", "linear_probe", num_classes=1000)
        c = ck.compare([net, "efficientnet_b0"])
        assert c.to_pandas().part.tolist() == ["with classifier"] * 2 and "with classifiers" in str(c)
        assert c.figure("resnet18", "params") == ck.inspect(net).params

    def test_a_budget_hangs_on_no_classifier(self):
        trunk = ck.compare(["resnet18", "efficientnet_b0"], budget={"params": 5e6})
        assert list(trunk.fits) == ["efficientnet_b0"]
        assert not ck.compare(["resnet18", "efficientnet_b0"], budget={"params": 5e6}, classifier=True).fits

    @pytest.mark.parametrize("classifier, parts", [
        (True, ["trunk", "with classifier"]), (False, ["trunk", "trunk"]),
        ({"efficientnet_b0": False}, ["trunk", "trunk"]), ({"resnet18": True}, ["trunk", "with classifier"]),
    ])  # fmt: skip
    def test_as_it_is_said(self, classifier, parts):
        c = ck.compare(["resnet18", "efficientnet_b0"], classifier=classifier)
        assert c.to_pandas().part.tolist() == parts
        assert ("counted" in str(c)) == (len(set(parts)) > 1)
        assert (
            ck.compare(["resnet18", "efficientnet_b0"], classifier=classifier, sort="-macs").part("resnet18") == "trunk"
        )

    @pytest.mark.parametrize("classifier", ["yes", 1, {"resnet": True}, {"resnet18": "no"}])
    def test_bad_input(self, classifier):
        with pytest.raises(ConfigError):
            ck.compare(["resnet18", "efficientnet_b0"], classifier=classifier)


@pytest.mark.parametrize("name, found", [
    ("resnet50", ["fc"]), ("vgg11", ["classifier"]), ("squeezenet1_1", ["classifier"]), ("vit_b_32", ["heads"]),
    ("swin_t", ["head"]), ("mobilenet_v3_small", ["classifier"]), ("convnext_tiny", ["classifier"]),
    ("densenet121", ["classifier"]), ("efficientnet_b0", ["classifier"]),
])  # fmt: skip
def test_classifiers_of_torchvision(name, found):
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        model = torchvision.models.get_model(name)
    inspection = ck.inspect(model, (3, 224, 224))
    assert [block.name for block in inspection.classifier] == found
    assert inspection.without_classifier().params + sum(b.params for b in inspection.classifier) == inspection.params
