"""Tables: a frozen layout first, then one writer a format. Torch-free."""

from robustness.tables.csv import write_csv
from robustness.tables.html import write_html
from robustness.tables.latex import write_latex
from robustness.tables.layout import TableLayout, tuned_table
from robustness.tables.markdown import write_markdown

__all__ = ["TableLayout", "tuned_table", "write_csv", "write_html", "write_latex", "write_markdown"]
