"""What people look at: matplotlib figures, returned and never shown by force."""

from classykit.plots.architecture import architecture
from classykit.plots.arithmetic import arithmetic_figure
from classykit.plots.attention import attention_distance, attention_heads, attention_rollout
from classykit.plots.cost import cost_bars
from classykit.plots.design_space import edf, quantised_widths
from classykit.plots.effective_field import effective_field_map
from classykit.plots.evidence import evidence_at_every_depth, evidence_map, evidence_of_channels, faithfulness_curves
from classykit.plots.features import feature_grid, feature_map
from classykit.plots.film import feature_film
from classykit.plots.filters import filters
from classykit.plots.fit import fit_curves
from classykit.plots.overlay import overlay
from classykit.plots.patches import patch_rows
from classykit.plots.probe import probe_curves
from classykit.plots.profile import benchmark_bars, profile_bars
from classykit.plots.receptive_field import receptive_field_curve
from classykit.plots.roofline import roofline
from classykit.plots.scatter import cost_scatter
from classykit.plots.shapes import shape_flow
from classykit.plots.similarity import similarity_map
from classykit.plots.token_pca import token_pca

__all__ = [
    "architecture", "arithmetic_figure", "attention_distance", "attention_heads", "attention_rollout",
    "benchmark_bars", "cost_bars", "cost_scatter", "edf", "effective_field_map", "evidence_at_every_depth",
    "evidence_map", "evidence_of_channels", "faithfulness_curves", "feature_film", "feature_grid", "feature_map",
    "filters", "fit_curves", "overlay", "patch_rows", "probe_curves", "profile_bars", "quantised_widths",
    "receptive_field_curve", "roofline", "shape_flow", "similarity_map", "token_pca",
]  # fmt: skip
