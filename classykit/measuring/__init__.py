"""Figures that are measured: benchmarks, and where the time of a pass goes."""
