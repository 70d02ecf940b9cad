"""The shipped attack suite: a closed list of blocks, each reached, and a table that is green."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from community.attack.attack import Finding, Row
from community.attack.blocks import BLOCKS, MEANINGS, Block
from community.attack.catalogue import ATTACKS
from community.attack.honest import HONEST
from community.attack.suite import Report
from community.attack.weak.parts import WEAK
from trainer.sandbox.probe import probe

ROOT = Path(__file__).resolve().parents[2]
ORDINARY_USER = 64999
STRUCTURAL = (
    *("reads the ledger", "calls home", "signals another process", "forks a crowd"),
    *("opens a thousand files", "climbs out of its tree", "hands over a pickle"),
    *("calls a neighbour", "outlives its job", "asks for cached pages only"),
)
"""Attacks on every kind of wall, without a score phase of their own."""

ONE_OF_A_KIND = (
    *("reads the ledger", "calls home", "opens a thousand files", "slows the clock"),
    *("commits a program", "announces a huge header", "prints its own score"),
    "answers the next byte",
)
"""One attack on each kind of part: walls, limits, time, trees, artefacts, reports, answers."""

needs_walls = pytest.mark.skipif(not probe().allows("full"), reason="needs full isolation")


def attack(
    *arguments: str,
    user: int | None = None,
    python: str = sys.executable,
    home: Path,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, dict[str, Any]]:
    """Run the command and return its exit code and report."""
    own = {"TMPDIR": str(home), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-m", "community", "attack", "nanolm", "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=900,
        user=user,
        env={**os.environ, **own, **variables},
    )
    assert done.stdout, done.stderr.decode()[-3000:]
    return done.returncode, json.loads(done.stdout)


def reachable_python(folder: Path) -> str:
    """Return an interpreter that every user can reach: a copy, if ours lies in somebody's home."""
    base, packages = Path(sys.base_prefix), Path(sysconfig.get_path("purelib"))
    library = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    ignored = shutil.ignore_patterns("test", "idlelib", "site-packages", "__pycache__", "config-*")
    shutil.copytree(base / library, folder / "base" / library, ignore=ignored)
    (folder / "base" / "bin").mkdir()
    shutil.copy2(Path(sys.executable).resolve(), folder / "base" / "bin" / "python3")
    for found in (base / "lib").glob("libpython*"):
        shutil.copy2(found, folder / "base" / "lib")
    own = folder / "venv" / library / "site-packages"
    own.mkdir(parents=True)
    (own / "packages.pth").write_text(f"{packages}\n")
    (folder / "venv" / "bin").mkdir()
    (folder / "venv" / "bin" / "python").symlink_to(folder / "base" / "bin" / "python3")
    (folder / "venv" / "pyvenv.cfg").write_text(f"home = {folder / 'base' / 'bin'}\n")
    return str(folder / "venv" / "bin" / "python")


def only(*names: str) -> list[str]:
    """Return the options that choose these attacks."""
    return [word for name in names for word in ("--only", name)]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter; pytest keeps its own to root."""
    with tempfile.TemporaryDirectory(prefix="attack-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def reds(report: dict[str, Any]) -> dict[str, Any]:
    """Return what is not green, and what became of it."""
    return {
        row["name"]: (row["locked"], row["unblocked"], row["twin"])
        for row in report["attacks"]
        if not row["is_green"]
    }


def test_blocks_are_a_closed_list_with_a_meaning_and_a_weak_part_each():
    """Whoever adds a block says what it does and what it would be like without it."""
    assert set(BLOCKS) == set(MEANINGS) == set(WEAK)


@pytest.mark.parametrize("block", BLOCKS)
def test_some_attack_reaches_this_block_alone(block: str):
    """A block that no attack reaches by itself could be taken out unseen."""
    assert [one.name for one in ATTACKS if one.block == block and not one.also]


def test_attacks_are_many_and_have_names_of_their_own():
    """The suite is no smaller than was promised, and every row can be asked for by its name."""
    assert len(ATTACKS) >= 35
    assert len({one.name for one in ATTACKS}) == len(ATTACKS)
    assert len(HONEST) >= 7


@needs_walls
@pytest.mark.timeout(600)
def test_every_attack_is_refused(tmp_path: Path):
    """The lock alone, as ``--quick`` tries it: each is stopped, and for the reason it expects."""
    code, report = attack("--quick", home=tmp_path)
    assert reds(report) == {}
    assert {row["unblocked"] for row in report["attacks"]} == {None}
    assert (code, report["is_green"], len(report["attacks"])) == (0, True, len(ATTACKS))


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """Exit code and report of one attack on each kind of part, run once for what is asked of it."""
    return attack(*only(*ONE_OF_A_KIND), home=tmp_path_factory.mktemp("some"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the whole suite."""
    return attack(home=tmp_path_factory.mktemp("attack"))


