"""The report of a run: figures and one HTML file, computed from its ledger alone."""

from community.report.page import write_report

__all__ = ["write_report"]
