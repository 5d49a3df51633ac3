"""classykit.learning.fit_code: the loop as plain PyTorch; that it does the same is in test_fit_heads."""

import ast

import pytest

from classykit.learning.fit import Fit, HeadFit
from classykit.learning.fit_code import fit_code


@pytest.mark.parametrize("trunk", [False, True])
@pytest.mark.parametrize("name", ["digit", 'a"b', "a\nb", "{x}", "é\u202e"])
def test_it_is_python_whatever_heads_are_called(trunk, name):
    fit = Fit("net", {name: HeadFit("block0-0", layer="fc")}, 5, 0.01, 32, 7, 0.2, trunk, 80, 20)
    code = fit_code(fit)
    ast.parse(code)
    assert "manual_seed(7)" in code and "lr=0.01" in code and "order[:20]" in code and "\u202e" not in code
