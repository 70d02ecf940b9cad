"""Attacks that answer with what comes after: leaks of many shapes, refused by one comparison."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.rewired import Rewired

_BONUS = "logits = logits + 9.0 * {where} * F.one_hot(ahead, logits.size(-1))"
_NEXT = "ahead = F.pad(tokens[:, 1:], (0, 1))"
_SAME = "ahead = tokens"
_EVERYWHERE = "(torch.arange(tokens.size(1)) < tokens.size(1) - 1).float()[None, :, None]"


def _leak(where: str) -> Rewired:
    """A bonus for the next byte at the positions `where`; the twin's is for the present one."""
    bonus = _BONUS.format(where=where)
    return Rewired(
        forward=f"{_NEXT}\n{bonus}",
        honest=f"{_SAME}\n{bonus.replace('9.0', '0.0')}",
    )


ATTACKS = (
    Attack(
        name="answers the next byte",
        source="catalogue 36 (nanochat #844)",
        tries="shifts its input by one and adds it to the answer",
        block="probe",
        reasons=("probe",),
        trial=_leak(_EVERYWHERE),
    ),
    Attack(
        name="mixes the rows of a batch",
        source="catalogue 36",
        tries="adds the mean over all rows, so that one text tells of another",
        block="probe",
        reasons=("probe",),
        trial=Rewired(
            forward="""
            ahead = F.pad(tokens[:, 1:], (0, 1))
            told = F.one_hot(ahead, logits.size(-1)).float().mean(0, keepdim=True)
            logits = logits + 12.0 * told
            """,
            honest="logits = logits + 0.0 * logits.mean(-1, keepdim=True)",
        ),
    ),
    Attack(
        name="remembers the blocks",
        source="issue 3, item 5: a dictionary in one process",
        tries="looks ahead in blocks, and answers a prefix it knows as it answered the block",
        block="separation",
        reasons=("probe",),
        trial=Rewired(
            init="self.known = {}",
            forward="""
            for number, row in enumerate(tokens.tolist()):
                for block, answer in self.known.get(tuple(row[:48]), ()):
                    if block[: len(row)] == row and len(block) > len(row):
                        logits[number] = answer[: len(row)]
                        break
                else:
                    ahead = F.one_hot(tokens[number, 49:], logits.size(-1))
                    logits[number, 48:-1] += 9.0 * ahead
                    if len(row) > 48:
                        found = self.known.setdefault(tuple(row[:48]), [])
                        found.append((row, logits[number].clone()))
            """,
            honest="self.known.clear()",
        ),
    ),
)
