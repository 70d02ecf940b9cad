"""The house rules that no linter holds: length, names, and documents that tell the truth."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from community.task_lock import must_be_as_expected
from trainer.task import list_tasks, load_task
from trainer.task_kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 400
FUNCTION_LINES = 60
"""Without decorators and docstring. The aim is 40; this is where it stops being a question."""
PLACES = (
    "agents",
    "benchmarks",
    "community",
    "forum",
    "scenarios",
    "scoring",
    "tests",
    "tools",
    "trainer",
)
SAYS_NOTHING = ("Manager", "Handler", "Helper", "Util", "Utils", "Core", "Engine")
SAYS_NOTHING_FILES = ("util", "utils", "helper", "helpers", "common", "misc", "base", "core")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> frozenset[str]:
    """Return every file of the repository, tracked or about to be, as paths from its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30)
        listed = done.stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):  # a tarball, or another user's checkout
        listed = [
            path.relative_to(ROOT).as_posix()
            for place in PLACES
            for path in (ROOT / place).rglob("*")
            if "__pycache__" not in path.parts
        ] + [path.name for path in ROOT.iterdir()]
    return frozenset(path for path in listed if path and (ROOT / path).is_file())


def sources() -> list[str]:
    """Return the Python files, sorted."""
    return sorted(path for path in files() if path.endswith(".py"))


@cache
def syntax(path: str) -> ast.Module:
    """Return the syntax tree of one of our files."""
    return ast.parse((ROOT / path).read_bytes())


