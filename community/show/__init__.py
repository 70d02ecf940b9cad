"""What `community show` says of a run: one record, as JSON, as lines for a pipe, as tables.

Pure functions of the folded ledger. Next: `community.cli` prints it, benchmarks read the JSON.
"""

from community.show.folding import shown
from community.show.records import Shown
from community.show.retractions import retraction_lines
from community.show.tables import rendered
from community.show.text import leaderboard_text, summary_lines

__all__ = ["Shown", "leaderboard_text", "rendered", "retraction_lines", "shown", "summary_lines"]
