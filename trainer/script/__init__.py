"""Scripts: experiments that are an ordinary command of the user's, run whole in a sandbox.

Unlike `trainer.harness`, nothing of ours runs in the candidate's process: its own interpreter is
executed, it may start further processes, and what it scored is what it printed.
"""
