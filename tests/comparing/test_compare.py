"""classykit.compare: totals side by side, differences, stages, and budgets, in every form that a comparison has."""

import html.parser
import subprocess
import sys

import pandas as pd
import pytest
import torch
from torch import nn

import classykit as ck
from classykit.comparing.compare_stages import nominal
from classykit.comparing.comparison_table import signed
from classykit.errors import ClassyKitError, ConfigError, ShapeError

FIGURES = ["params", "macs", "flops", "activations", "param_bytes", "activation_bytes"]
RESNETS = ["resnet50", "resnet18", "resnet34"]
HOSTILE = "<script>alert(1)</script>"


class Hostile(nn.Module):
    """Inspected well; its name is not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x)


Hostile.__name__ = HOSTILE


class UNet(nn.Module):
    """Strides 1, 2, 4, and up again."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.up1, self.up2 = nn.ConvTranspose2d(8, 8, 2, 2), nn.ConvTranspose2d(8, 4, 2, 2)

    def forward(self, x):
        return self.up2(self.up1(self.c(self.b(self.a(x)))))


def text_of(page):
    """What a reader sees of HTML, and the tags."""
    parser, words, tags = html.parser.HTMLParser(), [], []
    parser.handle_data, parser.handle_starttag = words.append, lambda tag, _: tags.append(tag)
    parser.feed(page)
    return "".join(words).replace("\u00a0", " "), tags


@pytest.fixture(scope="module")
def resnets():
    return ck.compare(RESNETS, budget={"params": 22e6, "macs": 2e9})


class TestTotals:
    def test_they_are_those_of_the_inspections(self, resnets):
        assert resnets.names == tuple(RESNETS) == tuple(resnets.inspections) and len(resnets) == 3
        table = resnets.to_pandas().set_index("model")
        for name in RESNETS:
            i = ck.inspect(name)
            assert resnets[name] is i
            assert [table.loc[name, c] for c in FIGURES] == [getattr(i, c) for c in FIGURES]
            assert table.loc[name, "blocks"] == len(i.blocks) and table.loc[name, "input"] == "3×224×224"

    def test_differences_are_to_the_first_or_the_baseline(self, resnets):
        table = resnets.to_pandas().set_index("model")
        for c in [*FIGURES, "blocks"]:
            assert table.loc["resnet50", f"{c}_diff_percent"] == 0
            share = table.loc["resnet18", c] / table.loc["resnet50", c]
            assert table.loc["resnet18", f"{c}_diff_percent"] == pytest.approx(100 * (share - 1))
        other = ck.compare(RESNETS, baseline="resnet34").to_pandas().set_index("model")
        assert other.loc["resnet34", "macs_diff_percent"] == 0 < other.loc["resnet50", "macs_diff_percent"]

    def test_the_columns_are_those_that_are_documented(self, resnets):
        words = type(resnets).to_pandas.__doc__
        columns = resnets.to_pandas().columns
        for column in columns:
            known = column.replace("_diff_percent", "").replace("_over_percent", "")
            assert known in words, column
        assert "FIGURE_diff_percent" in words and "memory" not in columns

    def test_a_difference_to_nothing_is_not_known(self):
        c = ck.compare([nn.Sequential(nn.ReLU()), nn.Sequential(nn.Conv2d(3, 2, 1))], names=["none", "some"])
        assert c.difference("some", "params") is None and "+" not in str(c).splitlines()[5].split("8")[0]

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


class TestStages:
    def test_columns_sum_to_the_totals(self):
        models = ["resnet50", "vit_b_16", "efficientnet_b4", "r3d_18"]
        c = ck.compare(models)
        sums = c.stages().groupby("model")[["params", "macs", "activations"]].sum()
        for name in models:
            assert tuple(sums.loc[name]) == (c[name].params, c[name].macs, c[name].activations)

    def test_blocks_of_one_stride_stand_together(self):
        stages = ck.compare(["resnet50", "efficientnet_b4"]).stages()
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
        c = ck.compare([light_configs["MLP"], light_configs["VisionTransformer"], pooled])
        stages = c.stages().groupby("model")["stage"].apply(list)
        assert stages["mlp"] == ["vector"]
        assert stages["vision_transformer"] == ["stride 8", "tokens", "vector"]
        assert stages["Sequential"] == ["stride 1", "pooled", "vector"]

    @pytest.mark.parametrize("positions, meant", [(33, 8), (17, 16), (9, 32), (65, 4)])
    def test_strides_of_260_pixels(self, positions, meant):
        assert nominal(260 / positions) == meant

    def test_a_whole_stride_is_what_it_is(self):
        assert nominal(14.0) == 14 and nominal(1.0) == 1


