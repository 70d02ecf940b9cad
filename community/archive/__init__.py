"""The record of a run: the append-only ledger, its fold, and what is computed from it."""
