"""The patch policy refuses by structure: names, characters, caps."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from trainer.errors import PatchRefusedError
from trainer.patch_policy import PatchPolicy, check_path, check_tree
from trainer.task import find_task, load_task

PARENT = {"train.py": b"LR = 1\n", "data/table.txt": b"a\n"}
POLICY = PatchPolicy(editable=("train.py",), tree_bytes=100, patch_bytes=60, patch_files=2)


@pytest.mark.parametrize(
    "path", ["train.py", "model/layers.py", "a-b_c.d1", "_private.py", "a/b/c/d"]
)
def test_plain_relative_paths_pass(path: str):
    """Ordinary names of an ordinary tree are accepted."""
    check_path(path)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("", "path"),
        ("/etc/passwd", "path"),
        ("../train.py", "path"),
        ("a/../b", "path"),
        ("./train.py", "path"),
        ("a//b", "path"),
        ("a/", "path"),
        ("a\\b", "path"),
        ("a/b/c/d/e", "path"),
        ("x" * 121, "path"),
        (".git", "name"),
        (".git/config", "name"),
        ("a/.hidden", "name"),
        ("-rf", "name"),
        ("a b", "name"),
        ("a\n", "name"),
        ("a\0b", "name"),
        ("train.py\u202e", "name"),
        ("tra\u0456n.py", "name"),
        ("train.", "name"),
        ("C:x", "name"),
        (".gitattributes", "name"),
        (".gitmodules", "name"),
        ("model/HEAD", "name"),
        ("hooks/post-checkout", "name"),
        ("objects/ab", "name"),
        ("NUL.py", "name"),
        ("com1", "name"),
        ("sitecustomize.py", "name"),
        ("__pycache__/train.cpython-311.pyc", "name"),
        ("model/fast.so", "name"),
        ("extra.PTH", "name"),
        ("\ufb01le.py", "name"),
        ("train.py ", "name"),
    ],
)
def test_path_tricks_are_refused_with_path_and_rule(path: str, rule: str):
    """Each trick is refused, and the error carries the escaped path and the rule's name."""
    with pytest.raises(PatchRefusedError) as caught:
        check_path(path)
    assert caught.value.rule == rule
    assert caught.value.path == (ascii(path[:120]) if path else "")
    assert str(caught.value).isprintable()
    assert rule in str(caught.value)


@pytest.mark.parametrize("other", ["TRAIN.py", "train.py/inner.py", "Train.PY/x"])
def test_clashing_names_are_refused(other: str):
    """Two spellings of one name, or a file that is also a folder, cannot both be in a tree."""
    with pytest.raises(PatchRefusedError) as caught:
        check_tree({"train.py": b"", other: b""})
    assert caught.value.rule == "clash"


def test_a_folder_and_its_neighbour_do_not_clash():
    """A name that merely starts like a folder's name is fine."""
    check_tree({"model/a.py": b"", "model.py": b"", "model-a.py": b"", "model/b.py": b""})


def test_tree_at_the_cap_passes_and_one_byte_more_is_refused():
    """The cap counts all contents together."""
    check_tree({"a.py": b"x" * 60, "b.py": b"x" * 40}, tree_bytes=100)
    with pytest.raises(PatchRefusedError) as caught:
        check_tree({"a.py": b"x" * 60, "b.py": b"x" * 41}, tree_bytes=100)
    assert caught.value.rule == "size"


def test_an_allowed_change_gives_the_whole_new_tree():
    """The parent's other files stay, equal files are ignored, the arguments are left alone."""
    parent = dict(PARENT)
    tree = POLICY.apply(parent, {"train.py": b"LR = 2\n", "data/table.txt": b"a\n"})
    assert tree == {"train.py": b"LR = 2\n", "data/table.txt": b"a\n"}
    assert parent == PARENT


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"data/table.txt": b"b\n"}, "editable"),
        ({"new.py": b"x"}, "editable"),
        ({"Train.py": b"x"}, "editable"),
        ({"../train.py": b"x"}, "path"),
        ({"train.py": b"LR = 1\n"}, "unchanged"),
        ({}, "unchanged"),
        ({"train.py": b"#" * 61}, "size"),
        ({"a.py": b"", "b.py": b"", "c.py": b""}, "files"),
    ],
)
def test_forbidden_changes_are_refused_by_rule(changed: dict[str, bytes], rule: str):
    """Only editable paths and capped sizes get through."""
    with pytest.raises(PatchRefusedError) as caught:
        POLICY.apply(PARENT, changed)
    assert caught.value.rule == rule