def walk(kinds: tuple[type[ast.AST], ...]) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node of these kinds with the file it stands in."""
    for path in sources():
        for node in ast.walk(syntax(path)):
            if isinstance(node, kinds):
                yield path, node


def body_lines(function: Function) -> int:
    """Count a function's lines from ``def`` to its end, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        first = function.body[0]
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def text_of(name: str) -> str:
    """Return one of the documents at the top of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def is_ignored(path: str) -> bool:
    """Whether `path` is made by running the program (``runs/``) and kept out of git."""
    return f"{path.rstrip('/')}/" in text_of(".gitignore").split()


def is_there(path: str) -> bool:
    """Whether a path that a document names is a file, or a folder with files in it.

    Paths that begin with one of our folders are taken from the root; others (``start/train.py``)
    must be the end of some file's path.
    """
    path = path.strip("/")
    every = files()
    from_root = path in every or any(known.startswith(f"{path}/") for known in every)
    if from_root or path.split("/")[0] in PLACES:
        return from_root
    return any(f"/{known}".endswith(f"/{path}") for known in every)


def spelt_out(path: str) -> list[str]:
    """Return the paths that ``forum/{ids,board}.py`` stands for."""
    match = re.search(r"\{([^{}]*)\}", path)
    if match is None:
        return [path]
    before, after = path[: match.start()], path[match.end() :]
    return [
        full for word in match[1].split(",") for full in spelt_out(before + word.strip() + after)
    ]


def code_blocks(text: str) -> list[str]:
    """Return the fenced blocks of a Markdown text."""
    return re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def tree_paths(block: str) -> list[str]:
    """Return the paths that a drawn folder tree names, each from the root.

    An entry is the first word of a line, after any of ``│├└─``; further entries of the line follow
    as long as they look like paths too. Deeper entries are indented below a folder's.
    """
    found: list[str] = []
    stack: list[tuple[int, str]] = []
    for line in block.splitlines():
        match = re.match(r"([\s│├└─|`+-]*)(\S+)", line)
        if match is None:
            continue
        indent, entry = len(match[1]), match[2].removeprefix("./")
        if not re.fullmatch(
            r"[\w./{},-]+/|[\w./{},-]+\.(py|toml|md|tcss|txt)|Makefile|LICENSE", entry
        ):
            continue
        while stack and stack[-1][0] >= indent:
            stack.pop()
        path = (stack[-1][1] if stack else "") + entry
        found += spelt_out(path)
        if entry.endswith("/"):
            stack.append((indent, path))
    return found


def test_no_python_file_is_longer_than_four_hundred_lines():
    """One concept, one file."""
    long = {path: len((ROOT / path).read_text().splitlines()) for path in sources()}
    assert {path: lines for path, lines in long.items() if lines > FILE_LINES} == {}


def test_no_function_is_longer_than_sixty_lines():
    """A function fits on a screen."""
    long = {
        f"{path}:{node.lineno} {node.name}": body_lines(node)
        for path, node in walk((ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, Function)
    }
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES} == {}


def test_names_say_what_a_thing_is():
    """No class is called by a word that fits every class, and no file either."""
    classes = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in walk((ast.ClassDef,))
        if isinstance(node, ast.ClassDef)
        and (node.name.endswith(SAYS_NOTHING) or re.match(r"_?Base(?![a-z])", node.name))
    ]
    modules = [path for path in sources() if Path(path).stem in SAYS_NOTHING_FILES]
    assert classes + modules == []


def test_every_test_says_in_one_sentence_what_it_proves():
    """A test's docstring is the promise it keeps."""
    silent = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in walk((ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, Function)
        and Path(path).name.startswith("test_")
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_test_files_have_names_of_their_own():
    """Test folders are no packages, so two files of one name would hide each other."""
    names = [Path(path).name for path in sources() if Path(path).name.startswith("test_")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    "name",
    ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile"],
)
def test_the_documents_are_there(name: str):
    """What a visitor looks for first is there and not empty."""
    assert text_of(name).strip()


def test_the_readme_shows_the_two_commands():
    """`make run` and `make test` stand in code blocks, ready to copy."""
    code = "\n".join(code_blocks(text_of("README.md")))
    assert "make run" in code
    assert "make test" in code


def test_the_readme_has_no_placeholders_left():
    """A line that is one word in capitals waits for a result that was never put in."""
    assert re.findall(r"^[A-Z_]{8,}$", text_of("README.md"), re.MULTILINE) == []


def test_the_readmes_tree_is_true():
    """Every folder and file of the tree in the README exists."""
    trees = [block for block in code_blocks(text_of("README.md")) if "forum/" in block]
    named = [path for block in trees for path in tree_paths(block)]
    assert {"forum/", "trainer/", "scoring/", "agents/", "community/", "scenarios/"} <= set(named)
    assert [path for path in named if not is_there(path) and not is_ignored(path)] == []


def test_paths_in_the_architecture_are_true():
    """Every Python and TOML file that ARCHITECTURE.md names exists (``<name>`` stands for any)."""
    words = re.findall(r"[\w./<>*{},-]+\.(?:py|toml)\b", text_of("ARCHITECTURE.md"))
    named = {path for word in words if not set(word) & set("<>*") for path in spelt_out(word)}
    assert len(named) > 10
    assert sorted(path for path in named if not is_there(path)) == []


def test_the_tree_reader_sees_nested_entries():
    """The reader itself: nesting, glyphs, braces and remarks."""
    block = (
        "forum/      how they talk\n├── ids.py   names\n  board.py\ntests/\n    a/b.py\n{x,y}.md\n"
    )
    assert tree_paths(block) == [
        "forum/", "forum/ids.py", "forum/board.py", "tests/", "tests/a/b.py", "x.md", "y.md",
    ]  # fmt: skip


def test_the_truth_check_refuses_what_is_not_there():
    """The check itself: a false path fails, also where its ending alone would be true."""
    assert is_there("tests/test_house_rules.py")
    assert is_there("tests/")
    assert is_there("test_house_rules.py")
    assert not is_there("trainer/test_house_rules.py")
    assert not is_there("house_rules.py")
    assert not is_there("nowhere/")


WRITTEN_WITH_USERS_DATA = {"nanolm-gpu"}
"""Tasks that bring no data: whoever records theirs writes the manifest with it."""


def test_the_committed_lock_manifests_are_current():
    """Whoever changes what decides scores writes it down: community lock write TASK."""
    for folder in list_tasks():
        if folder.name in WRITTEN_WITH_USERS_DATA:
            continue
        if KINDS[(task := load_task(folder)).kind].grader:
            must_be_as_expected(task)
