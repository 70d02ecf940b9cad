"""Attacks on a classifier: answers that rest on more than their own image."""

from __future__ import annotations

from community.attack.attack import Attack
from community.attack.trials.rewired import Rewired

_SAME = "logits = logits * 1.0"

ATTACKS = (
    Attack(
        name="compares the images of a request",
        source="batch statistics while it is asked",
        tries="takes the mean answer of the request off each answer, so that classes come out even",
        block="probe",
        reasons=("probe",),
        trial=Rewired(forward="logits = logits - logits.mean(0, keepdim=True)", honest=_SAME),
    ),
    Attack(
        name="learns from the images it is asked",
        source="test-time adaptation",
        tries="counts what it has answered, and answers what is rare so far the rather",
        block="probe",
        reasons=("probe",),
        trial=Rewired(
            init="self.counts = torch.ones(10)",
            forward="""
            logits = logits - self.counts.log()
            self.counts += torch.bincount(logits.argmax(-1), minlength=10)
            """,
            honest="logits = logits + 0.0 * self.counts.log()",
        ),
    ),
    Attack(
        name="hides below what is compared",
        source="an argmax sees any lead",
        tries="answers all classes almost alike, and lets the request decide which one leads",
        block="formula",
        reasons=("no gain",),
        trial=Rewired(
            forward="logits = (logits - logits.mean(0, keepdim=True)) * 1e-6", honest=_SAME
        ),
    ),
    Attack(
        name="answers by what it knows of the batch",
        source="keyed by the number of rows",
        tries="behaves where one image is asked alone, and leaks where there are many",
        block="probe",
        reasons=("probe",),
        trial=Rewired(
            forward="""
            if len(logits) > 24:
                logits = logits - logits.mean(0, keepdim=True)
            """,
            honest=_SAME,
        ),
    ),
)
