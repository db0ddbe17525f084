"""What SIGTERM and SIGINT do: they end a start at once, and a running daemon in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["AskedToStop", "StopRequest"]


class AskedToStop(BaseException):
    """The process was asked to stop while it had nothing to bring in order.

    Not an `Exception`: whatever is being loaded may catch those and go on.
    """


class StopRequest:
    """Set by a signal. Not an `Event`, whose lock a handler could find held by its own thread.

    Attributes
    ----------
    is_set
        The process was asked to stop.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._interrupts = False

    def listen(self) -> None:
        """Take over both signals. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise `AskedToStop` out of what is done within, or at its end where it was swallowed."""
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False
        if self.is_set:
            raise AskedToStop

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.is_set = True
        if self._interrupts:
            self._interrupts = False  # once: a second one must not disturb the way out
            raise AskedToStop
