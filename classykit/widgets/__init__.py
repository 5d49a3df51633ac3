"""What people click: the Explorer and its views. Every widget is a view of plain objects that work without it."""

from classykit.widgets.explorer import Explorer, explore

__all__ = ["Explorer", "explore"]
