"""What people click: the Explorer and its views. Every widget is a view of plain objects that work without it."""

from classykit.widgets.design_lab import DesignLab, design_lab
from classykit.widgets.explorer import Explorer, explore

__all__ = ["DesignLab", "Explorer", "design_lab", "explore"]
