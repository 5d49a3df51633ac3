"""One pass on the meta device: shapes, MACs, memory, receptive fields, and the report of them."""

from classykit.inspecting.block_info import BlockInfo
from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import Inspection

__all__ = ["BlockInfo", "Inspection", "inspect"]
