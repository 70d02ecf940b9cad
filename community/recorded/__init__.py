"""Runs that are played again from their record: no model, no sandbox, no scorer, no network."""
