"""The locked scorer: graders, worker process, verdicts; `scoring.evidence` weighs them."""
