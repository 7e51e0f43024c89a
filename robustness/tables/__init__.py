"""Tables: a frozen layout first, then one writer a format. Torch-free."""

from robustness.tables.csv import write_csv, write_measured_csv
from robustness.tables.html import write_html
from robustness.tables.latex import write_latex
from robustness.tables.layout import Spanner, TableLayout, tuned_table
from robustness.tables.markdown import write_markdown
from robustness.tables.measured import Measurement
from robustness.tables.pivot import pivot_table
from robustness.tables.standard import standard_table

__all__ = [
    "Measurement",
    "Spanner",
    "TableLayout",
    "pivot_table",
    "standard_table",
    "tuned_table",
    "write_csv",
    "write_html",
    "write_latex",
    "write_markdown",
    "write_measured_csv",
]
