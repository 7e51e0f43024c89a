"""Figures: numbers first (an Info), then a function that draws it. Torch-free."""
