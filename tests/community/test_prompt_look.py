"""The README's look at a prompt is one: every word of ours stands in the prompts' files."""

from __future__ import annotations

import json
import re
from pathlib import Path

from agents.minds.prompt_files import prompt_file
from agents.minds.prompting import tools_for
from agents.roles import load_role

README = Path(__file__).resolve().parents[2] / "README.md"
FACTS = r'( \w+="[^"]*")*'
OPENING = re.compile(rf'<(\w+){FACTS} (mark="(\w{{12}})">|\.\.\.)')
"""The first line of a quotation; a long one is cut."""


def shown() -> list[str]:
    """Return the lines of the look."""
    text = README.read_text(encoding="utf-8")
    _, _, rest = text.partition("<!-- made by tools/prompt_look.py -->\n```\n")
    block, found, _ = rest.partition("```\n<!-- until here -->\n")
    assert found
    return block.splitlines()


def patterns() -> list[re.Pattern[str]]:
    """Return a pattern for every line of our words, gaps for what is filled in."""
    texts = [prompt_file(f"{name}.md") for name in ("system", "task", "code", "role", "turn")]
    texts += json.loads(prompt_file("sections.json")).values()
    texts += [load_role("explorer").charter]
    tools = tools_for(load_role("explorer").rights)
    texts += [f"- {tool.name}: {tool.description}" for tool in tools]
    lines = [line for text in texts for line in text.splitlines()]
    ours = [line for line in lines if re.sub(r"\$\w+", "", line).strip()]
    return [re.compile(re.sub(r"\\\$\w+", ".*", re.escape(line))) for line in ours]


def is_ours(line: str) -> bool:
    """Whether a line, or the part before its dots, is one of the files'."""
    known = patterns()
    if any(pattern.fullmatch(line) for pattern in known):
        return True
    told = line.removesuffix(" ...")
    if told == line:
        return False
    return any(
        re.fullmatch(r"\ ".join(words[:count]), told)
        for words in (pattern.pattern.split(r"\ ") for pattern in known)
        for count in range(4, len(words) + 1)
    )


def test_the_look_is_forty_lines_of_a_real_prompt() -> None:
    """Outside of quotations nothing but our words; each quotation opens and ends; all tools."""
    lines = shown()
    assert 30 < len(lines) <= 40
    quoted = ""
    for line in lines:
        opening = OPENING.fullmatch(line)
        if opening is not None and not quoted:
            quoted = opening[1]
        elif quoted and re.fullmatch(rf"</{quoted} \w{{12}}>", line):
            quoted = ""
        elif not quoted:
            assert line == "Its tools:" or is_ours(line), line
    assert not quoted
    tools = lines[lines.index("Its tools:") + 1 :]
    names = [tool.name for tool in tools_for(load_role("explorer").rights)]
    assert [line[2:].partition(":")[0] for line in tools] == names
    for part in ("The task:", "The code to build on:", "Your role is", "notebook", "What did not"):
        assert any(part in line for line in lines)


def test_a_line_that_no_prompt_has_is_noticed() -> None:
    """The check itself."""
    assert is_ours("The task: mine")
    assert not is_ours("The tasks: mine")
    assert not is_ours("You may do what you like ...")
