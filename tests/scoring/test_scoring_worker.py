"""The worker against answers of every kind, over raw pipes (no torch): what is refused, and why."""

import asyncio
import os
import select
import signal
from pathlib import Path

import numpy as np
import pytest
from scoring_channels import (
    NANOLM,
    SECRET,
    STDLIB,
    answer_with,
    read_exactly,
    serve_raw,
    uniform,
    write_all,
)

from scoring.answering import HEADER
from scoring.errors import (
    CorpusTooSmallError,
    LockBrokenError,
    ScorerClosedError,
    ScorerStartError,
)
from scoring.lock import lock_hash
from scoring.scorer import Channel, Scorer


def honest() -> Channel:
    """Answer like a model that knows nothing."""
    return serve_raw(answer_with(uniform))


def one_bad(value: float):
    """Answer uniformly but for one logit of one row."""

    def logits(tokens: np.ndarray) -> np.ndarray:
        answer = uniform(tokens)
        answer[-1, -1, 0] = value
        return answer

    return answer_with(logits)


def instead(more_rows: int | None, content: bytes = b""):
    """Answer the first request with a header for `more_rows` and `content`, and hang up."""

    def behave(request_fd: int, reply_fd: int) -> None:
        rows, time = HEADER.unpack(read_exactly(request_fd, HEADER.size))
        if more_rows is not None:
            write_all(reply_fd, HEADER.pack(rows + more_rows, time) + content)

    return behave


def with_surplus(after_all: bool):
    """Answer honestly, with one byte too many at once or after the last answer."""

    def behave(request_fd: int, reply_fd: int) -> None:
        while True:
            rows, time = HEADER.unpack(read_exactly(request_fd, HEADER.size))
            if rows == 0:
                write_all(reply_fd, (b"x" if after_all else b"") + HEADER.pack(0, 0))
                return
            tokens = np.frombuffer(read_exactly(request_fd, rows * time), np.uint8)
            answer = uniform(tokens.reshape(rows, time)).tobytes()
            write_all(reply_fd, HEADER.pack(rows, time) + answer + (b"" if after_all else b"x"))

    return behave


def hang(request_fd: int, reply_fd: int) -> None:
    """Read everything, say nothing."""
    while os.read(request_fd, 1 << 16):
        pass


def trickle(request_fd: int, reply_fd: int) -> None:
    """Send one byte of an answer every few milliseconds."""
    pause = os.eventfd(0)
    poll = select.poll()
    poll.register(pause, 1)
    try:
        write_all(reply_fd, HEADER.pack(8, 128))
        while True:
            poll.poll(5)
            write_all(reply_fd, b"\0")
    finally:
        os.close(pause)


async def test_a_uniform_model_scores_exactly_eight_bits_per_byte(small_scorer: Scorer):
    """All 40 blocks are scored, on each split, and probed."""
    for split, probes in (("dev", 64), ("vault", 128), ("seal", 128)):
        score = await small_scorer.score(split, honest(), honest(), 20)
        assert (score.outcome, score.value, score.reason) == ("ok", 8.0, "")
        assert score.positions == 40 * 128
        assert score.probes == probes + 8 * 4  # and four rows at each of eight edges


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (one_bad(float("nan")), "not_finite"),
        (one_bad(float("inf")), "not_finite"),
        (one_bad(float("-inf")), "not_finite"),
        (one_bad(10_001.0), "range"),
        (one_bad(-10_001.0), "range"),
        (instead(None), "short"),
        (instead(0), "short"),
        (instead(0, b"\0" * 1000), "short"),
        (instead(1, b"\0" * 10_000), "protocol"),
        (with_surplus(after_all=False), "protocol"),
        (with_surplus(after_all=True), "protocol"),
    ],
)
async def test_bad_answers_are_invalid_for_a_named_reason(small_scorer: Scorer, behave, reason):
    """Whichever sandbox gives them: there is no number and the worker goes on."""
    score = await small_scorer.score("dev", serve_raw(behave), honest(), 20)
    assert (score.outcome, score.value, score.reason) == ("invalid", None, reason)
    score = await small_scorer.score("dev", honest(), serve_raw(behave), 20)
    assert (score.outcome, score.value, score.reason) == ("invalid", None, reason)
    assert (await small_scorer.score("dev", honest(), honest(), 20)).outcome == "ok"