@needs_walls
@pytest.mark.timeout(600)
def test_one_attack_of_each_kind_bites_without_its_block(some: tuple[int, dict[str, Any]]):
    """Refused for the expected reason, seen to succeed without the block, twins accepted."""
    code, report = some
    assert reds(report) == {}
    assert all(row["unblocked"]["got_through"] for row in report["attacks"])
    assert (code, {row["name"] for row in report["attacks"]}) == (0, set(ONE_OF_A_KIND))


@needs_walls
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_suite_is_green(whole: tuple[int, dict[str, Any]]):
    """Every attack bites without its block, every twin and every honest model is accepted."""
    code, report = whole
    assert reds(report) == {}
    assert {name for name, twin in report["honest"].items() if not twin["is_accepted"]} == set()
    assert (code, report["is_green"], len(report["attacks"])) == (0, True, len(ATTACKS))


def _must_be_seen(block: Block, report: dict[str, Any]) -> None:
    """With `block` alone off, as ``--disable`` has it, something gets through, and that is red.

    The table's column is made on the very bench that ``--disable`` opens: one block off, where an
    attack names no other.
    """
    alone = {one.name: one for one in ATTACKS if one.block == block and not one.also}
    through = [row for row in report["attacks"] if row["name"] in alone]
    seen = [row for row in through if row["unblocked"]["got_through"]]
    assert seen
    found = Finding(**seen[0]["unblocked"])
    assert not Report(block, (Row(alone[seen[0]["name"]], found, None, None),), ()).is_green


@needs_walls
@pytest.mark.timeout(600)
def test_these_blocks_cannot_be_off_unseen(some: tuple[int, dict[str, Any]]):
    """What gets through without a block is red."""
    for block in dict.fromkeys(one.block for one in ATTACKS if one.name in ONE_OF_A_KIND):
        _must_be_seen(block, some[1])


@needs_walls
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("block", BLOCKS)
def test_no_block_can_be_off_unseen(block: Block, whole: tuple[int, dict[str, Any]]):
    """What gets through without any one of them is red."""
    _must_be_seen(block, whole[1])


@needs_walls
@pytest.mark.timeout(300)
def test_suite_is_red_when_a_block_is_off(tmp_path: Path):
    """Taking a block off is seen at once, and the attack is named."""
    code, report = attack("--disable", "probe", *only("answers the next byte"), home=tmp_path)
    assert code == 1
    assert [row["name"] for row in report["attacks"] if row["locked"]["got_through"]] == [
        "answers the next byte"
    ]


@needs_walls
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_structural_attacks_fail_for_an_ordinary_user_too(open_folder: Path):
    """The walls hold without root, and its attacks are seen to succeed there as well."""
    python = reachable_python(open_folder)
    home = open_folder / "home"
    home.mkdir()
    os.chown(home, ORDINARY_USER, ORDINARY_USER)
    variables = {"LD_LIBRARY_PATH": str(open_folder / "base" / "lib")}  # not one of the system's
    reached = subprocess.run(
        [python, "-c", "import ssl, torch, community"],
        cwd=ROOT,
        user=ORDINARY_USER,
        capture_output=True,
        env={**os.environ, **variables},
    )
    if reached.returncode:
        pytest.skip(f"an ordinary user cannot reach {ROOT}: {reached.stderr.decode()[-200:]}")
    code, report = attack(
        *only(*STRUCTURAL), user=ORDINARY_USER, python=python, home=home, variables=variables
    )
    assert reds(report) == {}
    assert code == 0


def test_list_tells_every_attack_and_block():
    """Somebody who wants to know what is tried runs nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "community", "attack", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    for word in (*BLOCKS, *(one.name for one in ATTACKS)):
        assert word in done.stdout