def test_only_source_files_can_be_changed():
    """A binary file stays as the task has it, also where a task opens it."""
    policy = PatchPolicy(editable=("table.bin", "notes.md"))
    with pytest.raises(PatchRefusedError) as caught:
        policy.apply({"table.bin": b"a"}, {"table.bin": b"b"})
    assert caught.value.rule == "source"
    assert policy.apply({"notes.md": b"a"}, {"notes.md": b"b"}) == {"notes.md": b"b"}


def test_a_change_within_its_own_cap_can_still_overfill_the_tree():
    """The tree's cap holds beside the patch's cap."""
    policy = PatchPolicy(editable=("train.py",), tree_bytes=20, patch_bytes=60)
    with pytest.raises(PatchRefusedError) as caught:
        policy.apply({**PARENT, "data/table.txt": b"x" * 15}, {"train.py": b"LR = 3\n"})
    assert caught.value.rule == "size"
    assert "20" in str(caught.value)


def refused(
    text: bytes, *parents: bytes, start: bytes = b"LR = 1\n", path: str = "train.py", **caps: int
) -> str:
    """Return the rule by which a file's new text is refused, or an empty string."""
    policy = PatchPolicy(editable=(path,), **caps)
    try:
        policy.read({path: text}, [{path: each} for each in parents or (start,)], {path: start})
    except PatchRefusedError as error:
        return error.rule
    return ""


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"a\0b",
        b"a\rimport os",
        b"a\x1b[2K",
        "a = 1 # \u202e".encode(),
        "a\u2028b".encode(),
        "\ufeffa = 1\n".encode(),
        "a = '\u200b'\n".encode(),
        "a = 'e\ufe01'\n".encode(),
        "a = '\U000e0041'\n".encode(),
        "a = '\ue000'\n".encode(),
        b"# coding: utf-7\na = 1\n",
        b"\n# -*- coding: latin_1 -*-\na = 1\n",
        b"#!x\n#vim:fileencoding=rot13\n",
        b"\r\n# coding: utf-16\n",
    ],
)
def test_text_that_shows_another_program_than_runs_is_refused(text: bytes):
    """Unseen characters, broken UTF-8, other line ends and other encodings."""
    assert refused(text) == "text"


@pytest.mark.parametrize(
    "text",
    [
        "a = 'é'\n",
        "a = 1\r\nb = 2\r\n",
        "a = 1\t\f\n",
        "x = '→ 中 نمی\u200cخواهم'\n",
        "# coding: UTF_8\n",
    ],
)
def test_ordinary_text_of_any_language_passes(text: str):
    """Tabs, Windows line ends and other scripts are text like any other."""
    assert refused(text.encode()) == ""


@pytest.mark.parametrize(
    "text", [b"def", b"x = " + b"(" * 5000, b"x = 1" + b"0" * 5000, b"x = (\n\n"]
)
def test_what_is_no_python_is_refused(text: bytes):
    """A file whose literals nobody can count is not taken."""
    assert refused(text) == "syntax"


@pytest.mark.parametrize(
    "text",
    [
        "x = '{}'",
        "x = b'{}'",
        "'''{}'''",
        "def f():\n    '{}'",
        "x = f'{}{{y}}'",
        "x = {{'{}': 1}}",
        "f(x='a' '{}')",
        "match x:\n    case '{}': pass",
        "x: '{}' = 1",
    ],
)
def test_literals_count_wherever_they_stand(text: str):
    """Strings, docstrings, parts of f-strings, keys, annotations and patterns are all literals."""
    assert refused(text.format("a" * 90).encode(), literal_bytes=99) == ""
    assert refused(text.format("a" * 100).encode(), literal_bytes=99) == "literals"


