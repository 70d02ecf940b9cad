"""The run's git repository: lineage, merges, and nothing of the user's own git."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.errors import PatchRefusedError, RepositoryError, UnknownCommitError
from trainer.repository import MESSAGE_CHARACTERS, Repository

ADA = "ada <ada@community.invalid>"
BOB = "bob <bob@community.invalid>"
START = b"A = 1\n# a\nB = 2\n# b\nC = 3\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return an empty repository."""
    return Repository.create(tmp_path / "repo.git")


def tree(**knobs: int) -> dict[str, bytes]:
    """Return the start tree with some constants changed."""
    text = START.decode()
    for name, value in knobs.items():
        old = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
        text = text.replace(old, f"{name} = {value}")
    return {"train.py": text.encode()}


def root_of(repository: Repository) -> str:
    """Commit the start tree."""
    return repository.commit(tree(), [], ADA, "start", 1_700_000_000)


def git(repository_path: Path, *arguments: str) -> str:
    """Run the git program on the repository, as a person would."""
    if shutil.which("git") is None:
        pytest.skip("the git program is not installed")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-c", "safe.directory=*", "--git-dir", str(repository_path), *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, timeout=30
    ).stdout


def test_a_commit_gives_back_its_files(repository: Repository):
    """Content is kept byte for byte, folders included, in path order."""
    files = {"train.py": START, "model/z.py": b"\x00\xff", "model/a/x.txt": b"", "b.py": b"\r\n"}
    commit = repository.commit(files, [], ADA, "start", 1)
    assert repository.read(commit) == files
    assert list(repository.read(commit)) == sorted(files)


def test_commits_are_deterministic_and_every_argument_counts(repository: Repository):
    """The same arguments name the same commit; any other argument names another."""
    first = root_of(repository)
    assert root_of(repository) == first
    others = {
        repository.commit(tree(A=2), [], ADA, "start", 1_700_000_000),
        repository.commit(tree(), [first], ADA, "start", 1_700_000_000),
        repository.commit(tree(), [], BOB, "start", 1_700_000_000),
        repository.commit(tree(), [], ADA, "other", 1_700_000_000),
        repository.commit(tree(), [], ADA, "start", 1_700_000_001),
    }
    assert len(others | {first}) == 6
    assert first == "30eedf2139ff196bee40069860fbceaa1a8cea05"


def test_the_users_git_configuration_is_not_read(tmp_path: Path):
    """A global configuration that would change results, or not even parse, changes nothing."""
    (tmp_path / ".gitconfig").write_text("[core]\n\tautocrlf = true\n[merge\nbroken")
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {os.getcwd()!r})
from trainer.repository import Repository
repository = Repository.create(Path({str(tmp_path / "repo.git")!r}))
first = repository.commit({{"train.py": {START!r}}}, [], {ADA!r}, "start", 1_700_000_000)
second = repository.commit({{"train.py": b"x\\r\\n"}}, [first], {ADA!r}, "x", 1)
repository.common_ancestor(first, second)
repository.set_best(first)
print(first)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "30eedf2139ff196bee40069860fbceaa1a8cea05"


def test_a_person_can_read_the_lineage_with_git_log(repository: Repository, tmp_path: Path):
    """Experiments are branches that a plain `git log --graph --all` shows with authors."""
    start = root_of(repository)
    left = repository.commit(tree(A=9), [start], ADA, "A to 9", 2)
    right = repository.commit(tree(C=9), [start], BOB, "C to 9", 3)
    both = repository.commit(tree(A=9, C=9), [left, right], BOB, "merge both", 4)
    for number, commit in enumerate((start, left, right, both)):
        repository.set_ref(f"refs/heads/exp/e{number:04}", commit)
    repository.set_best(both)
    log = git(tmp_path / "repo.git", "log", "--graph", "--all", "--format=%an: %s (%D)")
    assert "bob: merge both (HEAD -> best, exp/e0003)" in log
    assert "|\\" in log
    assert log.count("*") == 4
    assert git(tmp_path / "repo.git", "fsck", "--strict").strip() == ""
    clone = tmp_path / "clone"
    git(tmp_path / "repo.git", "clone", "-q", str(tmp_path / "repo.git"), str(clone))
    assert (clone / "train.py").read_bytes() == tree(A=9, C=9)["train.py"]


