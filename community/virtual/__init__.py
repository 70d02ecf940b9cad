"""Virtual time: an event loop whose clock jumps, and whole runs on it."""
