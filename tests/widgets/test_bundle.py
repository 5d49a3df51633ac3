"""classykit.widgets.bundle: one module and one stylesheet, that fetch nothing."""

import re

import pytest

from classykit.widgets import bundle, explorer

MODULE, STYLE = str(explorer.Explorer._esm), str(explorer.Explorer._css)


def test_the_parts_are_in_it_each_by_its_name():
    assert MODULE.count("export default { render };") == 1 and MODULE.rstrip().endswith("export default { render };")
    for part in explorer._PARTS:
        assert f"const {part} = (() => {{" in MODULE
        assert re.search(rf"\b{part}\.render\(|: {part},\n", MODULE), f"nothing draws {part}"
    assert not re.search(r"^\s*import\b|\bimport\(", MODULE, re.MULTILINE)


def test_the_style_fetches_nothing():
    assert STYLE.count("{") == STYLE.count("}") > 0
    assert not re.search(r"@import|url\(", STYLE)


def test_a_part_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(bundle, "_read", lambda name: "function render() {}")
    with pytest.raises(ValueError, match=r"code_view.js has to end with: export default"):
        bundle.module("explorer", ["code_view"])
