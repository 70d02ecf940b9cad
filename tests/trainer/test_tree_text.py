"""Trees compared and joined: what git would say, of whatever bytes."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from trainer.tree_text import diff_trees, merge_trees

START = b"A = 1\n# a\nB = 2\n# b\nC = 3\n"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="the git program is missing")


def tree(**knobs: int) -> dict[str, bytes]:
    """Return the start tree with some constants changed."""
    text = START.decode()
    for name, value in knobs.items():
        old = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
        text = text.replace(old, f"{name} = {value}")
    return {"train.py": text.encode()}


def edited(text: bytes, draw: random.Random) -> bytes:
    """Return `text` with a few lines dropped, doubled, changed or without their end."""
    lines = text.split(b"\n")
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(lines))
        lines[at : at + 1] = draw.choice(
            [[], [lines[at]] * 2, [b"new %d" % draw.randrange(9)], [b""], [b"caf\xe9\r"]]
        ) or ([] if len(lines) > 1 else [b"x"])
    return b"\n".join(lines)


@needs_git
@pytest.mark.parametrize("compare", [True, False])
def test_git_applies_every_patch(tmp_path: Path, compare: bool):
    """Hunks, new, emptied and deleted files, missing newlines: git makes the newer tree of them."""
    draw = random.Random(2)
    for number in range(12):
        older = {"train.py": START * 4, "gone.py": b"x\n", "a/full.py": b"1\n", "one.py": b"1"}
        newer = {"train.py": edited(START * 4, draw), "a/full.py": b"", "one.py": b"2\n"}
        newer |= {"b/new.py": b"y", "empty.py": b""}
        patch = diff_trees(older, newer, compare=compare)
        if "\ufffd" in patch:
            continue
        folder = tmp_path / str(number)
        for path, content in older.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        (tmp_path / "p.patch").write_bytes(patch.encode())
        command = ["git", "apply", "--whitespace=nowarn", str(tmp_path / "p.patch")]
        environment = {"GIT_CEILING_DIRECTORIES": str(tmp_path), "PATH": "/usr/bin:/bin"}
        subprocess.run(command, cwd=folder, check=True, timeout=30, env=environment)
        made = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        assert {path: place.read_bytes() for path, place in made.items()} == newer


def test_a_patch_shows_three_lines_around_a_change():
    """Far lines stay out, and equal trees make no patch."""
    older = {"train.py": b"".join(b"%d\n" % n for n in range(20))}
    newer = {"train.py": older["train.py"].replace(b"10\n", b"ten\n")}
    assert diff_trees(older, newer) == (
        "diff --git a/train.py b/train.py\nindex 19df0a2..bc47c19 100644\n"
        "--- a/train.py\n+++ b/train.py\n@@ -8,7 +8,7 @@\n"
        " 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n"
    )
    assert diff_trees(older, older) == ""


def test_patches_of_binary_and_odd_files_are_text():
    """Binary content is named, bytes that are not UTF-8 are replaced, nothing raises."""
    older, newer = tree(), {**tree(), "data.bin": b"\0\1", "latin.txt": b"caf\xe9\n"}
    patch = diff_trees(older, newer)
    assert "Binary files /dev/null and b/data.bin differ" in patch
    assert "\0" not in patch
    assert "+caf\ufffd\n" in patch
    assert "a/data.bin" in diff_trees(newer, older)


def test_a_long_patch_is_cut_and_says_so():
    """A patch that is shown to minds is bounded."""
    patch = diff_trees(tree(), {"train.py": b"x = 1\n" * 5000}, cap_bytes=1000)
    assert len(patch) < 1100
    assert patch.endswith("+x = 1\n[patch cut at 1000 bytes]\n")


def test_edits_of_different_knobs_merge():
    """A comment line between two knobs is enough to keep their edits apart."""
    merged = merge_trees(tree(), tree(A=9), tree(B=8))
    assert merged.files == tree(A=9, B=8)
    assert merged.conflicts == ()
    assert merge_trees(tree(), tree(B=8), tree(A=9)).files == merged.files


def test_conflicts_keep_the_first_side_and_are_reported():
    """Where both changed a line the first wins; the other's separate edits still come in."""
    merged = merge_trees(tree(), tree(A=9), tree(A=7, C=8))
    assert merged.files == tree(A=9, C=8)
    assert merged.conflicts == ("train.py",)
    assert merge_trees(tree(), tree(A=7, C=8), tree(A=9)).files == tree(A=7, C=8)


def test_what_one_side_took_back_is_taken_back():
    """Only changes since the common ancestor count."""
    assert merge_trees(tree(A=5), tree(A=1), tree(A=5, C=8)).files == tree(A=1, C=8)


def test_a_merge_with_an_ancestor_is_the_descendant():
    """There is nothing to merge on a straight line, nor where both did the same."""
    assert merge_trees(tree(), tree(), tree(A=9)).files == tree(A=9)
    assert merge_trees(tree(), tree(A=9), tree()).files == tree(A=9)
    assert merge_trees(tree(), tree(A=9), tree(A=9)).conflicts == ()


def test_files_deleted_added_or_binary_on_both_sides_follow_the_first():
    """Conflicts that have no lines are settled whole, by the first side, and reported."""
    base = {"train.py": START, "gone.txt": b"1\n", "data.bin": b"\0" * 50}
    ours = {"train.py": START, "data.bin": b"\0" * 50 + b"a", "new.txt": b"a\n"}
    theirs = {"train.py": START, "gone.txt": b"2\n", "data.bin": b"\0b", "new.txt": b"b\n"}
    assert merge_trees(base, ours, theirs).files == ours
    assert merge_trees(base, ours, theirs).conflicts == ("data.bin", "gone.txt", "new.txt")
    assert merge_trees(base, theirs, ours).files == theirs


def test_a_file_against_a_folder_of_its_name_follows_the_first():
    """Even a clash of names gives a tree that can be committed."""
    merged = merge_trees(tree(), {**tree(), "x": b"file"}, {**tree(), "x/y": b"inner"})
    assert merged.conflicts == ("x/y",)
    assert merged.files == {**tree(), "x": b"file"}


@needs_git
def test_merges_agree_with_gits_own(tmp_path: Path):
    """Random edits on both sides: the same lines, or a conflict that git sees as well."""
    draw = random.Random(3)
    base = b"".join(b"line %d\n" % n for n in range(40))
    agreed = 0
    for _ in range(40):
        ours, theirs = edited(base, draw), edited(base, draw)
        for name, text in (("base", base), ("ours", ours), ("theirs", theirs)):
            (tmp_path / name).write_bytes(text)
        command = ["git", "merge-file", "-p", "--ours", "ours", "base", "theirs"]
        git = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=30)
        merged = merge_trees({"f": base}, {"f": ours}, {"f": theirs})
        agreed += merged.files["f"] == git.stdout
    assert agreed >= 36
