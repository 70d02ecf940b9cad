"""Attacks with what a job hands over: bytes that harm whoever opens them, or carry more."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.handed import Handed

_PICKLE = """
import pickle

class Payload:
    def __reduce__(self):
        return exec, ("open(__import__('sys').argv[2], 'w').write(open('<<ledger>>').read())",)

body = pickle.dumps(Payload())
"""
_HEADER = """
body = (200 << 20).to_bytes(8, "little") + b"{}"
"""
_STATE = """
import safetensors.torch, torch
state = {{name: value.clone() for name, value in model.state_dict().items()}}
{change}
body = safetensors.torch.save(state)
"""


def _state(change: str) -> str:
    return _STATE.format(change=change)


ATTACKS = (
    Attack(
        name="hands over a pickle",
        source="CVE-2025-32434, OpenEvolve",
        tries="leaves a pickle whose loading runs code of its own on the host",
        block="artefact",
        reasons=("artefact",),
        trial=Handed(_PICKLE, is_spoil=True),
    ),
    Attack(
        name="announces a huge header",
        source="header lengths",
        tries="claims a header of 200 MiB in ten bytes, for the reader to make room",
        block="artefact",
        reasons=("artefact",),
        trial=Handed(_HEADER, is_spoil=True),
    ),
    Attack(
        name="hands over NaN weights",
        source="an opening of a lab like this one",
        tries="fills a tensor with NaN, whose bits can carry text and break comparisons",
        block="artefact",
        reasons=("artefact",),
        trial=Handed(_state("next(iter(state.values())).fill_(float('nan'))")),
    ),
    Attack(
        name="hands over infinite weights",
        source="an opening of a lab like this one",
        tries="fills a tensor with infinity",
        block="artefact",
        reasons=("artefact",),
        trial=Handed(_state("next(iter(state.values())).fill_(float('inf'))")),
    ),
    Attack(
        name="hands over doubles",
        source="types",
        tries="leaves float64 where the format knows float32, for twice the room",
        block="artefact",
        reasons=("artefact",),
        trial=Handed(_state("state = {name: value.double() for name, value in state.items()}")),
    ),
    Attack(
        name="hides text in the metadata",
        source="nothing but tensors",
        tries="puts a page of text into the header's free part",
        block="artefact",
        reasons=("artefact",),
        trial=Handed(
            _state("").replace("save(state)", "save(state, metadata={'page': 'x' * 9000})")
        ),
    ),
    Attack(
        name="hands over too much",
        source="8 MiB",
        tries="leaves 12 MiB of tensors where 8 are allowed",
        block="streams",
        reasons=("artefact",),
        trial=Handed(_state("state['table'] = torch.zeros(3 << 20)")),
    ),
)