def test_numbers_count_by_what_they_can_tell():
    """Integers count their bytes in whatever base, floats eight bytes; many small ones add up."""
    assert refused(b"x = 0x" + b"f" * 180, literal_bytes=90) == ""
    assert refused(b"x = 0x" + b"f" * 182, literal_bytes=90) == "literals"
    assert refused(b"x = 1" + b"0" * 240, literal_bytes=90) == "literals"
    assert refused(b"x = [" + b"0.5, 1.5e-9j, " * 4 + b"]", literal_bytes=90) == "literals"
    assert refused(b"x = [" + b"7, " * 91 + b"]", literal_bytes=90) == "literals"


def test_literals_of_the_parents_are_free_and_new_ones_add_up():
    """Moving a parent's literals costs nothing; what is repeated or replaced is new."""
    known = b"x = '" + b"a" * 80 + b"'\n"
    assert refused(b"def f():\n    return '" + b"a" * 80 + b"'\n", known, literal_bytes=10) == ""
    assert refused(known * 2, known, literal_bytes=10) == "literals"
    assert refused(known.replace(b"a", b"b"), known, literal_bytes=10) == "literals"
    other = b"y = '" + b"b" * 80 + b"'\n"
    assert refused(known + other, known, other, literal_bytes=10) == ""
    assert refused(known + other, known, literal_bytes=10) == "literals"


def test_files_that_are_no_python_count_whole():
    """A program can open any file of its tree."""
    assert refused(b"a\n" * 3, start=b"a\n", path="notes.txt", literal_bytes=4) == ""
    assert refused(b"a\n" * 4, start=b"a\n", path="notes.txt", literal_bytes=4) == "literals"


_DRAW = random.Random(1)
NOISE = [_DRAW.randrange(1 << 24) for _ in range(40_000)]
CARRIERS = {
    "comments": "# " + "".join(chr(33 + n % 90) for n in NOISE[:12_000]),
    "names": "\n".join(f"_{n:06x} = x" for n in NOISE[:3_500]),
    "names' order": f"f({','.join('abcdefghijklmnop'[n % 16] for n in NOISE[:18_000])})",
    "operators": "\n".join(
        "x = a" + "".join("+-*/%|&^@<>"[n % 11] + "a" for n in NOISE[i : i + 20])
        for i in range(0, 20_000, 20)
    ),
    "blanks": "\n".join(
        " " * (n % 4) + "\t" * (n // 4 % 4) + "#" + "\t "[n % 2] * (n // 32 % 3)
        for n in NOISE[:20_000]
    ),
    "words": f"x = [{','.join(('None', 'True', '()', 'x')[n % 4] for n in NOISE)}]",
}
"""Ways to spell any bytes as a program without a literal."""


@pytest.mark.parametrize("carrier", CARRIERS)
def test_text_cannot_be_carried_as_code(carrier: str):
    """Without one literal, comments, names, operators and blanks meet the cap on novelty."""
    text = CARRIERS[carrier].encode()
    assert refused(text, text[: len(text) // 2], literal_bytes=1) == "novelty"


def test_novelty_adds_up_over_generations():
    """What a parent already brought counts again: the start is what is told beyond."""
    grown = b"LR = 1\n"
    for number in NOISE:
        text = grown + f"# {number:06x}{number * number:012x}\n".encode()
        if refused(text, grown):
            break
        grown = text
    assert refused(text, grown) == "novelty"
    assert 8192 < len(grown) < 3 * 8192


def test_honest_work_on_the_bundled_task_is_far_from_the_caps():
    """All numbers turned at once tell little; the whole start, written from nothing, fits."""
    start = load_task(find_task("nanolm", Path.cwd())).start["train.py"]
    turned = re.sub(rb"(?m)^([A-Z_0-9]+ = )\d[\d.]*$", rb"\g<1>0.0123", start)
    assert turned.count(b"0.0123") > 15
    assert refused(turned, start=start, literal_bytes=400, novel_bytes=400) == ""
    assert refused(start, start=b"import torch\n", literal_bytes=1 << 20) == ""
