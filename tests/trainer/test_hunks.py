"""Hunks: the same change has the same ids however it is dressed up, and can be taken back alone."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from functools import reduce
from pathlib import Path

import pytest
import pytest_asyncio

from trainer.errors import HunksInseparableError
from trainer.hunk_removal import without
from trainer.hunks import MOST_HUNKS, coarse_ids, hunk_ids
from trainer.text_process import TextProcess
from trainer.texts import TrustedTexts

START = (Path(__file__).parents[2] / "scenarios/tasks/nanolm/start/train.py").read_text()
SMEAR = '''
def smear(x, amount):
    """Mix each byte with the one before."""
    shifted = torch.roll(x, 1, dims=1)
    return x * (1 - amount) + shifted * amount

'''
BLUR = """
def blur(value, how_much):
    # my own idea
    former = torch.roll(
        value, 1, dims=1)
    print("junk")
    return value * (1 - how_much) + former * how_much

"""
MODEL = "# ---- the model ----\n"
EMBED = "x = norm(self.embed(tokens))"
STEP = "        for optimizer in optimizers:\n            optimizer.step()\n"
CLIP = "            nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)\n"

Changes = list[tuple[str, str]]
KNOB: Changes = [("DIM = 128", "DIM = 256")]
FUNCTION: Changes = [
    ("def activate(h)", SMEAR + "\ndef activate(h)"),
    (MODEL, MODEL + "SMEAR = 0.1\n"),
    (EMBED, "x = smear(norm(self.embed(tokens)), SMEAR)"),
]
MOVE: Changes = [
    ("        model.zero_grad()\n", ""),
    ("        loss.backward()\n", "        model.zero_grad()\n        loss.backward()\n"),
]
DELETION: Changes = [(CLIP, "            pass\n")]
WRAP: Changes = [(STEP, "        if step % 2:\n" + STEP.replace("        ", "            ", 1)
                  .replace("\n            o", "\n                o"))]  # fmt: skip
RESULT: Changes = [("return 1.0", "return 0.5")]
ALL = {
    "knob": KNOB, "function": FUNCTION, "move": MOVE, "deletion": DELETION, "wrap": WRAP,
    "result": RESULT,
}  # fmt: skip


def made(*changes: Changes) -> dict[str, bytes]:
    """Return the start's tree with these changes."""
    edits = [edit for change in changes for edit in change]
    return {"train.py": reduce(lambda text, edit: text.replace(*edit), edits, START).encode()}


BEFORE = made()


def ids(*changes: Changes) -> set[str]:
    """Return the hunks of that tree."""
    tree = made(*changes)
    assert tree != BEFORE
    return set(hunk_ids(BEFORE, tree))


def test_spelling_layout_and_comments_do_not_count():
    """Only what a change does is in its ids, and an id is 16 hexadecimal digits."""
    plain = ids([("WARMUP = 0.05", "WARMUP = 0.01")])
    for way in ("1e-2", ".01  # better", "(\n    0.01\n)", "0.1 / 10", "float"):
        text = f"WARMUP = {way}" if way[0] != "f" else "WARMUP: float = 0.01"
        assert ids([("WARMUP = 0.05", text)]) == plain
    (only,) = plain
    assert (len(only), int(only, 16) >= 0) == (16, True)
    assert hunk_ids(BEFORE, made([("\n# ----", "\n\n# -")])) == ()


def test_a_renamed_copy_among_junk_has_the_ids_of_what_it_copies():
    """New names, another order of definitions and new statements beside it hide nothing."""
    theirs = ids(FUNCTION)
    copy = ids(
        [
            ("def build_model", BLUR + "\ndef build_model"),
            (MODEL, MODEL + "import torch.nn.functional as G\nMIX: float = 1e-1\nJUNK = 5\n"),
            (EMBED, "x = blur(norm(self.embed(tokens)), MIX)\n        print(JUNK)"),
        ]
    )
    assert len(theirs) == 3
    assert theirs < copy


@pytest.mark.parametrize("name", ALL)
def test_a_change_has_the_same_ids_alone_and_among_others(name: str):
    """What else a tree changes does not matter to it."""
    assert ids(ALL[name]) <= ids(*ALL.values())


def test_changes_that_differ_have_different_ids():
    """Values, scopes, files and imported functions are part of a change, blocks too."""
    assert ids(KNOB).isdisjoint(ids([("DIM = 128", "DIM = 192")]))
    assert ids([("F.relu(h)", "F.silu(h)")]).isdisjoint(ids([("F.relu(h)", "F.gelu(h)")]))
    assert ids([("has_values=(", "has_values=not (")]) != ids(KNOB)
    here, there = {"a.py": b"x = 1\n", "b.py": b"x = 1\n"}, b"x = 2\n"
    assert set(hunk_ids(here, {**here, "a.py": there})).isdisjoint(
        hunk_ids(here, {**here, "b.py": there})
    )
    first, second = ("h = self.up(norm(x))", "h = 2 * self.up(norm(x))"), ("B, T, C = x.shape",) * 2
    assert ids([first]) != ids([(second[0], second[0] + "\n        h = 2 * self.up(norm(x))")])


def test_a_line_taken_out_is_seen_behind_a_word_put_there():
    """Who copies a deletion cannot hide it behind a statement of his own."""
    assert ids(DELETION) < ids([(CLIP, "            print()\n")])


