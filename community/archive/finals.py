"""The run's last word: the leading commits on all three splits, and how far dev flattered them.

A function of the fold. Screens on dev chose these commits, confirmations on vault let them lead,
and on seal nothing was decided, so that alone is an honest number.
"""

from __future__ import annotations

from dataclasses import dataclass

from community.archive.queries import baseline_mean
from community.archive.spreads import prior_of
from community.archive.state import HypothesisState, RunState, Split
from community.seed_rule import is_deterministic
from scoring.evidence.headline import Headline, headline
from scoring.evidence.sequential import gain_over
from scoring.verdict import Direction


@dataclass(frozen=True, slots=True)
class SplitMean:
    """A tree's mean on one split."""

    mean: float
    runs: int
    gain: float | None
    """Over the baseline's mean on the same split, positive is better; None without that."""


@dataclass(frozen=True, slots=True)
class Final:
    """One of the commits that the last runs are about, or the baseline."""

    commit: str
    hypothesis: str
    """Post id; empty for the baseline."""
    title: str
    """The author's words; data."""
    author: str
    status: str
    dev: SplitMean | None
    """From its screen alone, the look that chose it; of the baseline from calibration."""
    vault: SplitMean | None
    """From its confirmations."""
    seal: SplitMean | None
    headline: Headline | None
    """Its gain over the baseline on seal with an interval; None of the baseline and before both
    have run."""

    @property
    def flattery(self) -> float | None:
        """By how much its gain on dev exceeds that on seal; None where one is unknown."""
        if self.dev is None or self.seal is None:
            return None
        if self.dev.gain is None or self.seal.gain is None:
            return None
        return self.dev.gain - self.seal.gain


def finals(state: RunState) -> tuple[Final, ...]:
    """Return the baseline, then the commits of the last runs, best first; nothing before those."""
    opened, last = state.opened, state.evidence.finals
    if opened is None or last is None:
        return ()
    key, noise = opened.baseline_tree_key, state.noise
    calibrated = SplitMean(noise.mean, len(noise.scores), 0.0) if noise else None
    base = Final(
        commit=opened.baseline_commit,
        hypothesis="",
        title="baseline",
        author="",
        status="baseline",
        dev=calibrated,
        vault=_whole(state, key, "vault"),
        seal=_whole(state, key, "seal"),
        headline=None,
    )
    return (base, *(_final(state, commit) for commit in last.commits))


def _final(state: RunState, commit: str) -> Final:
    claim = _claim(state, commit)
    key = claim.tree_key if claim else ""
    return Final(
        commit=commit,
        hypothesis=claim.post_id if claim else "",
        title=claim.title if claim else "",
        author=claim.author if claim else "",
        status=claim.status if claim else "",
        dev=_screened(state, claim) if claim else None,
        vault=_whole(state, key, "vault"),
        seal=_whole(state, key, "seal"),
        headline=_headline(state, key),
    )


def _headline(state: RunState, tree_key: str) -> Headline | None:
    """Return the gain on seal within the device class in which the last runs were made."""
    assert state.opened is not None
    base = state.verdicts_by_tree.get((state.opened.baseline_tree_key, "seal"), ())
    own = state.verdicts_by_tree.get((tree_key, "seal"), ())
    newest = base[-1].device_class if base else ""
    scores, reference = (
        [v.score for v in runs if v.score is not None and v.device_class == newest]
        for runs in (own, base)
    )
    prior = prior_of(state, newest)
    if not scores or not reference or prior is None:
        return None
    return headline(
        scores,
        reference,
        prior,
        state.opened.direction,
        is_candidate_fixed=is_deterministic(state, tree_key),
    )


def _claim(state: RunState, commit: str) -> HypothesisState | None:
    """Return the hypothesis of a commit: the reproduced one where several name it."""
    claims = [state.hypotheses[name] for name in state.hypotheses_by_commit.get(commit, ())]
    return next((c for c in claims if c.status == "reproduced"), claims[0] if claims else None)


def _screened(state: RunState, claim: HypothesisState) -> SplitMean | None:
    runs = (state.experiments[name] for name in claim.experiments)
    return _mean(
        state,
        "dev",
        [
            verdict.score
            for run in runs
            if run.queued.purpose == "screen"
            and (verdict := run.standing_verdict) is not None
            and verdict.score is not None
        ],
    )


def _whole(state: RunState, tree_key: str, split: Split) -> SplitMean | None:
    return _mean(state, split, list(state.scores(tree_key, split)))


def _mean(state: RunState, split: Split, scores: list[float]) -> SplitMean | None:
    if not scores:
        return None
    direction: Direction = state.opened.direction if state.opened else "lower"
    mean = sum(scores) / len(scores)
    baseline = baseline_mean(state, split)
    gain = None if baseline is None else gain_over(mean, baseline, direction)
    return SplitMean(mean, len(scores), gain)
