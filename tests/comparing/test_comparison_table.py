"""classykit.comparing.comparison_table: models side by side, as text and as HTML."""

import subprocess
import sys

import pytest
from compared import RESNETS, text_of
from torch import nn

import classykit as ck
from classykit.comparing.comparison_table import signed

HOSTILE = "<script>alert(1)</script>"


class Hostile(nn.Module):
    """Inspected well; its name is not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x)


Hostile.__name__ = HOSTILE


class TestBudget:
    def test_it_is_said_in_words(self, resnets, monkeypatch):
        monkeypatch.setenv("COLUMNS", "120")
        for said in (str(resnets), text_of(resnets._repr_html_())[0]):
            assert "budget: params ≤ 22 M, MACs ≤ 2 G; 1 of 3 fits" in said
            assert "fits: MACs −9.3 %" in said and "over: MACs +104 %, params +6.9 %" in said

    def test_without_one_nothing_is_said(self):
        c = ck.compare(RESNETS)
        assert c.fits == {} == c.over and "budget" not in str(c) and "fits" not in c.to_pandas()


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
