"""What people look at: matplotlib figures, returned and never shown by force."""

from classykit.plots.arithmetic import arithmetic_figure
from classykit.plots.attention import attention_distance, attention_heads, attention_rollout
from classykit.plots.cost import cost_bars
from classykit.plots.effective_field import effective_field_map
from classykit.plots.evidence import evidence_at_every_depth, evidence_map, faithfulness_curves
from classykit.plots.features import feature_grid, feature_map
from classykit.plots.film import feature_film
from classykit.plots.filters import filters
from classykit.plots.overlay import overlay
from classykit.plots.patches import patch_rows
from classykit.plots.profile import benchmark_bars, profile_bars
from classykit.plots.receptive_field import receptive_field_curve
from classykit.plots.scatter import cost_scatter
from classykit.plots.shapes import shape_flow
from classykit.plots.similarity import similarity_map
from classykit.plots.token_pca import token_pca

__all__ = [
    "arithmetic_figure", "attention_distance", "attention_heads", "attention_rollout", "benchmark_bars", "cost_bars",
    "cost_scatter", "effective_field_map", "evidence_at_every_depth", "evidence_map", "faithfulness_curves",
    "feature_film", "feature_grid", "feature_map", "filters", "overlay", "patch_rows", "profile_bars",
    "receptive_field_curve", "shape_flow", "similarity_map", "token_pca",
]  # fmt: skip