@pytest.mark.parametrize("behave", [hang, trickle])
async def test_slow_answers_are_late_at_the_deadline(small_scorer: Scorer, behave):
    """Silence and trickling both end at one absolute deadline."""
    async with asyncio.timeout(5):
        score = await small_scorer.score("dev", serve_raw(behave), honest(), 0.3)
    assert (score.outcome, score.reason) == ("invalid", "late")
    assert 0.3 <= score.wall_s < 2


async def test_several_scores_run_at_the_same_time(small_scorer: Scorer):
    """A hanging candidate holds up nobody: others end while it waits."""
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(small_scorer.score("dev", serve_raw(hang), honest(), 5))
        others = [
            group.create_task(small_scorer.score("vault", honest(), honest(), 20)) for _ in range(3)
        ]
        for other in others:
            assert (await other).value == 8.0
        assert not hanging.done()
        os.kill(small_scorer.worker_pid, signal.SIGKILL)
    assert hanging.result().outcome == "scorer_failed"


async def test_a_killed_worker_is_our_failure_and_is_replaced(small_scorer: Scorer, tmp_path: Path):
    """The score under way is scorer_failed, the next one works; the training data stays."""
    before = (tmp_path / "public" / "train.bin").stat().st_mtime_ns
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell_and_hang(request_fd: int, reply_fd: int) -> None:
        read_exactly(request_fd, HEADER.size)
        loop.call_soon_threadsafe(asked.set)
        hang(request_fd, reply_fd)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            small_scorer.score("dev", serve_raw(tell_and_hang), honest(), 20)
        )
        await asked.wait()
        os.kill(small_scorer.worker_pid, signal.SIGKILL)
    assert waiting.result().outcome == "scorer_failed"
    assert (waiting.result().value, waiting.result().reason) == (None, "scorer")
    assert (await small_scorer.score("dev", honest(), honest(), 20)).value == 8.0
    assert (tmp_path / "public" / "train.bin").stat().st_mtime_ns == before


async def test_a_fault_in_the_grader_is_our_failure(small_locked: Path, tmp_path: Path):
    """A bug in grade.py blames nobody and is told on stderr."""
    grade = small_locked / "grade.py"
    grade.write_text(
        grade.read_text() + "\n\nclass Faulty:\n    vocab = 256\n    answers = 'tokens'\n"
        "    def asked(self, split): return 1\n"
        "    def open(self, heldout, secret): return self\n"
        "    def examine(self, *_): raise ZeroDivisionError('ours')\n\n\nGRADER = Faulty()\n"
    )
    scorer = await Scorer.start(small_locked, STDLIB, tmp_path / "public", SECRET)
    try:
        score = await scorer.score("dev", honest(), honest(), 20)
        assert (score.outcome, score.value, score.reason) == ("scorer_failed", None, "scorer")
        assert "ZeroDivisionError: ours" in scorer.complaints()
    finally:
        await scorer.aclose()


async def test_descriptors_are_closed_whatever_happens(small_scorer: Scorer):
    """After a score, refused or not, none of its pipe ends is open here."""
    for behave in (answer_with(uniform), instead(None)):
        blocks, blind = serve_raw(behave), honest()
        await small_scorer.score("dev", blocks, blind, 20)
        for channel in (blocks, blind):
            for descriptor in (channel.request_fd, channel.reply_fd):
                with pytest.raises(OSError, match="Bad file descriptor"):
                    os.fstat(descriptor)