def test_names_move_and_are_listed(repository: Repository):
    """The frontier's branch follows the best commit."""
    start = root_of(repository)
    better = repository.commit(tree(A=9), [start], ADA, "better", 2)
    repository.set_best(start)
    repository.set_best(better)
    repository.set_ref("refs/heads/exp/e0001", start)
    assert repository.refs() == {"refs/heads/best": better, "refs/heads/exp/e0001": start}


@pytest.mark.parametrize("name", ["exp/../best", "a b", "", "exp/.lock", "best/x", "x.lock"])
def test_names_that_git_refuses_are_refused_in_our_words(repository: Repository, name: str):
    """A bad or clashing name is a RepositoryError, and no other name changes."""
    start = root_of(repository)
    repository.set_best(start)
    for full in (f"refs/heads/{name}", name, f"refs/tags/{name}"):
        with pytest.raises(RepositoryError):
            repository.set_ref(full, start)
    assert repository.refs() == {"refs/heads/best": start}


@pytest.mark.parametrize("commit", ["", "HEAD", "best", "0" * 40, "abc", "A" * 40, "0" * 39 + "\n"])
def test_unknown_commits_are_refused_everywhere(repository: Repository, commit: str):
    """Only the full id of a commit that is there counts; names and prefixes do not."""
    start = root_of(repository)
    repository.set_best(start)
    for ask in (
        lambda: repository.read(commit),
        lambda: repository.common_ancestor(start, commit),
        lambda: repository.common_ancestor(commit, start),
        lambda: repository.set_ref("refs/heads/exp/x", commit),
        lambda: repository.commit(tree(), [commit], ADA, "x", 1),
    ):
        with pytest.raises(UnknownCommitError):
            ask()


def test_a_tree_or_blob_id_is_no_commit(repository: Repository, tmp_path: Path):
    """Other objects cannot be read through their ids."""
    start = root_of(repository)
    blob = git(tmp_path / "repo.git", "rev-parse", f"{start}:train.py").strip()
    with pytest.raises(UnknownCommitError):
        repository.read(blob)


@pytest.mark.parametrize(
    "author", ["ada", "<x@y>", "a <b> <c@d>", "a\nb <c@d>", "ada <>", "a <b c>"]
)
def test_malformed_authors_are_refused(repository: Repository, author: str):
    """An author is a name and an address, on one line."""
    with pytest.raises(RepositoryError, match="malformed"):
        repository.commit(tree(), [], author, "x", 1)


def test_messages_are_bounded_and_stripped_of_control_characters(
    repository: Repository, tmp_path: Path
):
    """A mind's text cannot end a message early, colour a terminal, or fill the disk."""
    message = "title\n\nbody \0 \x1b[31m \ud800 é" + "x" * 20_000
    commit = repository.commit(tree(), [], ADA, message, 1)
    body = git(tmp_path / "repo.git", "log", "-1", "--format=%B", commit)
    assert body.startswith("title\n\nbody � �[31m � é")
    assert len(body) <= MESSAGE_CHARACTERS + 2


def test_paths_that_are_not_plain_are_refused(repository: Repository):
    """Nothing enters the repository that a workspace could not hold."""
    for path in (".git/config", "../x", "a//b"):
        with pytest.raises(PatchRefusedError):
            repository.commit({path: b""}, [], ADA, "x", 1)


def test_the_common_ancestor_is_the_latest(repository: Repository):
    """Of two commits on one line it is the earlier one; of two branches where they parted."""
    start = root_of(repository)
    common = repository.commit(tree(A=5), [start], ADA, "A to 5", 2)
    left = repository.commit(tree(A=1), [common], ADA, "back", 3)
    right = repository.commit(tree(A=5, C=8), [common], BOB, "C", 4)
    assert repository.common_ancestor(left, right) == common
    assert repository.common_ancestor(start, right) == start
    assert repository.common_ancestor(right, right) == right


