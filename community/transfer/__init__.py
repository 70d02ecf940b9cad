"""Transfer: which of the gains of a run survive at another size.

`plan` takes a run's leading commit apart, `task_copy` makes the task at the other size, `measuring`
runs what there is to run, side by side, and `findings` says what it came to.
"""
