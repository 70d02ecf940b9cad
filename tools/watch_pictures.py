"""Takes the README's pictures of `community watch` from a run's ledger, as it stood at one moment.

    .venv/bin/python tools/watch_pictures.py runs/quickstart-1 0.6

The second argument is the moment, as a share of the run. Fonts are not loaded from anywhere: the
reader's own monospace font is used, at the widths that the pictures state.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

from community.archive.ledger import LedgerReader
from community.run_folder import RunFolder
from community.tui.app import WatchApp
from community.tui.feed import News, RowsRead
from community.tui.screens.run_screen import RunScreen

OUT = Path(__file__).resolve().parents[1] / "docs"
SIZE = (150, 42)
PICTURES = {"watch": "1", "watch_lab": "2", "watch_topology": "5"}
FONTS = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace"


class Moment:
    """A source that shows a run as it stood, as if it were live."""

    def __init__(self, ledger: Path, share: float) -> None:
        with LedgerReader(ledger) as reader:
            rows = list(reader.rows())
        self.at_us = round(share * rows[-1].at_us)
        self.rows = tuple(row for row in rows if row.at_us <= self.at_us)

    def follow(self, post: Callable[[News], object]) -> None:
        """Hand the rows over."""
        post(RowsRead(self.rows, is_live=True, at_us=self.at_us))

    def close(self) -> None:
        """Nothing goes on."""


async def take(moment: Moment) -> None:
    """Write the pictures."""
    app = WatchApp(moment)
    async with app.run_test(size=SIZE) as pilot:
        for name, key in PICTURES.items():
            await pilot.press(key)
            screen = app.screen
            assert isinstance(screen, RunScreen)
            while screen.shown_seq < moment.rows[-1].seq or not app.fold.is_settled:
                await pilot.pause(0.1)
            await pilot.pause(0.5)
            svg = app.export_screenshot(title="community watch", simplify=True)
            svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
            svg = svg.replace("Fira Code, monospace", FONTS).replace("Fira Code", FONTS)
            (OUT / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(take(Moment(RunFolder.open(sys.argv[1]).ledger, float(sys.argv[2]))))
