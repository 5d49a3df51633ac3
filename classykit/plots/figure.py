"""A matplotlib figure that shows itself in a notebook."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A Figure of no pyplot window, which would be kept alive and, drawn from a notebook's threads, cut off.

    It brings its own PNG form, because a kernel that never imported pyplot shows a plain Figure as text.
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()
