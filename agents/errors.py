"""What can go wrong around an agent, as one tree.

```
AgentError
├── LabError                what the institution answers to a request
│   ├── NoRightError        the asker's role does not hold the right
│   ├── MergeFailedError    the lab cannot merge two commits
│   ├── NotVisibleError     no post that carried this commit has reached the asker
│   └── ProposalRefusedError  the patch policy forbids the proposal
├── KnobError               knobs.toml and the start tree do not fit together
├── RoleError               a role file is missing or wrong
├── PriceError              a model has no price, or a price table is wrong
└── MindError               a mind cannot be made, or answered nonsense
    ├── UnknownMindError    no mind has this name
    ├── OutOfFundsError     a call would pass a cap on spending
    └── CallFailedError     a model's provider did not answer (`agents.minds.exchange`)
```

None of these stops a community: the agent counts them, waits and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence


class AgentError(Exception):
    """Root of everything this package raises on purpose."""


class LabError(AgentError):
    """The institution turned a request down."""


class NoRightError(LabError):
    """The asker's role does not hold the right to what it asked for."""


class NotVisibleError(LabError):
    """The asker may not read a commit, because no post that carried it has reached the asker."""


class MergeFailedError(LabError):
    """Two commits have no common ancestor, or their texts are too much to merge."""


class ProposalRefusedError(LabError):
    """The patch policy forbids a proposal; repeating it unchanged is of no use."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"proposal refused: {reason}")


class KnobError(AgentError):
    """knobs.toml is wrong, or does not fit the start tree; carries every fault found."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("knobs.toml: " + "; ".join(self.faults))


class RoleError(AgentError):
    """A role file is missing or holds something a role cannot have."""


class MindError(AgentError):
    """A mind cannot be made, or answered something that is no action."""


class UnknownMindError(MindError):
    """No mind has this name."""

    def __init__(self, name: str, nearest: str, known: Sequence[str]) -> None:
        self.name = name
        self.nearest = nearest
        hint = f"did you mean {nearest!r}? " if nearest else ""
        super().__init__(f"no mind is called {name!r}; {hint}known: {', '.join(known)}")


class PriceError(AgentError):
    """A model has no price, or a price table holds something that is none."""


class OutOfFundsError(MindError):
    """A call would pass a hard cap on spending, and nothing on its way can change that."""
