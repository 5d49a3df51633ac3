"""The table of small trained networks that lesson 7 reads: from the spaces, the budget and the recipe that it names."""

import ast
import importlib.util
import json
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import classykit as ck

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "train_design_spaces.py"
ERRORS = ["error_0", "error_1", "error_2"]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def nets():
    return pd.read_csv(ROOT / "notebooks" / "design_spaces.csv")


def test_both_spaces_have_as_many(nets):
    counts = nets.space.value_counts().to_dict()
    assert set(counts) == {"RegNet", "AnyNet"}
    assert counts["RegNet"] == counts["AnyNet"] >= 30


def test_its_networks_are_those_that_the_script_draws(nets, script):
    n = len(nets) // 2
    assert [(space, json.loads(config)) for space, config in zip(nets.space, nets.config, strict=True)] == [
        *script.in_turns(n)
    ]


def test_all_are_within_the_budget(nets, script):
    low, high = script.BUDGET
    assert nets.macs.between(low, high).all()


def test_errors_are_shares(nets):
    assert nets[ERRORS].notna().all(axis=None)
    assert nets[ERRORS].ge(0).all(axis=None) and nets[ERRORS].le(1).all(axis=None)


@pytest.mark.parametrize("row", [0, 1, -2, -1])
def test_costs_are_those_that_inspect_counts(nets, row):
    of = nets.iloc[row]
    cost = ck.inspect(json.loads(of.config), (1, 16, 16))
    assert (cost.macs, cost.params) == (of.macs, of.params)


def recipe(source):
    """The lines of error_of, without its docstring."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    body = next(node.body for node in functions if node.name == "error_of")
    return [
        ast.unparse(line) for line in body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
    ]


def test_the_lesson_trains_as_the_script_does():
    lesson = nbformat.read(ROOT / "notebooks" / "07_design_space.ipynb", as_version=4)
    cell = next(cell.source for cell in lesson.cells if "def error_of" in cell.source)
    assert recipe(cell) == recipe(SCRIPT.read_text(encoding="utf-8"))


def test_a_network_learns(nets, script):
    best = nets.sort_values(ERRORS[0]).iloc[0]
    assert script.error_of(json.loads(best.config), seed=1) < 0.4  # a guess is wrong nine times of ten
