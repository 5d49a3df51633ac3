"""classykit.finding: a text, an HTML form, and notes; what comes from a model is escaped."""

from classykit.finding import Finding
from classykit.tables import Cell, Column, Line, Table


class Found(Finding):
    notes = ("Untrained <b>",)

    def heading(self):
        return "Of <script>"

    def table(self):
        return Table([Column("block")], [Line([Cell("<i>stem")])])


class Bare(Finding):
    def heading(self):
        return "All <there> is"


def test_text():
    text = str(Found())
    assert text.startswith("Of <script>\n") and "<i>stem" in text and text.endswith("\nUntrained <b>.")
    assert repr(Found()) == text and str(Bare()) == "All <there> is"


def test_html_is_escaped():
    for found in (Found(), Bare()):
        html = found._repr_html_()
        assert not any(tag in html for tag in ("<script>", "<i>stem", "<b>", "<there>"))
    assert "&lt;script&gt;" in Found()._repr_html_() and "Untrained &lt;b&gt;." in Found()._repr_html_()
