"""Fixtures of the scorer's tests: real answering processes (not sandboxed), small scorers."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scoring_channels import SECRET, STDLIB

from scoring.scorer import Channel, Scorer

ROOT = Path(__file__).parents[2]
ARGUMENTS = {"vocab": 256, "block": 129, "seed": 7, "device": "cpu"}

# Imports torch once, then forks a child for each request: the same program, two seconds cheaper.
FORKING = """
import json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from scoring import answering
import torch, safetensors.torch
torch.set_num_threads(1)
link = socket.socket(fileno=int(sys.argv[2]))
while True:
    packet, fds, _, _ = socket.recv_fds(link, 65536, 3)
    if not packet:
        break
    if os.fork() == 0:
        link.close()
        code = 1
        try:
            spec = json.loads(packet)
            os.chdir(spec["workspace"])
            log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            answering.main(spec["arguments"], fds)
            code = 0
        except BaseException as error:
            print(repr(error), flush=True)
        finally:
            os._exit(code)
    for fd in fds:
        os.close(fd)
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
"""


class Answering:
    """Runs `scoring.answering` on a workspace in forked children of one torch process."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def serve(self, workspace: Path, artefact: Path) -> Channel:
        """Start one answering process and return the scorer's ends of its pipes."""
        request_read, request_write = os.pipe()
        reply_read, reply_write = os.pipe()
        weights = os.open(artefact, os.O_RDONLY)
        theirs = [weights, request_read, reply_write]
        log = str(artefact.with_suffix(".log"))
        spec = json.dumps({"workspace": str(workspace), "log": log, "arguments": ARGUMENTS})
        socket.send_fds(self._link, [spec.encode()], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        return Channel(request_write, reply_read)


@pytest.fixture(scope="session")
def answering() -> Iterator[Answering]:
    """A torch process that answers for any workspace."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", FORKING, str(ROOT), str(theirs.fileno())],
        pass_fds=(theirs.fileno(),),
        env={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    theirs.close()
    with closing(ours):
        yield Answering(ours)
    process.wait(timeout=20)


@dataclass
class Candidate:
    """A workspace with its artefact."""

    workspace: Path
    artefact: Path


@pytest.fixture
def candidate(tmp_path: Path) -> Callable[..., Candidate]:
    """Write a workspace whose ``train.py`` is `source`, and an artefact with `tensors`."""
    from safetensors.numpy import save

    def make(source: str, **tensors: np.ndarray) -> Candidate:
        workspace = tmp_path / f"workspace{len(list(tmp_path.iterdir()))}"
        workspace.mkdir()
        (workspace / "train.py").write_text(source)
        artefact = workspace.with_suffix(".safetensors")
        artefact.write_bytes(save(tensors))
        return Candidate(workspace, artefact)

    return make


SMALL_GRADE = """
from scoring.corpus import split_source
from scoring.language_model import ByteLanguageModel

HELD_OUT = ("xml", "html", "xmlrpc", "wsgiref", "mailbox", "configparser", "imaplib", "smtplib",
            "ftplib", "poplib", "plistlib", "zoneinfo", "optparse", "webbrowser")
GRADER = ByteLanguageModel(blocks=40, dev_probes=64, vault_probes=128, seal_probes=128)


def prepare(source):
    return split_source(source, HELD_OUT)
"""


@pytest.fixture
def small_locked(tmp_path: Path) -> Path:
    """A locked folder like nanolm's that asks 40 blocks only."""
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "grade.py").write_text(SMALL_GRADE)
    return folder


@pytest.fixture
async def small_scorer(small_locked: Path, tmp_path: Path):
    """A running scorer over `small_locked`."""
    scorer = await Scorer.start(small_locked, STDLIB, tmp_path / "public", SECRET)
    yield scorer
    await scorer.aclose()
