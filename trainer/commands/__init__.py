"""Commands: programs of other people's that run behind walls of their own, with a network by name.

A coding agent, say. Unlike a candidate it may start processes and write files; like one it sees
nothing of the machine that was not named. `trainer.commands.command` is the face.
"""
