"""How one experiment runs: tasks, git, devices, sandbox, executors. Knows no board, no scores."""
