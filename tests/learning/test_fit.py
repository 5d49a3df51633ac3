"""classykit.learning.fit: how heads have learnt, in words and figures."""

import pytest

from classykit.learning.fit import Fit, HeadFit


@pytest.fixture
def fit():
    heads = {
        "parity": HeadFit("block1-0", [0.7, 0.5], [0.6, 0.75], known=240),
        "digit": HeadFit("block3-2", [2.3, 0.4], [0.5, 0.91], known=50),
        "new": HeadFit("trunk_output"),
    }
    return Fit("lite", heads, 2, 0.01, 32, 0, 0.2, False, learnt_from=240, held_out=60, notes=("It is small.",))


def test_figures_by_head(fit):
    assert fit.losses == {"parity": [0.7, 0.5], "digit": [2.3, 0.4], "new": []}
    assert fit.accuracy == {"parity": 0.75, "digit": 0.91}


def test_it_is_said(fit):
    words = "parity", "block3-2", "240 pictures", "60 held out", "the trunk stays as it is", "2.300 → 0.400", "0.910"
    missing = [one for form in (str(fit), fit._repr_html_()) for one in (*words, "It is small.") if one not in form]
    assert missing == []


def test_the_whole_model_is_said(fit):
    fit.trunk = True
    assert "the whole model" in str(fit)


def test_it_is_drawn(fit):
    assert [axes.get_xlabel() for axes in fit.plot().axes] == ["epoch", "epoch"]
