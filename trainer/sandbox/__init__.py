"""The walls around candidate code, built by the process that is about to run it.

`view` says what may be seen, `mounts` builds a file system of just that, `namespaces` leaves the
host's, `landlock` and `seccomp` refuse the rest, `entry` does all of it in order, `probe` tells
what this machine allows. Nothing here knows of budgets or of torch.
"""
