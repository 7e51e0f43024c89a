"""Figures: numbers first (an Info), then a function that draws it; `FIGURES` has all of them by name. Torch-free."""

from robustness.figures.gallery import FIGURES, Request, applicable, draw
from robustness.figures.learning import Cell
from robustness.figures.style import COLUMN, CONFIG, PAGE

__all__ = ["COLUMN", "CONFIG", "FIGURES", "PAGE", "Cell", "Request", "applicable", "draw"]
