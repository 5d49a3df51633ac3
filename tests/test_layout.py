"""The layout of the house: imports go down only, and no circle within a room."""

import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_floors_are_kept(monkeypatch, capfd):
    api = importlib.import_module("importlinter.cli")
    monkeypatch.chdir(ROOT)
    assert api.lint_imports(no_cache=True, is_debug_mode=False) == 0, capfd.readouterr().out
