"""``community init``: from somebody's repository to a task folder that runs.

It looks, proposes, copies and writes beside; the repository itself is never written to.
"""
