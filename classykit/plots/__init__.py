"""What people look at: matplotlib figures, returned and never shown by force."""

from classykit.plots.cost import cost_bars
from classykit.plots.features import feature_grid
from classykit.plots.film import feature_film
from classykit.plots.profile import benchmark_bars, profile_bars
from classykit.plots.receptive_field import receptive_field_curve
from classykit.plots.scatter import cost_scatter
from classykit.plots.shapes import shape_flow

__all__ = [
    "benchmark_bars", "cost_bars", "cost_scatter", "feature_film", "feature_grid", "profile_bars",
    "receptive_field_curve", "shape_flow",
]  # fmt: skip
