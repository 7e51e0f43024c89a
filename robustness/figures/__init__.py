"""Figures: numbers first (an Info), then a function that draws it. Torch-free."""

from robustness.figures.curves import CurvesInfo, curves_info, draw_curves
from robustness.figures.heatmap import HeatmapInfo, draw_heatmap, heatmap_info

__all__ = ["CurvesInfo", "HeatmapInfo", "curves_info", "draw_curves", "draw_heatmap", "heatmap_info"]
