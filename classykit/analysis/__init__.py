"""What people ask of a model: inspect, capture. Nothing here changes the model that is asked."""

from classykit.analysis.capture import capture
from classykit.analysis.inspection import BlockInfo, Inspection, inspect

__all__ = ["BlockInfo", "Inspection", "capture", "inspect"]
