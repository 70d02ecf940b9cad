"""The patch policy refuses by structure: names, characters, caps."""

from __future__ import annotations

import pytest

from trainer.errors import PatchRefusedError
from trainer.patch_policy import PatchPolicy, check_path, check_tree

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
        ({"train.py": b"\xff"}, "text"),
        ({"train.py": b"a\0b"}, "text"),
        ({"train.py": b"a\rimport os"}, "text"),
        ({"train.py": b"a\x1b[2K"}, "text"),
        ({"train.py": "a = 1 # \u202e".encode()}, "text"),
        ({"train.py": "a\u2028b".encode()}, "text"),
    ],
)
def test_forbidden_changes_are_refused_by_rule(changed: dict[str, bytes], rule: str):
    """Only editable paths, readable text and capped sizes get through."""
    with pytest.raises(PatchRefusedError) as caught:
        POLICY.apply(PARENT, changed)
    assert caught.value.rule == rule


def test_a_change_within_its_own_cap_can_still_overfill_the_tree():
    """The tree's cap holds beside the patch's cap."""
    policy = PatchPolicy(editable=("train.py",), tree_bytes=20, patch_bytes=60)
    with pytest.raises(PatchRefusedError) as caught:
        policy.apply({**PARENT, "data/table.txt": b"x" * 15}, {"train.py": b"LR = 3\n"})
    assert caught.value.rule == "size"
    assert "20" in str(caught.value)


@pytest.mark.parametrize("text", ["a = 'é'\n", "a\r\nb\r\n", "a\tb\f\n", "x = '→ 中'\n"])
def test_ordinary_text_of_any_language_passes(text: str):
    """Tabs, Windows line ends and other scripts are text like any other."""
    assert POLICY.apply(PARENT, {"train.py": text.encode()})["train.py"] == text.encode()
