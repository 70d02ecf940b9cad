"""The panes of the watch screen: each shows records it is handed and reads no ledger itself."""
