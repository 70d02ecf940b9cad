"""Attacks that answer with what comes after: leaks of many shapes, refused by one comparison."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.rewired import Rewired

_BONUS = "logits = logits + 9.0 * {where} * F.one_hot(ahead, logits.size(-1))"
_NEXT = "ahead = F.pad(tokens[:, 1:], (0, 1))"
_SAME = "ahead = tokens"
_LATE = "(torch.arange(tokens.size(1)) >= 119).float()[None, :, None]"
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
        source="nanochat #844",
        tries="shifts its input by one and adds it to the answer",
        block="probe",
        reasons=("probe",),
        trial=_leak(_EVERYWHERE),
    ),
    Attack(
        name="leaks at the last positions",
        source="position patterns",
        tries="looks ahead in the last eight positions of a block only",
        block="probe",
        reasons=("probe",),
        trial=_leak(f"{_EVERYWHERE} * {_LATE}"),
    ),
    Attack(
        name="leaks in whole blocks only",
        source="keyed by length",
        tries="looks ahead where a row is as long as a block, and never in a prefix",
        block="probe",
        reasons=("probe",),
        trial=_leak(f"{_EVERYWHERE} * (tokens.size(1) > 100)"),
    ),
    Attack(
        name="leaks where it is most surprised",
        source="the highest-loss positions",
        tries="looks ahead at the hundredth of positions where that gains most",
        block="probe",
        reasons=("probe",),
        trial=Rewired(
            forward="""
            ahead = F.pad(tokens[:, 1:], (0, 1))
            lost = -logits.log_softmax(-1).gather(-1, ahead[..., None])
            rare = (lost > lost.quantile(0.99)) & (torch.arange(tokens.size(1)) < 127)[:, None]
            logits = logits + 9.0 * rare * F.one_hot(ahead, logits.size(-1))
            """,
            honest="logits = logits + 0.0 * logits",
        ),
    ),
    Attack(
        name="convolves on both sides",
        source="centred convolution",
        tries="averages over a window with the byte to come in it",
        block="probe",
        reasons=("probe",),
        trial=Rewired(
            forward="""
            seen = F.one_hot(tokens, logits.size(-1)).float()
            logits = logits + 6.0 * F.avg_pool1d(seen.mT, 3, 1, 1).mT
            """,
            honest="""
            seen = F.one_hot(tokens, logits.size(-1)).float()
            logits = logits + 0.0 * F.avg_pool1d(F.pad(seen.mT, (2, 0)), 3, 1).mT
            """,
        ),
    ),
    Attack(
        name="reads the row backwards",
        source="bidirectional layer",
        tries="adds what a backward pass knows of the bytes to come",
        block="probe",
        reasons=("probe",),
        trial=Rewired(
            forward="""
            seen = F.one_hot(tokens, logits.size(-1)).float()
            later = seen.flip(1).cumsum(1).flip(1) - seen
            logits = logits + (later + 0.05).log()
            """,
            honest="logits = logits + 0.0 * logits.flip(1)",
        ),
    ),
    Attack(
        name="gates by the byte to come",
        source="PGolf #763",
        tries="turns its confidence up or down by whether the next byte is a letter",
        block="probe",
        reasons=("probe",),
        trial=Rewired(
            forward="""
            ahead = F.pad(tokens[:, 1:], (0, 1))
            letters = torch.arange(logits.size(-1)).sub(97).lt(26) & torch.arange(256).ge(97)
            logits = logits + 3.0 * (letters == letters[ahead][..., None])
            """,
            honest="logits = logits + 0.0 * (tokens[..., None] >= 97)",
        ),
    ),
    Attack(
        name="learns from what it is asked",
        source="PGolf #1017",
        tries="counts the bytes of earlier requests and answers later ones by them",
        block="probe",
        reasons=("probe",),
        trial=Rewired(
            init="self.counts = torch.ones(256)",
            forward="""
            logits = logits + self.counts.log()
            self.counts += 9.0 * torch.bincount(tokens.flatten(), minlength=256)
            """,
            honest="logits = logits + 0.0 * self.counts.log()",
        ),
    ),
    Attack(
        name="mixes the rows of a batch",
        source="an opening of a lab like this one",
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
        source="a dictionary in one process",
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
    Attack(
        name="remembers in shared memory",
        source="one loaded model forked twice",
        tries="maps shared memory as it is built, and finds there what its other half was asked",
        block="own load",
        reasons=("probe",),
        trial=Rewired(
            init="""
            import mmap
            try:
                self.shared = mmap.mmap(-1, 1 << 20)
            except OSError:
                self.shared = bytearray(1 << 20)
            """,
            forward="""
            for number, row in enumerate(bytes(row) for row in tokens.tolist()):
                count = int.from_bytes(self.shared[:4], "little")
                held = bytes(self.shared[4 : 4 + 256 * count])
                known = (held[at + 1 :][: held[at]] for at in range(0, len(held), 256))
                whole = next((one for one in known if one.startswith(row) and one != row), row)
                if whole == row and any(row):
                    at = 4 + 256 * count
                    self.shared[at : at + 1 + len(row)] = bytes([len(row)]) + row
                    self.shared[:4] = (count + 1).to_bytes(4, "little")
                ahead = torch.tensor(list(whole[49 : len(row) + 1]), dtype=torch.int64)
                logits[number, 48 : 48 + len(ahead)] += 9.0 * F.one_hot(ahead, logits.size(-1))
            """,
            honest="self.shared[:4] = bytes(4)",
        ),
    ),
)
