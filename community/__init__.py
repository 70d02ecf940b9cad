"""The institution: scenario, topology, clerk, scheduler, ledger, run, views, CLI."""
