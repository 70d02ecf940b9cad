"""What all tests share."""

from __future__ import annotations

import signal

# A shell that starts the tests with `&` makes them, and every program they start, ignore Ctrl-C;
# tests that press it need the default back. Programs inherit it from here.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
