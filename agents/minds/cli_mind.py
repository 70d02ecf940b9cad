"""A coding agent as the model behind a language mind: one start of its program is one answer.

`agents.minds.language_mind` asks it as it asks any model, pays, records and parses; here a question
becomes an errand, and what the program left becomes tool calls. A program that was killed at its
deadline has answered if it wrote down what it wants done.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from agents.minds.cli_output import Said, read_output
from agents.minds.cli_presets import Cli
from agents.minds.commands import ACTIONS_FILE, Commands, Errand, Left, Shown
from agents.minds.exchange import CallFailedError, Failed, Question, Reply, ToolCall
from agents.minds.prompt_files import filled
from agents.minds.prompting import Prompt, Tool
from agents.minds.worktree import PROPOSE, calls_of
from agents.observation import Observation
from agents.prices import MICRO_USD, Usage

WORK = PurePosixPath("/work")
"""Where the program finds its tree (`trainer.commands.records`)."""
LEAST_S = 5.0
"""With less time left in a turn nothing is started."""
_SIGNS: Mapping[Failed, str] = {
    "no_key": r"api key|log ?in|unauthori[sz]ed|authentication|\b40[123]\b",
    "rate_limited": r"rate.?limit|usage limit|quota|\b429\b",
    "overloaded": r"overloaded|\b529\b|\b503\b",
    "bad_request": r"invalid_request|\b400\b",
}
"""How programs speak of each in their errors, in small letters: they say it in words alone."""


class CliModel:
    """One agent's program.

    Args:
        cli: how it is started and read.
        commands: runs it, in the agent's own home.
    """

    def __init__(self, cli: Cli, commands: Commands) -> None:
        self._cli = cli
        self._commands = commands
        self._turn = -1
        self._deadline = 0.0

    async def aclose(self) -> None:
        """Nothing is open between two turns."""

    async def ask(self, question: Question) -> Reply:
        """Start the program once, and return what came of it.

        Raises:
            CallFailedError: nothing did.
            MindError: it cannot be run here.
        """
        seen = question.observation
        assert seen is not None
        base = question.prompt.parent
        tree = dict(seen.trees.get(base, {}))
        session = self._commands.session if self._cli.resume else ""
        errand = Errand(
            turn=seen.turn,
            round=0 if question.earlier is None else 1,
            arguments=self._cli.command_line(session),
            stdin=_words(question, self._cli, sorted(tree), is_known=bool(session)),
            shown=commits_shown(seen),
            base=base,
            wall_s=self._left_s(seen.turn, is_first=question.earlier is None),
        )
        left = await self._commands.run(errand)
        said = read_output(self._cli.output, left.stdout)
        clean = self._commands.scrubbed  # JSON may have spelt a key's letters otherwise
        said = replace(said, text=clean(said.text), error=clean(said.error))
        if said.session and self._cli.resume:
            self._commands.keep_session(said.session)
        earlier = question.earlier.calls if question.earlier is not None else ()
        accepted = {name for name, word in question.results.items() if word == "accepted"}
        is_proposed = any(each.name == PROPOSE and each.call_id in accepted for each in earlier)
        calls = tuple(
            ToolCall(each.call_id, clean(each.name), clean(each.arguments))
            for each in calls_of(left, said, tree, base, is_proposed=is_proposed)
        )
        if not calls or (said.error and left.actions is None):
            self._fail_for(left, said, is_resumed=bool(session))
        is_counted = left.how == "exited"  # else it may have used more than it had told
        usage, micro_usd = said.usage or Usage(), self._charge(said)
        return Reply(calls, said.text, "complete", usage, None, is_counted, micro_usd)

    def _left_s(self, turn: int, *, is_first: bool) -> float:
        """Return how long the program may run; both rounds of a turn share its time."""
        now = asyncio.get_running_loop().time()
        if is_first and turn != self._turn:
            self._turn, self._deadline = turn, now + self._cli.wall_s
        if self._deadline - now < min(LEAST_S, self._cli.wall_s):
            why = f"the {self._cli.wall_s:g} s of this turn are used up"
            raise CallFailedError("too_long", why, is_free=True)
        return self._deadline - now

    def _charge(self, said: Said) -> int:
        """Return what a turn costs, in millionths of a dollar: told, or priced, or declared."""
        if self._cli.usd_per_turn == 0.0:
            return 0  # by a subscription, say, whatever it would have cost otherwise
        if said.micro_usd is not None:
            return said.micro_usd
        if said.usage is not None and self._cli.price is not None:
            return self._cli.price.micro_usd(said.usage)
        return round((self._cli.usd_per_turn or 0.0) * MICRO_USD)

    def _fail_for(self, left: Left, said: Said, *, is_resumed: bool) -> None:
        """Raise if a program that asked for nothing did so because something went wrong.

        Raises:
            CallFailedError: with the kind, and what is known of its cost.
        """
        usage = said.usage
        told = usage is not None or said.micro_usd is not None
        micro_usd = self._charge(said) if told else None
        if left.how != "exited":
            why = f"it was killed ({left.how}) and had asked for nothing"
            if left.how == "spent":
                why = f"{why}: it said it had used {'' if usage is None else usage.tokens} tokens"
            raise CallFailedError(
                "too_long", why, usage=usage, micro_usd=micro_usd, is_counted=False
            )
        if said.is_cut or (left.code == 0 and not said.error):
            return  # it said nothing that can be used, and may be told so
        if is_resumed:
            self._commands.keep_session("")  # the next try begins anew
        words = said.error or left.stderr.strip()[-300:] or f"it ended with {left.code}"
        if left.turned_down:
            words += f" (not among its hosts: {', '.join(left.turned_down)})"
        raise CallFailedError(_kind(words), words[:600], usage=usage, micro_usd=micro_usd)


def stdin_text(prompt: Prompt, cli: Cli, paths: Sequence[str]) -> str:
    """Return all that a program is told at the beginning of a turn.

    Args:
        prompt: what every mind that reads is told.
        cli: the program.
        paths: of the files that can be changed.
    """
    how = filled(
        "cli",
        work=str(WORK),
        base=prompt.parent or "none, since no code has reached you",
        paths=", ".join(paths) or "none",
        file=ACTIONS_FILE,
        minutes=f"{cli.wall_s / 60:.3g}",
        tools="\n".join(_tool_text(tool) for tool in prompt.tools),
    )
    return "\n\n".join([*prompt.parts.values(), how])


def commits_shown(observation: Observation) -> tuple[Shown, ...]:
    """Return the commits that an agent can read, parents first."""
    trees = observation.trees
    known = {each.commit: each for each in observation.known if trees.get(each.commit)}
    shown: dict[str, Shown] = {}
    waiting = [*known]
    while waiting:
        ready = [c for c in waiting if not (set(known[c].parents) - {c}) & (set(waiting) - {c})]
        for commit in ready or waiting[:1]:
            each = known[commit]
            parents = tuple(parent for parent in each.parents if parent in shown)
            title = f"{each.status or 'start'}, by {each.author}"
            shown[commit] = Shown(commit, parents, title, trees[commit])
            waiting.remove(commit)
    return tuple(shown.values())


def _words(question: Question, cli: Cli, paths: Sequence[str], *, is_known: bool) -> str:
    """Return what the program reads: all of the prompt, or what it has to do again."""
    if question.earlier is None:
        return stdin_text(question.prompt, cli, paths)
    again = filled("cli_again", again=question.again.strip(), file=ACTIONS_FILE)
    return again if is_known else f"{stdin_text(question.prompt, cli, paths)}\n\n{again}"


def _tool_text(tool: Tool) -> str:
    schema, description = dict(tool.parameters), tool.description
    if tool.name == PROPOSE:  # what its description says of edits does not hold here
        description = description.partition(". ")[0] + "."
        own = ("edits", "parent")
        kept = {key: value for key, value in schema["properties"].items() if key not in own}
        schema |= {"properties": kept, "required": [n for n in schema["required"] if n in kept]}
    return f"{tool.name}: {description}\n{json.dumps(schema)}"


def _kind(words: str) -> Failed:
    """Return the failure that a program's words speak of."""
    small = words.lower()
    found = (kind for kind, signs in _SIGNS.items() if re.search(signs, small))
    return next(found, "server_error")
