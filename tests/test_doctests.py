"""Every example in a docstring does what it shows."""

import doctest
import importlib
import io
import pkgutil

import pytest

import classykit
from classykit.heads.classy_head import HEADS
from classykit.models.factory import MODELS

MODULES = [m.name for m in pkgutil.walk_packages(classykit.__path__, "classykit.")]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def test_the_public_names_have_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [t for m in MODULES for t in finder.find(importlib.import_module(m)) if t.examples]
    assert len(found) > 25


@pytest.fixture(autouse=True)
def registries_as_they_were(monkeypatch):
    for registry in (MODELS, HEADS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    loaded, shown = importlib.import_module(module), io.StringIO()
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in doctest.DocTestFinder().find(loaded, module):
        runner.run(test, out=shown.write)
    assert runner.summarize(verbose=False).failed == 0, shown.getvalue()