def test_what_is_no_python_counts_line_by_line():
    """Order and blanks do not count there; a text that does not parse is read the same way."""
    old = {"notes.txt": b"one\ntwo\n", "bad.py": b"x = (\n"}
    new = {"notes.txt": b"two\n  three\n", "bad.py": b"x = (\ny\n"}
    assert len(hunk_ids(old, new)) == 3
    assert set(hunk_ids(old, {**old, "notes.txt": b"two\n"})) < set(hunk_ids(old, new))


def test_many_hunks_are_few_ids_and_a_copy_among_more_keeps_most():
    """A row stays small; of 200 hunks the smallest 127 ids stand for themselves."""
    old = {"a.py": b""}
    some = "".join(f"print({n})\n" for n in range(100)).encode()
    more = some + "".join(f"print('{n}')\n" for n in range(100)).encode()
    theirs, mine = hunk_ids(old, {"a.py": some}), hunk_ids(old, {"a.py": more})
    assert (len(theirs), len(mine)) == (100, MOST_HUNKS)
    assert len(set(theirs) & set(mine)) > 40


def normal(tree: dict[str, bytes]) -> str:
    """Return a tree's program without layout, docstrings, and statements that do nothing."""
    text = ast.unparse(ast.parse(tree["train.py"]))
    return "\n".join(line for line in text.split("\n") if line.strip() not in ("", "pass"))


@pytest.mark.parametrize("name", sorted(set(ALL) - {"function"}))
def test_a_change_is_taken_back_and_the_others_stay(name: str):
    """The result is the tree that was never changed so."""
    others = [changes for other, changes in ALL.items() if other != name]
    left = dict(without(BEFORE, made(*ALL.values()), ids(ALL[name])))
    assert normal(left) == normal(made(*others))


def test_what_nobody_uses_any_more_may_stay():
    """Of a new function its head and its constant are left, which nothing calls."""
    left = dict(without(BEFORE, made(FUNCTION, KNOB), ids(FUNCTION)))
    assert set(hunk_ids(BEFORE, left)) == ids(KNOB)
    assert normal(left).count("torch.roll") == 0
    compile(left["train.py"], "train.py", "exec")


def test_everything_taken_back_is_the_start():
    """Byte for byte, comments included."""
    assert without(BEFORE, made(*ALL.values()), ids(*ALL.values())) == BEFORE


def test_what_hangs_together_says_so():
    """A line of a function that was put in cannot stay where its head is taken out."""
    inner = [
        ("return 1 - progress if", "if progress:\n        return 1 - progress\n    return 0 if")
    ]
    tree = made([(STEP, "")])
    by_op = sorted(hunk_ids(BEFORE, tree))
    failed = 0
    for one in by_op:
        try:
            without(BEFORE, tree, {one})
        except HunksInseparableError:
            failed += 1
    assert failed == 1  # the call, whose loop is not there
    with pytest.raises(HunksInseparableError):
        without(BEFORE, made(inner), {"0" * 16})


@pytest_asyncio.fixture
async def texts() -> AsyncIterator[TextProcess]:
    """Give a text process."""
    async with TextProcess() as process:
        yield process


async def test_the_text_process_answers_as_the_plain_functions_do(texts: TextProcess):
    """Ids and trees are the same across the pipe, and so is what cannot be done."""
    plain, tree = TrustedTexts(), made(*ALL.values())
    assert await texts.hunks(BEFORE, tree) == await plain.hunks(BEFORE, tree)
    for changes in ALL.values():
        group = ids(changes)
        assert await texts.without(BEFORE, tree, group) == await plain.without(BEFORE, tree, group)
    with pytest.raises(HunksInseparableError, match="none of them"):
        await texts.without(BEFORE, tree, {"0" * 16})


@pytest.mark.parametrize(
    "text",
    [
        b"x = " + b"(" * 100_000,
        b"x = " + b"1+" * 500_000 + b"1",
        b"x = " + b"-" * 1_000_000 + b"1",
        b"x" + b".y" * 500_000,
        b"x = 0x" + b"f" * 4_000_000,
        b"".join(b" " * n + b"if 1:\n" for n in range(95)) + b" " * 95 + b"x",
        b"x = 1e400 - 1e400\ny = -1e400 ** 0\nz = 1 / 0\n",
        b"for i in range(9):\n print(i)\n" * 10_000,
        b"\0\xff\n" * 1_000,
    ],
    ids=[
        "parentheses",
        "sum",
        "unary",
        "attributes",
        "digits",
        "indents",
        "infinite",
        "long",
        "nul",
    ],
)
async def test_hostile_text_has_ids_and_cannot_be_taken_apart(texts: TextProcess, text: bytes):
    """Whatever it is, there are a few ids, and the next request is answered."""
    tree = {**BEFORE, "train.py": text}
    found = await texts.hunks(BEFORE, tree)
    assert 1 <= len(found) <= MOST_HUNKS
    with pytest.raises(HunksInseparableError):
        await texts.without(BEFORE, tree, {"0" * 16})
    assert set(await texts.hunks(BEFORE, made(KNOB))) == ids(KNOB)


async def test_what_takes_too_long_counts_by_file():
    """A text that cannot be read within limits differs from another such one."""
    slow = [{"a.py": b"x = [" + b"[%d,1],\n" % n * 400_000 + b"]"} for n in (1, 2)]
    async with TextProcess(cpu_s=0.3) as texts:
        found = [await texts.hunks({}, tree) for tree in slow]
        assert found == [coarse_ids({}, tree) for tree in slow]
        with pytest.raises(HunksInseparableError):
            await texts.without({}, slow[0], found[0])
    assert found[0] != found[1]