async def test_a_changed_file_breaks_the_lock_and_is_named(small_scorer, small_locked: Path):
    """No score is given once the locked folder is not what it was."""
    grade = small_locked / "grade.py"
    text = grade.read_text()
    grade.write_text(text + "# one more comment\n")
    with pytest.raises(LockBrokenError, match=r"'locked/grade.py' is changed"):
        await small_scorer.score("dev", honest(), honest(), 20)
    grade.write_text(text)
    (small_locked / "extra.py").write_text("")
    with pytest.raises(LockBrokenError, match=r"'locked/extra.py' is new"):
        await small_scorer.score("dev", honest(), honest(), 20)
    (small_locked / "extra.py").unlink()
    assert (await small_scorer.score("dev", honest(), honest(), 20)).outcome == "ok"


async def test_a_restarted_worker_must_have_the_same_lock(small_scorer, small_locked: Path):
    """An edit while the worker is down is noticed when it comes back."""
    os.kill(small_scorer.worker_pid, signal.SIGKILL)
    assert (await small_scorer.score("dev", honest(), honest(), 20)).outcome == "scorer_failed"
    grade = small_locked / "grade.py"
    grade.write_text(grade.read_text().replace("blocks=40", "blocks=44"))
    with pytest.raises(LockBrokenError, match=r"constants|grade\.py"):
        await small_scorer.score("dev", honest(), honest(), 20)


async def test_too_little_text_is_refused_at_the_start(small_locked: Path, tmp_path: Path):
    """An interpreter without sources cannot run this task, and is told what is missing."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "mailbox.py").write_text("x = 1\n" * 1000)
    with pytest.raises(CorpusTooSmallError, match=r"held-out text .* 6000 bytes, at least 600000"):
        await Scorer.start(small_locked, source, tmp_path / "public", SECRET)
    assert not (tmp_path / "public").exists()


async def test_a_broken_grade_file_is_refused_at_the_start(small_locked: Path, tmp_path: Path):
    """The error names the file and the fault."""
    (small_locked / "grade.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(ScorerStartError, match=r"grade\.py cannot be used: ModuleNotFoundError"):
        await Scorer.start(small_locked, STDLIB, tmp_path / "public", SECRET)


async def test_a_closed_scorer_ends_its_worker(small_locked: Path, tmp_path: Path):
    """The process is gone, and nothing can be asked any more."""
    scorer = await Scorer.start(small_locked, STDLIB, tmp_path / "public", SECRET)
    worker_pid = scorer.worker_pid
    await scorer.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(worker_pid, 0)
    with pytest.raises(ScorerClosedError):
        await scorer.score("dev", honest(), honest(), 20)
    await scorer.aclose()


async def test_a_file_that_changes_while_a_score_is_made_stops_it_with_its_name(
    small_scorer: Scorer, small_locked: Path
):
    """What was checked before the score is checked after it as well."""
    grade = small_locked / "grade.py"

    def edit_and_answer(request_fd: int, reply_fd: int) -> None:
        grade.write_text(grade.read_text() + "# edited\n")
        answer_with(uniform)(request_fd, reply_fd)

    with pytest.raises(LockBrokenError, match=r"'locked/grade.py' is changed"):
        await small_scorer.score("dev", serve_raw(edit_and_answer), honest(), 20)


async def test_files_beside_the_lock_stop_scoring_too(small_locked: Path, tmp_path: Path):
    """A file that the caller names enters the manifest, and its change is told by that name."""
    limits = tmp_path / "task.toml"
    limits.write_text("memory_bytes = 1\n")
    scorer = await Scorer.start(
        small_locked, STDLIB, tmp_path / "public", SECRET, beside={"task/task.toml": limits}
    )
    try:
        assert "task/task.toml" in scorer.manifest
        assert (await scorer.score("dev", honest(), honest(), 20)).outcome == "ok"
        limits.write_text("memory_bytes = 2\n")
        with pytest.raises(LockBrokenError, match=r"'task/task.toml' is changed"):
            await scorer.score("dev", honest(), honest(), 20)
    finally:
        await scorer.aclose()


async def test_held_out_text_is_nowhere_on_disk_and_not_in_public(small_scorer, tmp_path: Path):
    """`public` holds the training bytes only; a sentence of a held-out module is not among them."""
    public = tmp_path / "public"
    assert [path.name for path in public.iterdir()] == ["train.bin"]
    train = (public / "train.bin").read_bytes()
    assert len(train) == small_scorer.corpus.train_bytes
    text = (STDLIB / "mailbox.py").read_bytes()
    assert text[20_000:20_200] not in train
    assert (STDLIB / "argparse.py").read_bytes()[20_000:20_200] in train
    descriptors = Path("/proc", str(small_scorer.worker_pid), "fd")
    assert not [link for link in descriptors.iterdir() if "/heldout/" in os.readlink(link)]
    assert small_scorer.lock_hash == lock_hash(small_scorer.manifest)


WATCHED = """
import os, sys

