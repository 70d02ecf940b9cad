"""Edits as models write them: what applies, and the exact reason where one does not."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.minds.editing import MOST_EDITS, Edit, apply_edits
from agents.minds.patches import parse_patch

TREE = {"a.py": "x = 1\ny = 2\n\ndef f():\n    return x\n", "b.py": "z = 3\n"}
LINES = st.lists(
    st.text(alphabet="ab \t=@-+\\", max_size=6).filter(lambda line: "\n" not in line), max_size=12
)


def replace(search: str, text: str, path: str = "a.py") -> Edit:
    """Return a search and replace."""
    return Edit(path, "replace", search, text)


def diff(text: str, path: str = "a.py") -> Edit:
    """Return a unified diff."""
    return Edit(path, "diff", "", text)


def test_several_edits_of_several_files_apply_in_order():
    """Later edits see what earlier ones left."""
    edits = [
        replace("y = 2", "y = 4"),
        replace("y = 4", "y = 5"),
        Edit("b.py", "whole", "", "z = 9"),
    ]
    done = apply_edits(TREE, edits)
    assert done.faults == ()
    assert dict(done.files) == {
        "a.py": TREE["a.py"].replace("y = 2", "y = 5"),
        "b.py": "z = 9\n",
    }


def test_one_fault_spoils_all_of_it_and_every_fault_is_told():
    """All or nothing, and all reasons at once."""
    done = apply_edits(TREE, [replace("y = 2", "y = 4"), replace("q", "r"), replace("w", "v")])
    assert dict(done.files) == {}
    assert [fault[:6] for fault in done.faults] == ["edit 2", "edit 3"]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (replace("y = 3", "y = 4"), "does not occur"),
        (replace("x", "w"), "occurs 2 times (from lines 1, 5)"),
        (replace("y = 2\n\ndef g():", "q"), "line 4 is 'def f():' and you wrote 'def g():'"),
        (replace(" \n", "q"), "is empty"),
        (replace("z", "q", "c.py"), "files that can be edited: a.py, b.py"),
        (Edit("", "whole", "", "q"), "name the file"),
        (diff("@@ -1,2 +1,2 @@\n x = 1\n-y = 3\n+y = 4\n"), "its old lines do not occur"),
        (diff("y = 3"), "neither header nor hunk"),
        (diff(""), "no hunk"),
        (diff("@@\n-x = 1\n+x = 1\n"), "changes nothing"),
        (diff("@@ -1 +1 @@\n?x = 1\n"), "begins with '?'"),
        (diff("--- a/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x = 1\n"), "removes"),
        (diff("--- a/a\n+++ b/a\n@@\n-x\n+y\n--- a/b\n+++ b/b\n@@\n-x\n+y\n"), "diff of 2 files"),
        (Edit("b.py", "whole", "", "z = 3"), "change nothing"),
    ],
)
def test_what_does_not_apply_says_exactly_why(edit, reason):
    """A model gets the reason back, so it has to say what to do."""
    done = apply_edits(TREE, [edit])
    assert dict(done.files) == {}
    assert reason in done.faults[0]


def test_too_many_edits_are_refused_unread():
    """Work on an answer is bounded."""
    assert "at most" in apply_edits(TREE, [replace("y", "z")] * (MOST_EDITS + 1)).faults[0]
    assert apply_edits(TREE, [Edit("a.py", "whole", "", "a" * 300_000)]).faults
    assert apply_edits(TREE, []).faults


def test_a_hunk_is_found_where_it_stands_whatever_its_header_says():
    """Models count lines badly; the old lines decide, where they are unique."""
    moved = diff("@@ -40,2 +40,2 @@\n def f():\n-    return x\n+    return x + 1\n")
    (text,) = apply_edits(TREE, [moved]).files.values()
    assert text.endswith("    return x + 1\n")
    twice = {"a.py": "x\ny\nx\ny\n"}
    assert "occur 2 times" in apply_edits(twice, [diff("@@ -9 +9 @@\n-y\n+z\n")]).faults[0]
    exact = apply_edits(twice, [diff("@@ -4 +4 @@\n-y\n+z\n")])
    assert dict(exact.files) == {"a.py": "x\ny\nx\nz\n"}


@given(before=LINES, after=LINES, context=st.integers(0, 3))
def test_whatever_difflib_writes_applies(before, after, context):
    """A diff between two texts turns the one into the other, with any amount of context."""
    old, new = ("".join(line + "\n" for line in lines) for lines in (before, after))
    lines = difflib.unified_diff(
        old.splitlines(True), new.splitlines(True), "a/a.py", "b/a.py", n=context
    )
    patch = "".join(lines)
    done = apply_edits({"a.py": old}, [diff(patch)])
    if old == new:
        assert done.faults
    elif old:
        assert done.faults == ()
        assert dict(done.files) == {"a.py": new}


@given(st.text(alphabet="@-+ \\ab\n", max_size=80))
def test_no_text_breaks_the_reader(text):
    """Whatever is written for a diff is read, or refused in words."""
    assert isinstance(parse_patch(text), (dict, str))
    apply_edits(TREE, [diff(text)])


def test_git_s_diff_of_several_files_is_parted_by_file():
    """Headers of ``git diff`` are passed over; each file has its hunks."""
    text = (
        "diff --git a/a.py b/a.py\nindex 1..2 100644\n--- a/a.py\n+++ b/a.py\n"
        "@@ -1 +1 @@\n-x = 1\n+x = 2\n\\ No newline at end of file\n"
        "diff --git a/b.py b/b.py\n--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@ def f():\n-z = 3\n+z = 4\n"
    )
    files = parse_patch(text)
    assert isinstance(files, dict)
    assert {path: [hunk.new for hunk in hunks] for path, hunks in files.items()} == {
        "a.py": [("x = 2",)],
        "b.py": [("z = 4",)],
    }
