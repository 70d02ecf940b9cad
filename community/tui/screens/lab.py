"""Lab: the slots' time, what runs, the queue with its reasons, use of the pool, spend and caps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from community.tui.fold import Look
from community.tui.pictures.lab import LabPicture, lab_picture, time_axis, timeline
from community.tui.screens.run_screen import Keys, RunScreen
from community.tui.widgets.pick_list import PickList, titled
from community.tui.widgets.text_lines import TextLines

_NAME_CELLS = 8


class LabScreen(RunScreen):
    """Slots, queue, spend."""

    MODE = "lab"
    ABOUT = (
        "Each slot as a line of time: █ screens, ▓ reproductions, in the colour of who asked; "
        "▒ the lab's own runs; · idle. Below each what runs. The queue is in the order in which "
        "slots are given, with the reason. Busy shares are of 10 % to 90 % of the run so far."
    )
    KEYS: ClassVar[Keys] = (
        ("z", "the last ten minutes, or all of the run"),
        ("Enter", "open what waits"),
        ("Tab", "slots, queue, spend"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("z", "zoom", "Zoom")]

    def __init__(self) -> None:
        super().__init__()
        self._is_whole = False
        self._picture: LabPicture | None = None

    def body(self) -> Iterator[Widget]:
        """Yield the panes."""
        slots, queue, spend = TextLines(id="slots"), PickList(id="queue"), TextLines(id="spend")
        slots.border_title, queue.border_title, spend.border_title = (
            "Slots",
            "Queue",
            "Use and spend",
        )
        yield Vertical(slots, Horizontal(queue, spend, id="below"), id="lab")

    @property
    def subject(self) -> str:
        """The hypothesis that the experiment under the cursor serves."""
        chosen = self.query_one("#queue", PickList).chosen
        return chosen.about[0] if chosen is not None else ""

    def look(self) -> Look:
        """Paint the lab."""
        wanted, is_whole = self.wanted, self._is_whole
        return lambda scene: lab_picture(scene, wanted, is_whole=is_whole)

    def show(self, picture: object) -> None:
        """Show it, the timeline at the pane's width."""
        assert isinstance(picture, LabPicture)
        self._picture = picture
        self._draw_slots()
        queue = self.query_one("#queue", PickList)
        said = self.wanted.said()
        queue.border_title = titled(f"Queue ({picture.waiting}) {said}".rstrip())
        queue.fill(picture.queue)
        self.query_one("#spend", TextLines).show(picture.spend)

    def on_resize(self) -> None:
        """Draw the timeline at the new width."""
        self.call_after_refresh(self._draw_slots)

    def _draw_slots(self) -> None:
        picture, pane = self._picture, self.query_one("#slots", TextLines)
        width = pane.scrollable_content_region.width - _NAME_CELLS - 6
        if picture is None or width < 10:
            return
        lines = [Text(f"{'':<{_NAME_CELLS + 6}}").append_text(time_axis(picture, width))]
        for slot in picture.slots:
            head = Text(f"{slot.name[:_NAME_CELLS]:<{_NAME_CELLS}} ", style="bold")
            head.append(f"{slot.busy_share:>4.0%} ", style="")
            lines.append(head.append_text(timeline(slot, picture, width)))
            lines.append(Text(f"{'':<{_NAME_CELLS + 6}}").append_text(slot.work))
        pane.show(lines)

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        """Open what waits."""
        self.desk.open_page(event.line.about[0])

    def action_zoom(self) -> None:
        """Change between the last ten minutes and all of the run."""
        self._is_whole = not self._is_whole
        self.ask()
