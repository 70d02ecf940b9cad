"""The worker's place: its own copy, its own user, its own memory."""

import ast
import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scoring_channels import SECRET, STDLIB, answer_with, serve_raw, uniform

from scoring.own_user import SCORER_ID
from scoring.private_copy import PrivateCopy
from scoring.scorer import Channel, Scorer


def honest() -> Channel:
    """Answer like a model that knows nothing."""
    return serve_raw(answer_with(uniform))


TELLING = """
import os, sys

class Telling(ByteLanguageModel):
    def open(self, division, secret):
        told = super().open(division, secret)
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        facts = {name: status[name].split() for name in ("Uid", "Gid", "Groups", "NoNewPrivs")}
        limits = [line.split() for line in open("/proc/self/limits") if "core file" in line]
        print({
            **facts, "torch": "torch" in sys.modules,
            "environment": sorted({*os.environ} - {"LC_CTYPE"}),
            "isolated": sys.flags.isolated, "core": limits[0][4:6], "file": __file__,
            "scoring": sys.modules["scoring"].__file__, "mine": os.stat("/proc/self/maps").st_uid,
        }, file=sys.stderr, flush=True)
        return told

GRADER = Telling(blocks=40, dev_probes=64, vault_probes=128, seal_probes=128)
"""


async def test_the_worker_is_on_its_own(small_locked: Path, tmp_path: Path):
    """A private copy, nearly no environment, no torch, another user where we are root."""
    grade = small_locked / "grade.py"
    grade.write_text(grade.read_text() + TELLING)
    scorer = await Scorer.start(small_locked, STDLIB, tmp_path / "public", SECRET)
    try:
        told = ast.literal_eval(scorer.complaints())
        copy = Path(told["scoring"]).parents[1]
        assert told["environment"] == ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
        assert (told["torch"], told["isolated"], told["NoNewPrivs"]) == (False, 1, ["1"])
        assert told["core"] == ["0", "0"]
        assert told["mine"] == 0, "files in /proc are root's where no equal process may read them"
        assert Path(told["file"]) == copy / "locked" / "grade.py"
        assert copy.is_dir()
        assert not any(path.stat().st_mode & 0o227 for path in (copy, *copy.rglob("*")))
        user = str(SCORER_ID if scorer.has_own_user else os.geteuid())
        assert set(told["Uid"]) == {user}
        if os.geteuid() == 0 and scorer.has_own_user:
            assert (set(told["Gid"]), told["Groups"]) == ({user}, [])
            status = Path("/proc", str(scorer.worker_pid), "status").read_text()
            held = int(status.split("CapEff:")[1].split()[0], 16)
            assert held in (0, 1 << 2, 1 << 1), "at most one right, to read"
        assert (await scorer.score("dev", honest(), honest(), 20)).outcome == "ok"
    finally:
        await scorer.aclose()
    assert not copy.exists()


async def test_no_other_process_of_its_user_reads_its_memory(small_scorer: Scorer):
    """Whoever is that user, without root's rights, is refused its memory and its descriptors."""
    pid = small_scorer.worker_pid
    user = SCORER_ID if small_scorer.has_own_user else os.geteuid()
    if user == 0:
        pytest.skip("root here cannot become another user, and root may read everything")
    look = (
        "import os, sys\nfor name in ('mem', 'maps', 'environ'):\n"
        "    try:\n        open(f'/proc/{sys.argv[1]}/{name}', 'rb').read(1)\n"
        "    except PermissionError:\n        print(name)\n"
        "try:\n    os.listdir(f'/proc/{sys.argv[1]}/fd')\nexcept PermissionError:\n"
        "    print('fd')\n"
    )
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    as_user = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    done = await asyncio.to_thread(
        subprocess.run, [python, "-I", "-c", look, str(pid)], capture_output=True, text=True,
        check=True, cwd="/", **as_user,
    )  # fmt: skip
    assert done.stdout.split() == ["mem", "maps", "environ", "fd"]


def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(
    small_locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An old copy that nobody holds makes way for the next; one in use stays, however old."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held, left = PrivateCopy.make(small_locked), PrivateCopy.make(small_locked)
    os.close(left.hold)
    for copy in (held, left):
        os.utime(copy.folder, (0, 0))
    newest = PrivateCopy.make(small_locked)
    assert not left.folder.exists()
    assert (held.folder / "locked" / "grade.py").is_file()
    for copy in (held, newest):
        copy.remove()
    assert list(tmp_path.glob("rc-scorer-*")) == []
