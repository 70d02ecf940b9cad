"""Designed sweeps of runs: factors, controls, one budget, statistics over landscapes, a report."""
