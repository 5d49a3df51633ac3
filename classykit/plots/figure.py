"""A matplotlib figure that shows itself in a notebook."""

from __future__ import annotations

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A Figure of no pyplot window, which would be kept alive and, drawn from a notebook's threads, cut off.

    It brings its own PNG form, because a kernel that never imported pyplot shows a plain Figure as text.
    """

    def savefig(self, fname: Any, **keys: Any) -> None:
        """As matplotlib saves it, but words stay words in SVG and PDF: they can be found, and edited."""
        with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
            super().savefig(fname, **keys)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()
