"""Other people's logs as studies: original files, untouched, into the same store.

One file a format (`deepobs`, `opda`, `step_back`, `csv_table`) turns files into runs; `study` turns runs into
trials; `known_tasks` has what is known of published tasks.
"""

from robustness.importers.formats import FORMATS, import_logs, surveyed
from robustness.importers.study import Survey

__all__ = ["FORMATS", "Survey", "import_logs", "surveyed"]
