"""The layout of the house: imports go down only, no circle within a room, and tests mirror the source."""

import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: suites that are about no single module
ACROSS = {
    "test_any_input.py": "what a model is called with, through every verb",
    "test_doctests.py": "the examples of all modules",
    "test_foreign.py": "two hundred models of other libraries",
    "test_interrupts.py": "an interrupt at any line, through every verb",
    "test_import.py": "the face of the kit, and what importing it brings along",
    "test_layout.py": "this one",
    "test_site.py": "the pages of the site, which .ci/site makes",
    "test_odd_objects.py": "what cannot be shown or copied, in the place of everything",
    "teaching/test_course.py": "the lessons: their answers are right, and students' notebooks come from teachers'",
    "teaching/test_design_table.py": "the table of trained networks that lesson 7 reads, and the script that made it",
    "models/test_architectures.py": "what the field builds, adopted",
    "models/test_bad_input.py": "odd configs and pictures, for every family",
    "models/test_exchange.py": "states to and from ClassyVision, for every family",
    "models/test_moves.py": "how the features of foreign models are read",
    "models/test_new_family.py": "a family that is added in a file of its own",
    "models/test_parity.py": "all that ClassyVision registers, part by part",
    "models/test_reference_configs.py": "the model configs of ClassyVision's repository",
    "models/test_robustness.py": "threads, compilers, copies and data parallelism, for every family",
    "weights/test_convert_timm.py": "models of timm, of every family",
    "browser/test_explorer.py": "the Explorer in a real front end",
    "browser/test_bare.py": "the Explorer on a page of its own",
    "browser/test_attention.py": "its tab of attention, as a person uses it",
    "browser/test_bar.py": "the head of the Explorer: picker, budget, Cancel",
    "browser/test_picker.py": "models that are picked, to be on the screen or beside",
    "browser/test_heads.py": "heads and keys in the Explorer",
    "browser/test_map.py": "the map of blocks",
    "browser/test_layers.py": "the Layers tab on a page of its own",
    "browser/test_blocks.py": "the Blocks tab on a page of its own",
    "browser/test_compare.py": "the Compare tab on a page of its own",
    "browser/test_features.py": "the tab of feature maps, its unit and its pictures, in a browser",
    "browser/test_design_lab.py": "the design lab, on a page of its own and in JupyterLab",
    "browser/test_panels_in_jupyterlab.py": "every panel in JupyterLab, by mouse and by keyboard, in both themes",
    "browser/test_recorded.py": "the Explorer in a file of its own",
    "browser/test_lab.py": "notebooks in a real JupyterLab",
    "browser/test_why.py": "the Why tab on a page of its own",
    "browser/test_information.py": "the Information tab on a page of its own",
}


def modules_in(folder, pattern):
    return {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob(pattern)}


SOURCES = {path for path in modules_in("classykit", "*.py") if path.name != "__init__.py"}
TESTS = modules_in("tests", "test_*.py")


def test_the_floors_are_kept(monkeypatch, capfd):
    api = importlib.import_module("importlinter.cli")
    monkeypatch.chdir(ROOT)
    assert api.lint_imports(no_cache=True, is_debug_mode=False) == 0, capfd.readouterr().out


def test_a_module_has_its_tests():
    missing = {path.with_name(f"test_{path.name}") for path in SOURCES} - TESTS
    assert not missing, f"these are wanted in tests/: {', '.join(sorted(map(str, missing)))}"


def test_a_test_module_is_that_of_a_module_or_across_all():
    across = set(map(Path, ACROSS))
    strangers = {path for path in TESTS - across if path.with_name(path.name.removeprefix("test_")) not in SOURCES}
    assert not strangers, f"these test no module of classykit by its name: {', '.join(sorted(map(str, strangers)))}"
    assert across <= TESTS, f"these are gone: {', '.join(sorted(map(str, across - TESTS)))}"
