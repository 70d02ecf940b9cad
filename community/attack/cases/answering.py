"""Attacks in the score phase: answers that are none, too many, too late, or something else."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.rewired import Rewired
from community.attack.trials.slow import Slow
from community.attack.trials.whisper import Whisper

_COUNT = "self.asked = getattr(self, 'asked', 0) + 1"
_SAME = "logits = logits * 1.0"
_REPLY = """
import os, sys
frame = sys._getframe()
while frame is not None and "reply_fd" not in frame.f_locals:
    frame = frame.f_back
"""

ATTACKS = (
    Attack(
        name="answers NaN",
        source="OpenEvolve #285",
        tries="answers NaN everywhere, hoping to be left out of the mean",
        block="answers",
        reasons=("not_finite",),
        trial=Rewired(forward="logits = logits * float('nan')", honest=_SAME),
    ),
    Attack(
        name="answers infinity",
        source="an opening of a lab like this one",
        tries="answers infinity for every byte alike",
        block="answers",
        reasons=("not_finite",),
        trial=Rewired(forward="logits = logits + float('inf')", honest=_SAME),
    ),
    Attack(
        name="answers huge numbers",
        source="|logit| <= 1e4",
        tries="answers numbers whose exponential overflows in single precision",
        block="answers",
        reasons=("range",),
        trial=Rewired(forward="logits = logits * 0.0 + 1e30", honest=_SAME),
    ),
    Attack(
        name="leaves rows out",
        source="RHA",
        tries="answers all but the last row of a request",
        block="answers",
        also=("probe",),
        reasons=("short", "protocol"),
        trial=Rewired(
            forward=f"{_COUNT}\nif self.asked > 9:\n    logits = logits[:-1]", honest=_SAME
        ),
    ),
    Attack(
        name="leaves early",
        source="pygpubench",
        tries="ends its process after a few answers, hoping that those are the score",
        block="answers",
        also=("probe",),
        reasons=("short",),
        trial=Rewired(
            forward=f"{_COUNT}\nif self.asked > 20:\n    __import__('os')._exit(0)", honest=_SAME
        ),
    ),
    Attack(
        name="answers more than was asked",
        source="surplus is an error",
        tries="writes a second answer after the one that was asked for",
        block="answers",
        reasons=("protocol", "short"),
        trial=Rewired(
            forward=f"{_COUNT}\nif self.asked > 9:\n"
            + "\n".join(f"    {line}" for line in _REPLY.strip().splitlines())
            + "\n    os.write(frame.f_locals['reply_fd'], bytes([255]) * 4096)",
            honest=_SAME,
            is_gain=False,
        ),
    ),
    Attack(
        name="answers with its own loss",
        source="it takes logits, never a number",
        tries="answers one number, the loss that it finds fair",
        block="answers",
        also=("probe",),
        reasons=("short",),
        trial=Rewired(
            forward=f"{_COUNT}\nif self.asked > 2:\n    logits = logits.mean() * 0", honest=_SAME
        ),
    ),
    Attack(
        name="answers a pair",
        source="an opening of a lab like this one",
        tries="answers logits and a loss, as many models do, for whoever looks at the second",
        block="answers",
        also=("probe",),
        reasons=("short",),
        trial=Rewired(
            forward=f"{_COUNT}\nif self.asked > 2:\n    logits = (logits, logits.mean() * 0)",
            honest=_SAME,
        ),
    ),
    Attack(
        name="answers a tensor of its own kind",
        source="RHA",
        tries="answers a subclass of tensor that has one shape when asked and another when sent",
        block="answers",
        reasons=("protocol", "short"),
        trial=Rewired(
            forward="""
            class Liar(torch.Tensor):
                def contiguous(self):
                    plain = self.as_subclass(torch.Tensor).flatten()
                    return torch.cat([plain, torch.zeros(1024)])

            if tokens.any():
                logits = logits.as_subclass(Liar)
            """,
            honest=_SAME,
            is_gain=False,
        ),
    ),
    Attack(
        name="trickles its answers",
        source="a deadline; slow writers",
        tries="sends its answers in small pieces with pauses, always just about to be done",
        block="deadline",
        reasons=("late", "limit"),
        trial=Slow(),
    ),
    Attack(
        name="opens files while it answers",
        source="no open after the first held-out byte",
        tries="reads the library's files once it knows what it is asked",
        block="lockdown",
        reasons=("short", "protocol", "limit"),
        trial=Rewired(
            forward=f"{_COUNT}\nif self.asked > 9:\n    open('train.py').read()",
            honest=_SAME,
            is_gain=False,
        ),
    ),
    Attack(
        name="tells what it was asked",
        source="prints and exceptions",
        tries="prints the tokens it receives, to stdout, stderr and in an exception",
        block="silence",
        reasons=("silent",),
        trial=Whisper(),
    ),
)
