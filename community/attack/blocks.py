"""The defence blocks, as a closed list: each a mechanism of its own that some attack alone reaches.

A block is switched off nowhere in production code. `community.attack.weak` holds, for each name
here, the part that a hurried builder would have put in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

Block = Literal[
    "files",
    "network",
    "processes",
    "syscalls",
    "limits",
    "watchdog",
    "streams",
    "paths",
    "literals",
    "novelty",
    "text child",
    "seed gate",
    "seeding",
    "parent",
    "manifest",
    "clock",
    "charge",
    "artefact",
    "answers",
    "deadline",
    "formula",
    "report",
    "probe",
    "separation",
    "own load",
    "draw",
    "splits",
    "lockdown",
    "silence",
]

MEANINGS: Final[Mapping[Block, str]] = {
    "files": "a sandbox sees the files it was given, by name, and no others",
    "network": "a sandbox has no network and may not open a socket",
    "processes": "a sandbox sees, signals and traces no process but its own",
    "syscalls": "the kernel carries out listed calls only: no fork, exec, locks, cache queries",
    "limits": "the kernel bounds private memory, file sizes, open files and threads",
    "watchdog": "what a job holds is watched from outside, also what the kernel does not count",
    "streams": "log and artefact are cut off at a cap",
    "paths": "a patch touches the editable files, by plain names, and brings no other kind",
    "literals": "a patch adds so many bytes of strings and numbers, and no more",
    "novelty": "a tree tells so many bytes beyond the start, in whatever form, and no more",
    "text child": "candidate text is parsed by a process with a clock and a memory of its own",
    "seed gate": "a tree whose seed does not matter is marked before it is measured",
    "seeding": "every job's chance is seeded anew, with a number that the lab draws",
    "parent": "the warm parent is told nothing of a job; its child reads it after the fork",
    "manifest": "locked files are compared with the lock before and after every verdict",
    "clock": "processor time is read from outside, until the last byte of the artefact has come",
    "charge": "a slot that is held costs at least most of its wall time",
    "artefact": "plain, finite tensors cross, in a form that is judged before it is read",
    "answers": "an answer is exactly the floats asked for, finite and in range",
    "deadline": "all answers come within one wall time, in however small pieces they come",
    "formula": "the scorer normalises and takes the mean itself, in float64",
    "report": "the number is the scorer's; what a candidate prints of it is not read",
    "probe": "answers to blind prefixes must equal the answers inside whole blocks",
    "lockdown": "a loaded model can read, write and compute, and nothing else, while it is asked",
    "silence": "nothing of what is said while answering is kept",
    "separation": "blocks and blind prefixes are answered by two sandboxes that share nothing",
    "own load": "each answering sandbox is forked from the warm parent and loads the model itself",
    "draw": "which held-out bytes count follows from a secret that nobody knows before the end",
    "splits": "what is screened and what is confirmed are scored on different files",
}
"""What each block does, in one line."""

BLOCKS: Final[tuple[Block, ...]] = get_args(Block)
