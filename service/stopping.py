"""When a process that runs for long should end."""

from __future__ import annotations

import os
import signal
import threading


def stop_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def stop_with_input(stop: threading.Event) -> None:
    """Set an event when standard input ends: with the process that holds its other end."""
    while os.read(0, 1024):
        pass
    stop.set()
