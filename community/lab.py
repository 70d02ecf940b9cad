"""The lab as one agent sees it: every right and every limit of visibility is enforced here.

Implements `agents.lab.Lab` over the repository, the scheduler and the ledger. It answers each
agent by what the ledger says has reached that agent; it does not post and it does not decide what
scores mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import cast

from agents.errors import MergeFailedError, NoRightError, NotVisibleError, ProposalRefusedError
from agents.lab import Briefing, Merged, Near, Outcome, Prepared, Proposal
from agents.roles import Right
from community.archive.queries import knows_score, results_heard, trees_told
from community.archive.spreads import told_sigma
from community.archive.state import HypothesisState
from community.assigning import assignments
from community.duplicates import NEAREST, may_compare
from community.events import Proposed, Refused, VerdictGiven
from community.institution import Institution
from community.leads import open_leads
from community.quotas import refuses_experiment, refuses_reproduction
from community.screening import screen_of, told_on_dev, told_verdict, tree_of
from community.twins import conditions_of
from forum.messages import Carries, Post
from forum.plain_text import plain
from forum.visibility import thin
from scoring.evidence.telling import told
from trainer.errors import PatchRefusedError, TrainerError

MOST_PARENTS = 16
"""Parents of one proposal, as many as a post can name."""


class AgentLab:
    """`agents.lab.Lab` bound to one agent.

    Args:
        institution: Everything the lab stands for.
        agent: Whose rights and visibility apply.
    """

    def __init__(self, institution: Institution, agent: str) -> None:
        self._institution = institution
        self._agent = agent
        self.looked = (0, 0)
        """The ledger's last row and the run time when the agent's last turn began."""

    async def briefing(self) -> Briefing:
        """Return the task and the baseline, once that is measured."""
        chronicle, task = self._institution.chronicle, self._institution.bench.task
        await chronicle.wait_until(lambda state: state.noise is not None)
        opened, noise = chronicle.state.opened, chronicle.state.noise
        assert opened is not None
        assert noise is not None
        return Briefing(
            task=task.name,
            brief=task.brief,
            metric=task.metric,
            unit=task.unit,
            direction=opened.direction,
            knobs_path=task.knobs_path or "",
            baseline_commit=opened.baseline_commit,
            baseline_mean=told(noise.mean, told_sigma(chronicle.state)),
            baseline_sigma=noise.sigma,
            budget=f"{opened.budget_amount:g} {opened.budget_kind}",
            device_class=self._institution.bench.life_class,
            confirmation_runs=self._institution.admission.first_look,
            confirmation_runs_most=self._institution.admission.whole,
        )

    async def read_tree(self, commit: str) -> Mapping[str, str]:
        """Return the editable files of a commit that has reached the agent."""
        self._must_see(commit)
        files = self._institution.bench.repository.read(commit)
        return self._editable(files)

    async def merge(self, first: str, second: str) -> Merged:
        """Merge two commits that have reached the agent."""
        self._must_hold("merge")
        self._must_see(first, second)
        repository, texts = self._institution.bench.repository, self._institution.bench.texts
        try:
            base = repository.common_ancestor(first, second)
            trees = [repository.read(commit) for commit in (base, first, second)]
            merged = await texts.merge(*trees)
        except TrainerError as error:
            raise MergeFailedError(str(error)) from error
        return Merged(self._editable(merged.files), tuple(merged.conflicts))

    async def wait_for_turn(self) -> None:
        """Return when nobody has paused the agent; what it looks at now is what it decides on."""
        await self._until_unpaused()
        chronicle = self._institution.chronicle
        self.looked = (chronicle.state.last_seq, chronicle.clock.now_us())

    async def _until_unpaused(self) -> None:
        chronicle = self._institution.chronicle
        await chronicle.wait_until(lambda state: self._agent not in state.forum.paused)

    async def prepare(self, proposal: Proposal, *, request: str = "") -> Prepared:
        """Commit a proposal; nothing runs yet. While the agent is paused this waits.

        Args:
            proposal: What is to be committed.
            request: The asker's name for it; what was committed under it is returned again.
        """
        made = await self._made(request)
        if made is not None:
            return made
        await self._until_unpaused()
        self._must_hold("propose")
        self._must_have_experiments()
        if self._joins(proposal):
            self._must_hold("merge")
        self._must_see(*proposal.parents)
        institution, state = self._institution, self._institution.chronicle.state
        bench = institution.bench
        if not proposal.parents:
            raise self._refused("a proposal names at least one parent commit")
        if len(proposal.parents) > MOST_PARENTS:
            raise self._refused(f"a proposal names at most {MOST_PARENTS} parents")
        parent = proposal.parents[0]
        if not knows_score(state, self._agent, tree_of(state, parent)):
            raise self._refused(
                f"no score of parent {parent[:12]} has reached {self._agent}; build on another"
            )
        trees = [bench.repository.read(commit) for commit in proposal.parents]
        try:
            changed = {path: text.encode() for path, text in proposal.files.items()}
            files = bench.task.policy.apply(trees[0], changed)
            await bench.texts.check(bench.task.policy, files, trees, bench.task.start)
        except (PatchRefusedError, UnicodeEncodeError) as error:
            raise self._refused(str(error)) from error
        key = await bench.texts.tree_key(
            files,
            lock_hash=bench.lock_hash,
            budget=bench.budget,
            device_class=bench.device_class,
        )
        if key == tree_of(state, parent):
            raise self._refused("the patch changes nothing that runs; change something")
        if state.opened is not None and key == state.opened.baseline_tree_key:
            raise self._refused("this is the start tree, which everything is measured against")
        changes = await bench.texts.hunks(bench.task.start, files)
        title = plain(proposal.title)
        message = f"{title}\n\n{plain(proposal.note)}".strip() + "\n"
        commit = bench.repository.commit(
            files,
            parents=proposal.parents,
            author=signature(self._agent),
            message=message,
            at_s=bench.epoch_s + institution.chronicle.clock.now_us() // 1_000_000,
        )
        if commit not in state.proposals:
            bench.repository.set_ref(f"refs/heads/exp/{self._agent}/{commit[:10]}", commit)
            institution.chronicle.record(
                Proposed(
                    commit, tuple(proposal.parents), key, self._agent, title,
                    dict(proposal.knobs), changes, request,
                )
            )  # fmt: skip
        patch = await bench.texts.diff(trees[0], files)
        return Prepared(commit, key, patch, self._known(key), self._near(commit))

    async def _made(self, request: str) -> Prepared | None:
        """Return what was committed for a request of the agent's; also in an earlier life."""
        proposals = self._institution.chronicle.state.proposals.values()
        found = (
            p for p in proposals if request and (p.author, p.request) == (self._agent, request)
        )
        made = next(found, None)
        if made is None:
            return None
        bench = self._institution.bench
        before, after = bench.repository.read(made.parents[0]), bench.repository.read(made.commit)
        patch = await bench.texts.diff(before, after)
        known, near = self._known(made.tree_key), self._near(made.commit)
        return Prepared(made.commit, made.tree_key, patch, known, near)

    async def run(self, commit: str, hypothesis: str) -> Outcome:
        """Measure a posted proposal; asking again waits for the same experiment.

        While the agent is paused nothing of his is begun.
        """
        claim = self._institution.chronicle.state.hypotheses.get(hypothesis)
        if claim is None or claim.commit != commit or claim.proposer != self._agent:
            return self._declined(commit, f"{hypothesis!r} is no hypothesis of {self._agent}'s")
        institution = self._institution
        if screen_of(institution.chronicle.state, hypothesis) is None:
            await self._until_unpaused()
        await institution.chronicle.wait_until(lambda _: institution.may_screen(claim))
        refusal = institution.screen(claim)
        if refusal:
            return self._declined(commit, refusal)
        await institution.chronicle.wait_until(
            lambda state: not state.hypotheses[hypothesis].awaits_screen
        )
        own = (c for c in claim.standing_changes if c.by == claim.proposer)
        screened = next(own, claim.changes[-1][1])  # a struck screen of what stands without it
        return self._outcome(claim, told_verdict(institution.chronicle.state, claim, screened))

    async def reproduce(self, hypothesis: str) -> Outcome:
        """Confirm a claim that reached the agent with its diff; asking again waits for the same."""
        institution = self._institution
        claim = institution.chronicle.state.hypotheses.get(hypothesis)
        if claim is None or not institution.chronicle.state.may_read(self._agent, claim.commit):
            return self._declined("", f"hypothesis {hypothesis!r} never reached {self._agent}")
        mine = [change for change in claim.confirmations if change.by == self._agent]
        if mine:  # it ended before a restart, and she has not heard of it yet
            return self._outcome(claim, told_verdict(institution.chronicle.state, claim, mine[-1]))
        if claim.reproduction_by != self._agent:
            await self._until_unpaused()
            state, quotas = institution.chronicle.state, institution.quotas(self._agent)
            refusal = refuses_reproduction(state, self._agent, quotas, hypothesis)
            refusal = refusal or institution.reproduce(hypothesis, self._agent)
            if refusal:
                return self._declined(claim.commit, refusal)
        done = len(claim.confirmations)
        await institution.chronicle.wait_until(
            lambda state: len(state.hypotheses[hypothesis].confirmations) > done
        )
        last = claim.confirmations[-1]
        return self._outcome(claim, told_verdict(institution.chronicle.state, claim, last))

    async def verdict(self, verdict_id: str) -> Outcome | None:
        """Return a verdict given to the agent, else None."""
        state = self._institution.chronicle.state
        verdict = state.verdicts.get(verdict_id)
        if verdict is None:
            return None
        queued = state.experiments[verdict.experiment_id].queued
        claim = state.hypotheses.get(queued.hypothesis)
        if claim is None or self._agent not in (claim.proposer, queued.requested_by):
            return None
        return self._outcome(claim, verdict)

    async def catch_up(self, after_seq: int) -> Sequence[Post]:
        """Return what reached the agent after row `after_seq`, thinned as it was then."""
        return [*self.missed(after_seq)]

    def missed(self, after_seq: int, skipped: int = 0) -> Iterator[Post]:
        """Yield the same but for the first `skipped`, each made when it is asked for."""
        state = self._institution.chronicle.state
        delivered = state.delivered.get(self._agent, {}).items()
        arrived = (
            (state.posts[post_id], carries)
            for post_id, carries in delivered
            if state.reach.arrival(self._agent, state.posts[post_id]) > after_seq
        )
        for record, carries in islice(arrived, skipped, None):
            copy = thin(record.as_post(), cast(Carries, carries))
            if copy is not None:
                yield copy

    async def assignments(self) -> frozenset[str]:
        """Return the hypotheses that the agent was asked to review and still may."""
        return assignments(self._institution.chronicle.state, self._agent)

    async def open_leads(self) -> Mapping[str, float]:
        """Return the leads that the agent may claim or holds, with the seconds it holds them."""
        chronicle = self._institution.chronicle
        return open_leads(chronicle.state, self._agent, chronicle.clock.now_us())

    async def remaining_experiments(self) -> int | None:
        """Return how many experiments the run may still start, as far as researchers are told."""
        return self._institution.admission.told(self._institution.chronicle.state)

    def _must_hold(self, right: Right) -> None:
        if not self._institution.may(self._agent, right):
            raise NoRightError(f"{self._agent}'s role has no right to {right}")

    def _must_have_experiments(self) -> None:
        institution = self._institution
        now_us, quotas = institution.chronicle.clock.now_us(), institution.quotas(self._agent)
        state = institution.chronicle.state
        if refusal := refuses_experiment(state, self._agent, quotas, now_us):
            raise NoRightError(refusal)

    def _joins(self, proposal: Proposal) -> bool:
        """Whether it joins branches: a confirmed first parent is what its gain is against."""
        if len(proposal.parents) < 2:
            return False
        self._must_see(*proposal.parents)
        state = self._institution.chronicle.state
        first = tree_of(state, proposal.parents[0])
        confirmed = {h.tree_key for h in state.hypotheses.values() if h.status == "reproduced"}
        opened = state.opened
        is_reference = opened is not None and first in {opened.baseline_tree_key, *confirmed}
        return len(proposal.parents) - is_reference > 1

    def _must_see(self, *commits: str) -> None:
        state = self._institution.chronicle.state
        hidden = [each for each in commits if not state.may_read(self._agent, each)]
        if hidden:
            raise NotVisibleError(
                f"commit {min(hidden)[:12]} never reached {self._agent} with its diff; "
                "build on what your feed carried"
            )

    def _editable(self, files: Mapping[str, bytes]) -> dict[str, str]:
        editable = self._institution.bench.task.editable
        return {path: files[path].decode(errors="replace") for path in editable if path in files}

    def _refused(self, reason: str) -> ProposalRefusedError:
        self._institution.chronicle.record(Refused(self._agent, "proposal", reason))
        return ProposalRefusedError(reason)

    def _declined(self, commit: str, reason: str) -> Outcome:
        is_over = self._institution.admission.is_closed
        return Outcome("stopped" if is_over else "refused", commit, "", None, "", None, reason)

    def _known(self, key: str) -> Outcome | None:
        """Return the recorded outcome of a tree, if the agent asked for it or posts told all of it.

        What nobody has told the agent stays unknown, or proposing would be a way to ask the lab
        about results, or about trees, that the topology keeps from it. The log goes with having
        asked.
        """
        state = self._institution.chronicle.state
        told = trees_told(state, self._agent)
        for verdict in state.verdicts_by_tree.get((key, "dev"), ()):
            queued = state.experiments[verdict.experiment_id].queued
            claim = state.hypotheses.get(queued.hypothesis)
            if claim is None:
                continue
            outcome = self._outcome(claim, verdict)
            if self._agent in (claim.proposer, queued.requested_by):
                return outcome
            if claim.post_id in told:
                return replace(outcome, log_tail="")
        return None

    def _near(self, commit: str) -> tuple[Near, ...]:
        """Return the claims that a proposal repeats, of those whose trees reached the agent.

        What came of them goes only to who asked for it or heard of it.
        """
        state = self._institution.chronicle.state
        heard, found = results_heard(state, self._agent), []
        for post_id, apart in self._institution.twins.of(state, commit):
            if may_compare(state, self._agent, commit, post_id):
                claim = state.hypotheses[post_id]
                is_told = claim.proposer == self._agent or post_id in heard
                told_of = self._told_of(claim) if is_told else None
                found.append(Near(post_id, apart, told_of))
        return tuple(found[:NEAREST])

    def _told_of(self, claim: HypothesisState) -> Outcome | None:
        """Return the outcome of a claim, without its log; None before it was judged."""
        if not claim.standing_changes:
            return None
        state = self._institution.chronicle.state
        verdict = told_verdict(state, claim, claim.standing_changes[-1])
        return replace(self._outcome(claim, verdict), log_tail="")

    def _outcome(self, claim: HypothesisState, verdict: VerdictGiven) -> Outcome:
        """Tell a verdict: status and the screen's score, roughly. Vault numbers stay in the lab."""
        state = self._institution.chronicle.state
        score, gain = told_on_dev(state, claim.post_id)
        return Outcome(
            outcome=verdict.outcome,
            commit=claim.commit,
            verdict_id=verdict.verdict_id,
            score=score,
            status=claim.status,
            gain=gain,
            reason=verdict.reason,
            log_tail=self._institution.log_tail(verdict.experiment_id),
            conditions=conditions_of(state, claim, verdict, self._institution.twins),
        )


def signature(name: str) -> str:
    """Return how git names a participant: nobody outside the run has such an address."""
    return f"{name} <{name}@community.invalid>"
