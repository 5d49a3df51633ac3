"""What results share: a text, an HTML form, and the notes that go with them."""

from __future__ import annotations

import html

from classykit.tables import Table, framed, said, terminal_width


class Finding:
    """A result that prints as a table, and shows as one in a notebook. Subclasses say what stands in it."""

    notes: tuple[str, ...] = ()

    def heading(self) -> str:
        """The line above."""
        raise NotImplementedError

    def table(self) -> Table | None:
        """The figures; None where the heading says all."""
        return None

    def __str__(self) -> str:
        table = self.table()
        rows = table.fitted(terminal_width()).to_text() if table else ()
        return "\n".join([self.heading(), *rows, *(f"{note}." for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table, above = self.table(), html.escape(self.heading())
        notes = [said(f"{note}.") for note in self.notes]
        return framed(table.to_html(above) if table else said(self.heading()), *notes)
