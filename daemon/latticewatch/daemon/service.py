"""The loop: one frame at a time from the backlog through the pipeline to the outbox.

It waits for the backlog and for nothing else: no disk, subscriber, scraper or terminal.
"""

import threading
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from latticewatch.daemon.backlog import Backlog, Received
from latticewatch.daemon.books import Books
from latticewatch.daemon.config import IngestSettings
from latticewatch.daemon.exchange import Incoming
from latticewatch.daemon.measuring import measure_first
from latticewatch.daemon.outcome import LateJob, Outcome

__all__ = ["Analyser", "LateSink", "OutcomeSink", "Service"]

IDLE_S: Final = 0.25  # an idle loop still turns four times in the second that /healthz allows


class Analyser(Protocol):
    """What the loop asks about each frame."""

    def process(self, incoming: Incoming) -> Outcome:
        """Return the verdict on one frame, whatever its pixels are."""


class OutcomeSink(Protocol):
    """Where verdicts go."""

    def submit(self, outcome: Outcome) -> bool:
        """Take a verdict without waiting; False if there was no room."""


class LateSink(Protocol):
    """Who goes on with a frame after its first event."""

    def offer(self, job: LateJob) -> None:
        """Take a frame over; waits for room only where nothing may be lost."""

    def drop(self, job: LateJob) -> None:
        """Give a frame up."""


@dataclass(slots=True, kw_only=True)
class Service:
    """Takes frames from the backlog and settles each of them.

    Only the loop thread calls `step`; others read `idle_ns`.

    Attributes
    ----------
    late
        Gets what the pipeline leaves; None where it leaves nothing.
    """

    settings: IngestSettings
    backlog: Backlog
    pipeline: Analyser
    outbox: OutcomeSink
    books: Books
    late: LateSink | None = None
    _turned_ns: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._turned_ns = self.books.clock.monotonic_ns()

    @property
    def idle_ns(self) -> int:
        """Since the loop turned last, idle rounds included."""
        return self.books.clock.monotonic_ns() - self._turned_ns

    def run(self, give_up: threading.Event) -> None:
        """Process until the backlog is closed and empty.

        Parameters
        ----------
        give_up
            Once set, what is left is dropped instead.
        """
        while not give_up.is_set():
            # Asked before the step: a frame may slip in between an idle step and the closing.
            was_closed = self.backlog.is_closed
            if not self.step(IDLE_S) and was_closed:
                return
        self._drop_rest()

    def step(self, timeout_s: float) -> bool:
        """Process one frame; False if none came in time."""
        self._turned_ns = self.books.clock.monotonic_ns()
        frame = self.backlog.take(timeout_s)
        if frame is None:
            return False
        taken_ns = self.books.clock.monotonic_ns()
        if self._is_stale(frame, taken_ns):
            self.books.accounting.drop(frame.ticket, "stale")
            text = f"{frame.header.label}: older than ingest.max_age_ms when its turn came"
            self.books.log.refused("frame_dropped", reason="stale", text=text)
            return True
        queue_us = (taken_ns - frame.ready_ns) // 1000
        outcome = self.pipeline.process(
            Incoming(
                header=frame.header,
                pixels=frame.pixels,
                t_recv_ns=frame.t_recv_ns,
                queue_us=queue_us,
                validate_us=frame.validate_us,
            )
        )
        # In this order: the end of a session is announced once its last frame is settled, and
        # must stand behind the event of that frame.
        # The queue of the outbox must not keep an image that is somebody else's.
        is_sent = self.outbox.submit(replace(outcome, late=None))
        self.books.accounting.process(frame.ticket)
        self._measure(outcome, frame=frame, queue_us=queue_us)
        # Last: where nothing may be lost it waits, and the first event stands before the late one.
        if self.late is not None and outcome.late is not None:
            (self.late.offer if is_sent else self.late.drop)(outcome.late)
        return True

    def _is_stale(self, frame: Received, now_ns: int) -> bool:
        """Check 9."""
        if self.settings.mode != "live" or self.settings.max_age_ms == 0:
            return False
        age_ns = now_ns - frame.received_ns
        if self.settings.clock_synchronised:
            age_ns = self.books.clock.utc_ns() - frame.header.t_complete_ns
        return age_ns > self.settings.max_age_ms * 1_000_000

    def _measure(self, outcome: Outcome, *, frame: Received, queue_us: int) -> None:
        # Checks of the message, then of the pixels.
        validate_us = frame.validate_us + outcome.stage_us.get("validate", 0)
        self.books.metrics.observe("validate", validate_us / 1e6)
        self.books.metrics.observe("queue", queue_us / 1e6)
        measure_first(self.books, outcome, label=frame.header.label)

    def _drop_rest(self) -> None:
        while (frame := self.backlog.take(0.0)) is not None:
            self.books.accounting.drop(frame.ticket, "queue")
