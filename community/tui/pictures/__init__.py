"""What each screen shows, as records and coloured lines: pure functions of a `Scene`."""
