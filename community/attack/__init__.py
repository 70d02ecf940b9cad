"""The attack suite: cheating candidates with honest twins, run against the lock of a task.

`catalogue` lists the attacks, `suite` runs them, `lab` puts production parts together and, for one
block at a time, a weak part from `weak/` in a block's place. Nothing else imports this package but
the command ``community attack``.
"""
