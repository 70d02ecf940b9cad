"""What the devices of a run will be used for, and cost, before it starts: both ends, with the how.

Computed from scenario and task alone; no device is asked, and what thinking costs is told by
`community.estimating`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from community.estimating import UNLIMITED
from community.opening import budget_for
from community.scenario import Scenario
from trainer.task import find_task, load_task

LEADING: Final = 4
"""In the end the baseline and three leading commits are measured once more."""
AROUND: Final = 0.25
"""Of its budget, what a run may take of its slot beside it: start-up, scoring, idle moments."""


def device_lines(scenario: Scenario) -> list[str]:
    """Return for people how long the devices are used, and what that costs.

    Raises:
        TaskError: the task cannot be read.
    """
    if scenario.run.time == "virtual":
        return ["devices: none; experiments are modelled"]
    task = load_task(find_task(scenario.run.task, Path.cwd()))
    budget = budget_for(task, scenario)
    if budget.kind == "steps":
        return ["devices: a budget in steps does not say how long a run takes"]
    limit = scenario.stop.experiments
    experiments = UNLIMITED if limit is None else limit
    apart = scenario.noise.baseline_runs + LEADING * scenario.seal.runs
    credit = scenario.credit.share * experiments
    low_h = (experiments + apart) * budget.amount / 3600
    most_s = (budget.amount + budget.untimed_s) * (1 + AROUND)
    high_h = (experiments + apart + credit) * most_s / 3600
    first = (
        f"devices: {experiments} experiments{'' if limit else ' (there is no limit)'} and {apart} "
        f"runs of what is known, {budget.amount:g} s each: {low_h:.3g} to {high_h:.3g} device-hours"
    )
    slots, price = scenario.pool.slots, scenario.pool.dollars_per_device_hour
    if slots != "auto":
        first += f"; {low_h / slots:.2g} to {high_h / slots:.2g} hours on {slots} slots"
    if price is None:
        cost = "what they cost: set dollars_per_device_hour in [pool]"
    else:
        cost = (
            f"what they cost: ${low_h * price:.2f} to ${high_h * price:.2f}, at ${price:g} an hour "
            "of each; from when they start until they are returned, they are paid idle too"
        )
    how = (
        "how: at the lower end each run takes its budget and no slot ever waits; at the upper end "
        f"a quarter more for start-up, scoring and idle moments, {credit:.3g} runs for credit, and "
        "all of what the budget does not count"
    )
    return [first, cost, how]
