"""One pass on the meta device: shapes, MACs, memory, receptive fields, and the report of them."""

from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import BlockInfo, Inspection

__all__ = ["BlockInfo", "Inspection", "inspect"]
