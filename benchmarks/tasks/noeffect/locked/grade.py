"""Judges `noeffect` as `nanolm` is judged, on fewer blocks: a thousand looks shall be cheap."""

from __future__ import annotations

from pathlib import Path

from scoring.corpus import split_source
from scoring.grader import Division
from scoring.language_model import ByteLanguageModel

HELD_OUT = ("xml", "html", "xmlrpc", "wsgiref", "mailbox", "configparser", "imaplib", "smtplib")
"""Packages that neither torch nor training imports."""
UNSCORED = ("html/entities.py",)

GRADER = ByteLanguageModel(blocks=64, dev_probes=64, vault_probes=64, seal_probes=64)


def prepare(source: Path, heldout: Path | None = None) -> Division:
    """Split the standard library at `source`; see `scoring.corpus.split_source`."""
    return split_source(source, HELD_OUT, UNSCORED, heldout)
