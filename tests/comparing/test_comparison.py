"""classykit.comparing.comparison: figures, differences and budgets."""

import pytest
from compared import FIGURES, RESNETS
from torch import nn

import classykit as ck
from classykit.errors import ShapeError


class TestTotals:
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
        counted = lambda self, **keys: calls.append(self) or whole(self)  # noqa: E731
        monkeypatch.setattr(ck.inspecting.Inspection, "peak_memory", counted)
        c = ck.compare(RESNETS, budget={"params": 1e9})
        assert str(c) and c._repr_html_() and c.fits and c.to_pandas() is not None and calls == []
        c = ck.compare(RESNETS, budget={"memory": 1e9})
        assert str(c) and c._repr_html_() and "peak memory" in str(c)
        assert c.to_pandas()["memory"].tolist() == [whole(c[n]).total for n in RESNETS] and len(calls) == 3

    def test_a_memory_that_cannot_be_had_is_neither_within_nor_beyond(self, monkeypatch):
        def refuse(self, **keys):
            raise ShapeError("it had to be run on real numbers")

        monkeypatch.setattr(ck.inspecting.Inspection, "peak_memory", refuse)
        c = ck.compare(["resnet18", "resnet50"], budget={"memory": 1e9, "params": 20e6})
        assert not c.fits and set(c.over) == {"resnet50"}
        assert "memory not known" in str(c) and c.to_pandas()["fits"].isna().tolist() == [True, False]
        assert ck.compare(["resnet18", "resnet50"], sort="memory").names == ("resnet18", "resnet50")

    def test_of_a_batch_and_without_what_is_not_counted(self):
        c = ck.compare(["efficientnet_b0", "resnet18"], classifier={"efficientnet_b0": False})
        whole = ck.inspect("efficientnet_b0")
        weights = 4 * sum(b.params for b in whole.classifier)
        assert c.peak_memory("efficientnet_b0", 8) == whole.peak_memory(batch_size=8).total - weights
        assert c.peak_memory("resnet18") == c.figure("resnet18", "memory") < c.peak_memory("resnet18", 8)