def note(event, arguments):
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    if event == "os.mkdir" or (event == "open" and arguments[2] & writes):
        wrote.append(str(arguments[0]))
        os.write(2, wrote[-1].encode() + b"\\n")

wrote = []
sys.addaudithook(note)
"""


async def test_held_out_text_never_touches_a_disk(small_locked, tmp_path):
    """From its start on a worker writes nothing at all: training text goes through memory."""
    grade = small_locked / "grade.py"
    grade.write_text(WATCHED + grade.read_text())
    scorer = await Scorer.start(small_locked, STDLIB, tmp_path / "public", SECRET)
    await scorer.score("dev", honest(), honest(), 20)
    wrote = scorer.complaints().split()
    await scorer.aclose()
    assert [name.isdigit() for name in wrote] == [True], "one descriptor that it was given"
    assert [path.name for path in (tmp_path / "public").iterdir()] == ["train.bin"]


def _memory(scorer: Scorer, name: str) -> int:
    status = Path("/proc", str(scorer.worker_pid), "status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) << 10


GREEDY = """
class Greedy(ByteLanguageModel):
    def open(self, division, secret):
        examination = super().open(division, secret)
        examine, held = examination.examine, []
        def grow(split, *rest):
            if split == "seal":
                while True:
                    held.append(bytearray(16 << 20))
            return examine(split, *rest)
        examination.examine = grow
        return examination

GRADER = Greedy(blocks=40, dev_probes=64, vault_probes=128, seal_probes=128)
"""


async def test_a_worker_that_would_grow_fails_that_score_alone(small_locked: Path, tmp_path: Path):
    """It gets half a gigabyte beyond what opening took, whatever makes it ask for more."""
    grade = small_locked / "grade.py"
    grade.write_text(grade.read_text() + GREEDY)
    scorer = await Scorer.start(small_locked, STDLIB, tmp_path / "public", SECRET)
    try:
        pid, opened = scorer.worker_pid, _memory(scorer, "VmData")
        score = await scorer.score("seal", honest(), honest(), 20)
        assert (score.outcome, score.reason) == ("scorer_failed", "scorer")
        assert "MemoryError" in scorer.complaints()
        assert _memory(scorer, "VmPeak") < opened + (1 << 30)
        assert (await scorer.score("dev", honest(), honest(), 20)).outcome == "ok"
        assert scorer.worker_pid == pid
    finally:
        await scorer.aclose()


async def test_the_real_task_asks_sixty_four_kibibytes(tmp_path: Path):
    """The grader of nanolm: 508 blocks of 128 targets, its blind prefixes, the edges."""
    scorer = await Scorer.start(NANOLM, STDLIB, tmp_path / "public", SECRET)
    try:
        opened = _memory(scorer, "VmRSS")
        for split, probes in (("dev", 512), ("vault", 1056), ("seal", 2048)):
            score = await scorer.score(split, honest(), honest(), 60)
            assert (score.value, score.positions) == (8.0, 508 * 128)
            assert score.probes == probes + 8 * 4
            assert scorer.asked[split] == pytest.approx(score.asked, rel=0.02)
        added = _memory(scorer, "VmHWM") - opened
        assert 0 < added < 256 << 20
        least = (scorer.corpus.dev_bytes, scorer.corpus.vault_bytes, scorer.corpus.seal_bytes)
        assert min(least) >= 150_000
    finally:
        await scorer.aclose()