def test_crossed_merges_have_a_common_ancestor(repository: Repository):
    """Of two commits with two best ancestors (each merged the other's parent) it is one of them."""
    start = root_of(repository)
    a = repository.commit(tree(A=9), [start], ADA, "A", 2)
    b = repository.commit(tree(B=8), [start], BOB, "B", 3)
    left = repository.commit(tree(A=9, B=8), [a, b], ADA, "left", 4)
    right = repository.commit(tree(A=9, B=8, C=7), [b, a], BOB, "right", 5)
    assert repository.common_ancestor(left, right) in (a, b)


def test_strangers_cannot_be_merged(repository: Repository):
    """Without a common ancestor there is no three-way merge."""
    first = root_of(repository)
    second = repository.commit({"other.py": b""}, [], BOB, "other", 1)
    with pytest.raises(RepositoryError, match="no common ancestor"):
        repository.common_ancestor(first, second)


def test_create_refuses_what_is_there_and_replaces_a_half_made_one(tmp_path: Path):
    """A run never writes into another's repository; a killed creation leaves nothing behind."""
    (tmp_path / "repo.git.part").mkdir()
    (tmp_path / "repo.git.part" / "HEAD").write_text("rubbish")
    Repository.create(tmp_path / "repo.git")
    assert [path.name for path in tmp_path.iterdir()] == ["repo.git"]
    with pytest.raises(RepositoryError, match="exists already"):
        Repository.create(tmp_path / "repo.git")


def test_open_refuses_what_is_no_repository(tmp_path: Path):
    """A missing folder, an ordinary one, and one inside another repository are all refused."""
    (tmp_path / "plain").mkdir()
    inner = tmp_path / "repo.git" / "inner"
    Repository.create(tmp_path / "repo.git")
    inner.mkdir()
    for path in (tmp_path / "missing", tmp_path / "plain", inner):
        with pytest.raises(RepositoryError):
            Repository.open(path)


def test_a_reader_leaves_a_writers_locks_alone(tmp_path: Path):
    """Only the run's one writer clears lock files away."""
    Repository.create(tmp_path / "repo.git")
    lock = tmp_path / "repo.git" / "refs" / "heads" / "best.lock"
    lock.write_bytes(b"")
    Repository.open(tmp_path / "repo.git", writer=False)
    assert lock.exists()
    Repository.open(tmp_path / "repo.git")
    assert not lock.exists()


WRITER = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from trainer.repository import Repository
repository = Repository.open(Path({path!r}))
parent = repository.refs()["refs/heads/best"]
for n in itertools.count():
    parent = repository.commit({{"train.py": b"N = %d\\n" % n}}, [parent], "a <a@b>", str(n), n)
    repository.set_ref("refs/heads/exp/e%04d" % n, parent)
    repository.set_best(parent)
    print(n, flush=True)
"""


@pytest.mark.parametrize("after", [1, 3, 8, 15, 40])
def test_after_sigkill_every_named_commit_is_whole(tmp_path: Path, after: int):
    """A writer killed at any moment leaves names that all lead to readable trees."""
    path = tmp_path / "repo.git"
    repository = Repository.create(path)
    repository.set_best(root_of(repository))
    code = WRITER.format(root=os.getcwd(), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(after):
            writer.stdout.readline()
        writer.kill()
        writer.wait(timeout=30)
    for name in ("HEAD.lock", "refs/heads/best.lock", "refs/heads/exp/e0000.lock"):
        (path / name).write_bytes(b"")  # as a kill inside an update leaves them
    again = Repository.open(path)
    refs = again.refs()
    assert len(refs) >= after
    for commit in refs.values():
        assert "train.py" in again.read(commit)
    again.set_best(again.commit(tree(), [refs["refs/heads/best"]], ADA, "on we go", 9))
    again.set_ref("refs/heads/exp/e0000", again.refs()["refs/heads/best"])
