"""Whether the source is there, and whether the daemon answers it; reads no socket."""

import threading
from dataclasses import dataclass
from typing import Final, Literal

from latticewatch.daemon.ports import Clock
from latticewatch.wire.events import Level, StatusCode

__all__ = ["Notice", "Presence", "PresenceState", "Readiness"]

# Three heartbeats of 250 ms, protocol.md 3.3.
STALLED_AFTER_NS: Final = 750_000_000

PresenceState = Literal["waiting", "up", "stalled", "down", "ended"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A change that clients and operator are told of."""

    code: StatusCode
    level: Level
    text: str


class Presence:
    """State of one source, from what is heard of it.

    The receive thread writes, others read.

    Parameters
    ----------
    name
        Of the source, for the texts.
    clock
        Silence is measured with its monotonic side.
    """

    def __init__(self, *, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._state: PresenceState = "waiting"
        self._heard_ns: int | None = None

    @property
    def state(self) -> PresenceState:
        """What is known now."""
        with self._lock:
            return self._state

    @property
    def age_ms(self) -> int | None:
        """Since the last message, whole milliseconds; None before the first."""
        with self._lock:
            if self._heard_ns is None:
                return None
            return (self._clock.monotonic_ns() - self._heard_ns) // 1_000_000

    def heard(self, *, ended: bool = False) -> list[Notice]:
        """Note a message that was accepted.

        Parameters
        ----------
        ended
            It was the end of a session: silence is then no fault.
        """
        with self._lock:
            before, self._state = self._state, "ended" if ended else "up"
            self._heard_ns = self._clock.monotonic_ns()
        if self._state == "up" and before != "up":
            return [Notice("source_up", "info", f"{self._name}: source is there")]
        return []

    def look(self, *, n_connections: int) -> list[Notice]:
        """Notice that nothing was accepted since `heard`; to be called every 0.1 s or so.

        Parameters
        ----------
        n_connections
            Open connections of the socket. 0 only once it is empty: what still waits there may
            be the source's.
        """
        with self._lock:
            if self._state not in ("up", "stalled") or self._heard_ns is None:
                return []
            if n_connections == 0:
                self._state = "down"
                return [Notice("source_down", "warning", f"{self._name}: connection closed")]
            silent_ns = self._clock.monotonic_ns() - self._heard_ns
            if self._state == "up" and silent_ns > STALLED_AFTER_NS:
                self._state = "stalled"
                text = f"{self._name}: connected, but silent for {silent_ns // 1_000_000} ms"
                return [Notice("source_stalled", "warning", text)]
        return []


Phase = Literal["starting", "ready", "stopping"]


class Readiness:
    """Whether frames are answered, and if not, why.

    A source that was never there, or that ended its session, is no reason: the daemon waits.

    Parameters
    ----------
    presence
        Of the source.

    Attributes
    ----------
    phase
        Set by whoever starts and stops the daemon.
    """

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self.phase: Phase = "starting"

    @property
    def is_ready(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons()

    def reasons(self) -> list[str]:
        """Return why frames are not answered; empty if they are."""
        reasons: list[str] = [] if self.phase == "ready" else [self.phase]
        state = self._presence.state
        if state in ("stalled", "down"):
            reasons.append(f"source_{state}")
        return reasons
