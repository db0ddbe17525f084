"""Paced sending: one frame per period, heartbeats between them, an end that is always said."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Unpack

from numpy.typing import NDArray

from latticewatch.adapters.native import FrameFields
from latticewatch.simulator.sources import Shot

HEARTBEAT_S = 0.25
"""As the wire protocol asks; three missing ones count as a stall."""

MAX_BEHIND_PERIODS = 2.0
"""Delays of the operating system, which are made up for; beyond that the computer is too slow."""


class Sender(Protocol):
    """What frames are handed to: `adapters.native.FrameSender`, or a list in a test."""

    @property
    def session(self) -> str:
        """32 random hexadecimal digits."""
        ...

    @property
    def n_acquired(self) -> int:
        """Numbers given so far."""
        ...

    @property
    def dropped(self) -> int:
        """How many of them were not sent."""
        ...

    def send(self, pixels: NDArray[Any], **fields: Unpack[FrameFields]) -> bool:
        """Send a frame under the next number; False if it was dropped."""
        ...

    def heartbeat(self) -> bool:
        """Say that the source lives."""
        ...

    def end(self, reason: Literal["stopped", "aborted", "error"]) -> bool:
        """Say that the session is over."""
        ...

    def drain(self) -> int:
        """Wait until everything has left, within limits; how many frames have not."""
        ...


class Stop(Protocol):
    """A stop flag one can wait on, such as `threading.Event`."""

    def is_set(self) -> bool:
        """Tell whether sending shall end."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the flag, at most so many seconds; True if it is set."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast to send, and by which clocks.

    Parameters
    ----------
    fps
        Frames per second.
    monotonic_s
        Clock for waiting.
    utc_ns
        Clock for the header.
    """

    fps: float
    monotonic_s: Callable[[], float]
    utc_ns: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of an acquisition.

    Parameters
    ----------
    session
        Its name on the wire.
    frames_acquired, frames_sent, dropped
        Acquired = sent + dropped.
    undelivered
        Of those sent, how many were still here when the wait for the daemon was over.
    frames_late
        Were not ready when they were due: the computer is too slow for this size and rate.
    seconds
        From the first frame's turn to the end of the last frame's.
    fps
        Frames acquired per second, over that time.
    """

    session: str
    frames_acquired: int
    frames_sent: int
    dropped: int
    undelivered: int
    frames_late: int
    seconds: float
    fps: float


def send_paced(shots: Iterable[Shot], *, sender: Sender, stop: Stop, pace: Pace) -> Sent:
    """Send shots at an even rate until they end or the flag is set; then say the end.

    A shot is made before it is due, so its age at sending is that of the socket alone. Short
    delays are made up for; after a longer one the schedule moves, so that no burst follows.

    Parameters
    ----------
    shots
        In order. An error in here is told to the peer as the end's reason and raised.
    sender
        Used by the calling thread only.
    stop
        Looked at before each frame and while waiting.
    pace
        Rate and clocks.
    """
    period_s = 1.0 / pace.fps
    start_s = due_s = pace.monotonic_s()
    n_late = 0
    heart = _Heart(sender, pace.monotonic_s)
    try:
        for shot in shots:
            ready_s = pace.monotonic_s()
            if sender.n_acquired == 0:
                start_s = due_s = ready_s
            n_late += ready_s > due_s
            due_s = max(due_s, ready_s - MAX_BEHIND_PERIODS * period_s)
            if _wait_until(due_s, heart=heart, stop=stop, monotonic_s=pace.monotonic_s):
                break
            sender.send(shot.pixels, t_complete_ns=pace.utc_ns(), **shot.fields)
            due_s += period_s
    except BaseException:
        sender.end("error")
        raise
    # The last frame has its period too: n frames at a rate take n periods.
    _wait_until(due_s, heart=heart, stop=stop, monotonic_s=pace.monotonic_s)
    seconds = pace.monotonic_s() - start_s
    sender.end("stopped")
    return Sent(
        session=sender.session,
        frames_acquired=sender.n_acquired,
        frames_sent=sender.n_acquired - sender.dropped,
        dropped=sender.dropped,
        undelivered=sender.drain(),
        frames_late=n_late,
        seconds=seconds,
        fps=sender.n_acquired / seconds if seconds > 0.0 else 0.0,
    )


class _Heart:
    """Beats when it is time."""

    def __init__(self, sender: Sender, monotonic_s: Callable[[], float]) -> None:
        self._sender = sender
        self._monotonic_s = monotonic_s
        self.due_s = monotonic_s()

    def beat_if_due(self) -> None:
        now_s = self._monotonic_s()
        if now_s >= self.due_s:
            self._sender.heartbeat()
            self.due_s = now_s + HEARTBEAT_S


def _wait_until(
    due_s: float, *, heart: _Heart, stop: Stop, monotonic_s: Callable[[], float]
) -> bool:
    """Wait with beating heart; True if told to stop."""
    while not stop.is_set():
        heart.beat_if_due()
        left_s = due_s - monotonic_s()
        if left_s <= 0.0:
            return False
        stop.wait(min(left_s, max(heart.due_s - monotonic_s(), 0.0)))
    return True
