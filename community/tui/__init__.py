"""The watch screen: a Textual application that tails a run's ledger read-only."""
