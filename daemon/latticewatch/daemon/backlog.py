"""Frames between the receive thread and the loop: the newest one, or all while the sender waits."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from latticewatch.daemon.accounting import Ticket
from latticewatch.wire.frames import FrameHeader

__all__ = ["Backlog", "LatestBacklog", "Received", "WaitingBacklog"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A frame whose checks 1 to 8 passed.

    Attributes
    ----------
    ticket
        Whoever takes the frame settles it with this.
    pixels : (H, W)
        View of the received bytes, in the type of the wire.
    t_recv_ns
        UTC when it was taken from the socket.
    received_ns, ready_ns
        Monotonic: taken from the socket; checked and put here.
    """

    ticket: Ticket
    header: FrameHeader
    pixels: NDArray[Any]  # Any: one of five element types
    t_recv_ns: int
    received_ns: int
    ready_ns: int

    @property
    def validate_us(self) -> int:
        """What the checks took."""
        return (self.ready_ns - self.received_ns) // 1000


class Backlog(Protocol):
    """One thread puts, one takes, a third may close."""

    def put(self, frame: Received) -> Received | None:
        """Add a frame; a frame that comes back has lost its place and is the caller's to drop."""

    def take(self, timeout_s: float) -> Received | None:
        """Return a frame, or None after the time without one, or at once when closed and empty."""

    def close(self) -> None:
        """Refuse new frames from now on; those inside can still be taken."""

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""


class LatestBacklog:
    """Keeps the newest frame and gives back the one that it replaces."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # The newest frame is the one worth steering by: at 100 frames/s into 40 the oldest-first
        # queue was 4 s behind, this one 8 ms.
        self._newest: Received | None = None
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def put(self, frame: Received) -> Received | None:
        """Replace what waits; the older frame comes back. When closed, the new one does."""
        with self._changed:
            if self._closed:
                return frame
            older, self._newest = self._newest, frame
            self._changed.notify()
            return older

    def take(self, timeout_s: float) -> Received | None:
        """Return the newest frame, or None."""
        with self._changed:
            if self._newest is None and not self._closed:
                self._changed.wait(timeout_s)
            frame, self._newest = self._newest, None
            return frame

    def close(self) -> None:
        """Refuse new frames from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class WaitingBacklog:
    """Keeps frames in order and lets `put` wait for room: then the socket fills, then the sender.

    Parameters
    ----------
    capacity
        Frames that fit.
    """

    def __init__(self, *, capacity: int) -> None:
        self._capacity = capacity
        self._changed = threading.Condition()
        self._frames: deque[Received] = deque()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def put(self, frame: Received) -> Received | None:
        """Add a frame once there is room; it comes back only when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._frames) < self._capacity)
            if self._closed:
                return frame
            self._frames.append(frame)
            self._changed.notify_all()
            return None

    def take(self, timeout_s: float) -> Received | None:
        """Return the oldest frame, or None."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._frames), timeout_s)
            if not self._frames:
                return None
            self._changed.notify_all()
            return self._frames.popleft()

    def close(self) -> None:
        """Refuse new frames from now on, and free a waiting `put`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
