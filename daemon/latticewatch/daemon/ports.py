"""What the running daemon needs from outside: frames, a way out for events, a clock."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from latticewatch.wire.events import Level, StatusCode

__all__ = ["Announcer", "Clock", "EventSink", "FrameSource", "Part", "SystemClock"]


class Part(Protocol):
    """One part of a message, not copied."""

    @property
    def buffer(self) -> memoryview:
        """The bytes; they live as long as the part, or an array on them."""


class FrameSource(Protocol):
    """Where messages of the source come from. One thread uses it."""

    @property
    def n_connections(self) -> int:
        """Open connections; 0 means that no source is there."""

    def receive(self, timeout_ms: int) -> Sequence[Part] | None:
        """Return the next message, or None after the time without one."""


class EventSink(Protocol):
    """Where published messages go. One thread uses it."""

    @property
    def n_subscribers(self) -> int:
        """How many listen to events."""

    def is_wanted(self, topic: bytes) -> bool:
        """Somebody listens to this topic."""

    def publish(self, topic: bytes, *parts: bytes) -> None:
        """Hand one message to every subscriber that keeps up, without waiting."""

    def service_subscriptions(self, welcome: Callable[[], bytes]) -> None:
        """Note who came and went, and welcome those who asked for it."""


class Announcer(Protocol):
    """Whoever publishes status messages."""

    def announce(
        self,
        code: StatusCode,
        text: str,
        *,
        level: Level = "info",
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Publish that something happened; never waits."""


class Clock(Protocol):
    """Two clocks: one for durations, one for stamps."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that only grow; the origin means nothing."""

    def utc_ns(self) -> int:
        """UTC nanoseconds since 1970; may step."""


class SystemClock:
    """The clocks of this computer."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that only grow; the origin means nothing."""
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        """UTC nanoseconds since 1970; may step."""
        return time.time_ns()
