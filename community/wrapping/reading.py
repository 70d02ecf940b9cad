"""What somebody's code says of how it is run: its command, its number, its time, its data.

Read with regular expressions from text, never executed or imported. Every guess is shown before
anything is written, and each has an option of `community init` that overrides it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from agents.constants import find_constants

Direction = Literal["lower", "higher"]

_RUN_LINE: Final = re.compile(
    r"\b(?:uv run|poetry run|python3?)[ \t]+(?:python3?[ \t]+)?([A-Za-z0-9_./][\w./-]*\.py)\b"
    r"((?:[ \t]+--?[A-Za-z][\w-]*(?:[= \t][\d.]+|=[\w./:-]+)?)*)"
)
_OUTPUTS: Final = frozenset(
    {
        *("out", "output", "outputs", "runs", "logs", "log", "wandb", "results", "checkpoints"),
        *("checkpoint", "ckpt", "ckpts", "models", "figures", "plots", "tmp", "build", "dist"),
    }
)
"""Folders that scripts write to; shown read-only they would break them."""
_PRINTED: Final = re.compile(
    r"""(?x) (?:print|write|info) \(? [^\n"']*
        (?: [fr]{0,2} "(?P<one>[^"\n]*)" | [fr]{0,2} '(?P<two>[^'\n]*)' )
        (?P<after> [ \t]*,[ \t]*[A-Za-z_] )?"""
)
_METRIC: Final = re.compile(r"([A-Za-z_][\w/-]{1,40})[ \t]*[:=][ \t]*(?=\{|%\.|%[dfsg]|$)")
_LOWER: Final = re.compile(
    r"loss|bpb|bpc|ppl|perplex|err|rmse|mse|mae|wer|cer|nll|latency|seconds|time|cost|regret|fid",
    re.IGNORECASE,
)
_HIGHER: Final = re.compile(
    r"acc|f1|auc|bleu|rouge|score|reward|return|r2|map|mrr|ndcg|recall|precision|iou|dice|win"
    r"|throughput|per_s",
    re.IGNORECASE,
)
_VALIDATION: Final = re.compile(r"val|test|eval|dev|final|held", re.IGNORECASE)
_TIME: Final = re.compile(r"(?i)time_budget|budget_s|max_seconds|time_limit|train_seconds|max_time")
_HOME_JOIN: Final = re.compile(
    r"""(?:expanduser\(\s*["']~["']\s*\)|Path\.home\(\))((?:\s*[,/]\s*["'][^"'\n]+["'])+)"""
)
_HOME: Final = re.compile(r"""["'](~/[^"'\n]{1,200})["']""")
_QUOTED: Final = re.compile(r"""["']([^"'\n]{1,200})["']""")
_UNITS: Final = (
    ("bpb", "bits per byte"), ("bpc", "bits per character"), ("loss", "nats"),
    ("acc", "share right"), ("ppl", "perplexity"), ("latency", "seconds"), ("seconds", "seconds"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Printed:
    """A line that the code prints a number in."""

    metric: str
    line: str
    """What stands before the number."""
    anywhere: bool
    """Whether something else that changes stands before that."""


def command_of(files: Mapping[str, bytes]) -> list[str] | None:
    """Return the command that a repository tells of, or that its names suggest."""
    for name in ("program.md", "README.md", "readme.md", "README.rst", "README"):
        for match in _RUN_LINE.finditer(_text(files.get(name, b""))):
            path = match[1].removeprefix("./")
            if path in files and not _is_preparation(path):
                return ["python", path, *match[2].split()]
    scripts = [path for path in files if path.endswith(".py") and _is_script(path, files[path])]
    ranked = sorted(scripts, key=lambda path: (_rank(path, files[path]), path.count("/"), path))
    return ["python", ranked[0]] if ranked else None


def _is_preparation(path: str) -> bool:
    return bool(re.search(r"prepare|download|setup|tokenize|data", path.rsplit("/", 1)[-1]))


def _is_script(path: str, content: bytes) -> bool:
    name = path.rsplit("/", 1)[-1]
    is_helper = name.startswith(("test_", "conftest", "setup", "__init__")) or "tests/" in path
    return not is_helper and not _is_preparation(path) and b"print" in content


def _rank(path: str, content: bytes) -> int:
    """Return how unlikely it is that this is what is run."""
    name = path.rsplit("/", 1)[-1]
    known = ("train.py", "main.py", "run.py", "__main__.py")
    place = known.index(name) if name in known else 4 if "train" in name else 5
    return place + (0 if b"__main__" in content or path == name else 4)


def defines_model(content: bytes) -> bool:
    """Whether a file defines `build_model()` and `train(model, run)`, as tasks of models do."""
    text = _text(content)
    has_model = re.search(r"(?m)^def build_model\(\s*\)", text) is not None
    return has_model and re.search(r"(?m)^def train\(\s*\w+[^,)]*,\s*run\b", text) is not None


def printed_in(text: str) -> list[Printed]:
    """Return the numbers that code prints by name, likeliest first."""
    found: list[tuple[int, int, Printed]] = []
    has_rule = re.search(r"""print\(\s*["']---["']""", text)
    for order, match in enumerate(_PRINTED.finditer(text)):
        literal = match["one"] if match["one"] is not None else match["two"]
        for metric in _METRIC.finditer(literal):
            if metric.end() == len(literal) and not match["after"]:
                continue  # nothing follows it
            before = literal[: metric.start()]
            piece = re.split(r"\}|%[.\d]*[dfsg]|\\[rnt]", before)[-1].lstrip(" |,;-")
            label = literal[metric.start() : metric.end()].rstrip()
            is_first = "{" not in before and "%" not in before
            line = f"{piece}{label}" if is_first else label
            told = Printed(re.sub(r"\W+", "_", metric[1]).strip("_"), line.strip(), not is_first)
            is_final = has_rule is not None and match.start() > has_rule.start()
            found.append((_weight(metric[1], before, is_final=is_final), order, told))
    return [told for weight, _, told in sorted(found, key=lambda each: each[:2]) if weight < 9]


def _weight(metric: str, before: str, *, is_final: bool) -> int:
    """Return how unlikely it is that this is the number that counts."""
    if direction_of(metric) is None:
        return 9
    if re.search(r"(?i)seconds|time|_mb|memory|throughput|per_s", metric):
        return 8
    weight = 4
    weight -= 2 if _VALIDATION.search(metric) or _VALIDATION.search(before) else 0
    weight -= 1 if is_final else 0
    weight += 2 if re.search(r"(?i)train|epoch|step", before + metric) else 0
    return weight


def direction_of(metric: str) -> Direction | None:
    """Return which way a number of this name is better; None where the name does not say."""
    if _LOWER.search(metric):
        return "lower"
    return "higher" if _HIGHER.search(metric) else None


def unit_of(metric: str) -> str:
    """Return a number's unit by its name."""
    return next((unit for part, unit in _UNITS if part in metric.lower()), "points")


def seconds_of(files: Mapping[str, bytes]) -> float | None:
    """Return the time budget that the code gives itself in seconds, None without one."""
    for path in sorted(files):
        if path.endswith((".py", ".toml")):
            for name, place in find_constants(_text(files[path]))[0].items():
                is_number = isinstance(place.value, int | float) and place.value is not True
                if _TIME.search(name) and is_number and 0 < float(place.value) < 1e6:
                    return float(place.value)
    return None


def data_of(files: Mapping[str, bytes], root: str) -> list[tuple[str, str]]:
    """Return (place on this machine, path inside) of data that the code names and that are here."""
    found: dict[str, str] = {}
    for path in sorted(files):
        if not path.endswith((".py", ".toml", ".json", ".yaml", ".cfg", ".ini")):
            continue
        text = _text(files[path])
        for match in _HOME_JOIN.finditer(text):
            inner = "/".join(part.strip("/") for part in _QUOTED.findall(match[1]))
            _add(found, f"~/{inner}", os.path.expanduser(f"~/{inner}"))
        for word in _HOME.findall(text):
            _add(found, word, os.path.expanduser(word))
        for word in map(_local, _QUOTED.findall(text)):
            part = word.split("/")[0]
            if not part or part in _OUTPUTS or word in files:
                continue
            target = word if _is_known(part, files) else part
            if not _is_known(target, files):
                _add(found, target, os.path.join(root, target))
    targets = sorted(found)
    return [
        (found[target], target)
        for target in targets
        if not any(target.startswith(f"{other}/") for other in targets)
    ]


def _local(word: str) -> str:
    """Return a quoted word as a path within the repository; empty where it cannot be one."""
    word = word.removeprefix("./").rstrip("/")
    return word if re.fullmatch(r"\w[\w.-]*(?:/\w[\w.-]*)*", word) else ""


def _is_known(part: str, files: Mapping[str, bytes]) -> bool:
    return any(path == part or path.startswith(f"{part}/") for path in files)


def _add(found: dict[str, str], target: str, place: str) -> None:
    target = os.path.normpath(target)
    if os.path.exists(place) and target not in ("~", ".") and ".." not in target.split("/"):
        found[target] = place


def imported_by(path: str, files: Mapping[str, bytes]) -> list[str]:
    """Return the files of the repository that one of its files imports by name."""
    found = []
    pattern = r"(?m)^\s*(?:from\s+([\w.]+)\s+import\s+([\w, ]+)|import\s+([\w., ]+))"
    for match in re.finditer(pattern, _text(files[path])):
        names = [match[1]] if match[1] else (match[3] or "").replace(" ", "").split(",")
        if match[1]:
            names += [f"{match[1]}.{name.strip()}" for name in match[2].split(",")]
        for name in filter(None, names):
            tail = name.strip(".").replace(".", "/")
            ends = (
                f"{tail}.py",
                f"src/{tail}.py",
                f"{os.path.dirname(path)}/{tail}.py".lstrip("/"),
            )
            found += [end for end in ends if end in files and end != path]
    return list(dict.fromkeys(found))


def _text(content: bytes) -> str:
    return content[: 1 << 18].decode(errors="replace")
