"""What did people say? Readers of published files.

  knox     choices between segments in grid worlds, human and synthetic
  report   what is in a data set: labels, ties, duplicates, kinds of pairs

Readers never unpickle, convert every convention to ours (`types.Preferences`), and turn anything
unsound into one `types.DataError` that names file, field and fix.
"""

from rlax_pref.datasets import knox
from rlax_pref.datasets._report import Report, report

__all__ = [
    "Report",
    "knox",
    "report",
]
