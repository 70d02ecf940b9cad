"""The locked scorer: graders, worker process, verdicts, noise, decisions. Knows nothing else."""
