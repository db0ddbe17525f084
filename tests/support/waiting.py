"""Waiting for what other threads do, where there is no event to wait on."""

import time
from collections.abc import Callable
from threading import Event

_NEVER_SET = Event()


def wait_until(is_true: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
    """Ask again and again until it is true; false when the time is up."""
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > deadline_s:
            return False
        _NEVER_SET.wait(0.002)
    return True