class TestBudget:
    def test_who_fits_and_by_how_much(self, resnets):
        i = ck.inspect("resnet18")
        assert resnets.fits == {"resnet18": {"params": pytest.approx(100 * (i.params / 22e6 - 1)),
                                             "macs": pytest.approx(100 * (i.macs / 2e9 - 1))}}  # fmt: skip
        assert set(resnets.over) == {"resnet50", "resnet34"}
        assert set(resnets.over["resnet34"]) == {"macs"} and set(resnets.over["resnet50"]) == {"params", "macs"}
        assert resnets.over["resnet50"]["macs"] == pytest.approx(104, abs=1)
        table = resnets.to_pandas().set_index("model")
        assert table["fits"].to_dict() == {"resnet50": False, "resnet18": True, "resnet34": False}
        assert table.loc["resnet34", "macs_over_percent"] == pytest.approx(resnets.over["resnet34"]["macs"])

    def test_it_is_said_in_words(self, resnets):
        for said in (str(resnets), text_of(resnets._repr_html_())[0]):
            assert "budget: params ≤ 22 M, MACs ≤ 2 G; 1 of 3 fits" in said
            assert "fits: MACs −9.3 %" in said and "over: MACs +104 %, params +6.9 %" in said

    def test_exactly_is_within(self):
        n = ck.inspect("resnet18").params
        assert ck.compare(["resnet18"], budget={"params": n}).fits == {"resnet18": {"params": 0}}
        assert ck.compare(["resnet18"], budget={"params": n - 1}).over["resnet18"]["params"] > 0

    @pytest.mark.parametrize("figure", [*FIGURES, "memory"])
    def test_it_can_be_for(self, figure):
        c = ck.compare(RESNETS, budget={figure: 1})
        own = ck.inspect("resnet50").peak_memory().total if figure == "memory" else getattr(c["resnet50"], figure)
        assert c.over["resnet50"][figure] == pytest.approx(100 * (own - 1)) and not c.fits

    def test_memory_is_asked_for_only_when_needed(self, monkeypatch):
        calls = []
        whole = ck.inspecting.Inspection.peak_memory
        monkeypatch.setattr(ck.inspecting.Inspection, "peak_memory", lambda self: calls.append(self) or whole(self))
        c = ck.compare(RESNETS, budget={"params": 1e9})
        assert str(c) and c._repr_html_() and c.fits and c.to_pandas() is not None and calls == []
        c = ck.compare(RESNETS, budget={"memory": 1e9})
        assert str(c) and c._repr_html_() and "peak memory" in str(c)
        assert c.to_pandas()["memory"].tolist() == [whole(c[n]).total for n in RESNETS] and len(calls) == 3

    def test_a_memory_that_cannot_be_had_is_neither_within_nor_beyond(self, monkeypatch):
        def refuse(self):
            raise ShapeError("it had to be run on real numbers")

        monkeypatch.setattr(ck.inspecting.Inspection, "peak_memory", refuse)
        c = ck.compare(["resnet18", "resnet50"], budget={"memory": 1e9, "params": 20e6})
        assert not c.fits and set(c.over) == {"resnet50"}
        assert "memory not known" in str(c) and c.to_pandas()["fits"].isna().tolist() == [True, False]
        assert ck.compare(["resnet18", "resnet50"], sort="memory").names == ("resnet18", "resnet50")

    def test_without_one_nothing_is_said(self):
        c = ck.compare(RESNETS)
        assert c.fits == {} == c.over and "budget" not in str(c) and "fits" not in c.to_pandas()


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


