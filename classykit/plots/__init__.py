"""What people look at: matplotlib figures, returned and never shown by force."""

from classykit.plots.features import feature_grid

__all__ = ["feature_grid"]
