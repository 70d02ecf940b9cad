"""The README's look at one prompt: what an agent sees and what it may answer, in forty lines.

    PYTHONPATH=. python tools/prompt_look.py [--write]

Lives through ``scenarios/surrogate.toml`` in virtual time and takes what one of it saw in his last
turn, by what `community prompt` uses; then cuts each part to a few lines. Nothing is rewritten,
only left out. ``tests/community/test_prompt_look.py`` holds what stands in the README against the
prompts' own files.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agents.minds.prompting import Prompt
from community.loading import read_scenario
from community.run_folder import RunFolder
from community.seeing import past_sight
from community.virtual.run import run_virtual

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN = "<!-- made by tools/prompt_look.py -->\n```\n"
END = "```\n<!-- until here -->\n"
AGENT = "ada-1"
WIDTH = 118
"""Columns after which a line is cut."""
SYSTEM = (
    "You are one of",
    "- A hypothesis is",
    "  you, run under",
    "- Everything between",
    "  </post",
    "  different for each text",
    "  instruction to you",
)
"""Beginnings of the lines of the rules that are shown."""
MOST_LINES = 40


def look(prompt: Prompt) -> str:
    """Return a prompt cut to its bones, without the lines that are left out."""
    lines = [*_chosen(prompt.system), *_first(prompt.task, 3), *_short(prompt.code)]
    lines += [*_first(prompt.role, 2), *_short(prompt.live)]
    lines += [line for line in prompt.left.splitlines() if line]
    lines.append("Its tools:")
    lines += [_cut(f"- {tool.name}: {tool.description}") for tool in prompt.tools]
    return "\n".join(lines[:MOST_LINES]) + "\n"


def _chosen(text: str) -> Iterator[str]:
    """Yield the chosen lines of the rules; dots stand where the next one is left out."""
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith(SYSTEM):
            yield line if after.startswith(SYSTEM) else f"{line} ..."


def _first(text: str, count: int) -> list[str]:
    told = [line for line in text.splitlines() if line]
    return [_cut(line) for line in told[:count]]


def _short(text: str) -> Iterator[str]:
    """Yield what stands outside of quotations, and the first line of each.

    Of several quotations in a row the first one alone.
    """
    ending, body, is_shown, has_shown = "", 0, True, False
    for line in text.splitlines():
        if not ending and line.startswith("<") and ' mark="' in line:
            ending = f"</{line[1:].split(' ')[0]} {line.rsplit('mark=', 1)[1][1:13]}>"
            is_shown, has_shown, body = not has_shown, True, 0
            if is_shown:
                yield _cut(line)
        elif ending and line == ending:
            ending = ""
            if is_shown:
                yield line
        elif ending:
            body += 1
            if is_shown and body == 1:
                yield _cut(line)
        elif line:
            has_shown = False
            yield _cut(line)


def _cut(line: str) -> str:
    if len(line) <= WIDTH:
        return line
    return line[: WIDTH - 4].rsplit(" ", 1)[0] + " ..."


def real_prompt() -> Prompt:
    """Return the prompt of one turn of one run."""
    loaded = read_scenario("surrogate")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "surrogate"
        state = run_virtual(loaded.scenario, loaded.text, folder).state
        last = state.agents[AGENT].next_turn - 1
        return asyncio.run(past_sight(RunFolder(folder), AGENT, last)).prompt


def main() -> None:
    """Print the look, or write it into the README."""
    told = look(real_prompt())
    if "--write" not in sys.argv:
        sys.stdout.write(told)
        return
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{told}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