class TestForms:
    @pytest.mark.parametrize("width", [80, 100, 120])
    @pytest.mark.parametrize("budget", [None, {"params": 5e6, "macs": 1e9, "activations": 1e6}])
    def test_the_text_fits_a_terminal(self, width, budget, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(width))
        long = {"name": "regnet", "depth": 3, "w_0": 8, "w_a": 8.0, "w_m": 2.0, "group_width": 4, "stem_width": 8}
        names = ["resnet50", "b4", "a name that is longer than any model that one would register"]
        c = ck.compare(["resnet50", "efficientnet_b4", long], budget=budget, names=names)
        assert max(map(len, str(c).splitlines())) <= width
        assert "23.5 M" in str(c) and "4.09 G" in str(c)
        assert repr(c) == str(c)

    def test_stages_stand_side_by_side(self):
        lines = str(ck.compare(["resnet50", "resnet18"])).splitlines()
        assert any(line.startswith("stride 16  6 × 1024×14×14, 1.46 G  2 × 256×14×14") for line in lines)
        page, tags = text_of(ck.compare(["resnet50", "resnet18"])._repr_html_())
        assert "6 × 1024×14×14, 1.46 G" in page and tags.count("details") == 1

    def test_names_are_escaped(self):
        c = ck.compare([Hostile(), "resnet18", HOSTILE + "2"])
        page = c._repr_html_()
        words, tags = text_of(page)
        assert "<script" not in page and "script" not in tags
        assert words.count(HOSTILE) >= 3 and c.names[0] == HOSTILE

    def test_the_page_is_no_theme_of_its_own(self, resnets):
        page = resnets._repr_html_()
        assert ";color:" not in page and "background-color" not in page and "#fff" not in page and "<style" not in page

    def test_one_model_is_compared_with_nothing(self):
        c = ck.compare(["resnet18"])
        assert "1 model, input 3×224×224\n" in str(c) and "differences" not in str(c) and "stages" not in str(c)
        assert c._repr_html_()

    @pytest.mark.parametrize("percent, said", [(12.3, "+12 %"), (-35, "−35 %"), (0, "0 %"), (0.001, "≈ 0 %"),
                                               (-7.04, "−7.0 %"), (None, "")])  # fmt: skip
    def test_signed(self, percent, said):
        assert signed(percent) == said

    def test_neither_form_needs_a_notebook_package(self):
        code = ("import sys, classykit as ck; c = ck.compare(['resnet18', 'resnet34'], budget={'macs': 2e9}); "
                "str(c); c._repr_html_(); print(sorted({'pandas', 'matplotlib'} & set(sys.modules)))")  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["[]"]


@pytest.fixture(scope="module")
def hundred():
    """101 MLPs by size; the baseline is the largest."""
    configs = [{"name": "mlp", "input_dim": 8, "output_dim": 2, "hidden_dims": [w] * d}
               for d in range(1, 5) for w in range(8, 108, 4)]  # fmt: skip
    configs.append({**configs[0], "hidden_dims": [500]})
    return ck.compare(configs, sort="params", budget={"params": 1e3}, baseline="mlp (hidden_dims=[500])")


class TestMany:
    def test_a_reader_sees_a_dozen_and_the_baseline(self, hundred):
        lines = str(hundred).splitlines()
        assert len(hundred) == 101 and len(set(hundred.names)) == 101 and "mlp (hidden_dims=[8, 8])" in hundred.names
        sizes = [hundred[n].params for n in hundred.names]
        assert sizes == sorted(sizes)
        rest = [n for n in hundred.names if n != hundred.baseline][12:]
        rows = [line for line in lines if line.startswith("mlp")]
        assert [row.split("  ")[0] for row in rows] == [n for n in hundred.names if n not in rest]
        assert any("and 88 more" in line for line in lines) and len(lines) < 25

    def test_the_page_folds_the_rest(self, hundred):
        page = hundred._repr_html_()
        words, tags = text_of(page)
        opened = page.partition("<details")[0]
        assert opened.count("<tr>") == 1 + 13 and page.count("<tr>") == 2 + 101 and tags.count("details") == 1
        assert "88 more" in words and words.count("mlp (hidden_dims=[") >= 101
        assert len(page) < 101 * 1400

    def test_a_table_of_all(self, hundred):
        assert len(hundred.to_pandas()) == 101 and set(hundred.stages()["stage"]) == {"vector"}
        assert hundred.to_pandas()["fits"].sum() == len(hundred.fits) > 10

    def test_one_more_than_a_dozen_is_no_fold(self):
        c = ck.compare([{"name": "mlp", "input_dim": 8, "output_dim": 2, "hidden_dims": [w]} for w in range(1, 14)])
        assert "<details" not in c._repr_html_() and " more" not in str(c) and "[13]" in str(c)

    def test_many_failures_are_a_line_each(self):
        c = ck.compare(["resnet18", *(f"resnet{n}" for n in range(1000, 1020))])
        lines = str(c).splitlines()
        assert "20 could not be inspected:" in lines and "  … and 8 more" in lines and len(lines) < 25
        assert c._repr_html_().count("<details") == 1 and len(c.failed) == 20
