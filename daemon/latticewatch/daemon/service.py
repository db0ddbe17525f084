"""The loop: one frame at a time from the backlog through the pipeline to the outbox.

It waits for the backlog and for nothing else: no disk, subscriber, scraper or terminal.
"""

import threading
from dataclasses import dataclass, field
from typing import Final, Protocol

from latticewatch.daemon.backlog import Backlog, Received
from latticewatch.daemon.books import Books
from latticewatch.daemon.config import IngestSettings
from latticewatch.daemon.hints import HINTS, troubles
from latticewatch.daemon.metrics import Stage
from latticewatch.daemon.pipeline import Incoming, Outcome

__all__ = ["Analyser", "OutcomeSink", "Service"]

IDLE_S: Final = 0.25  # an idle loop still turns four times in the second that /healthz allows
_PIPELINE_STAGES: Final[tuple[Stage, ...]] = (
    "lattice",
    "segment",
    "features",
    "score",
    "locate",
    "reference_cell",
    "domains",
    "fuse",
    "total",
)


class Analyser(Protocol):
    """What the loop asks about each frame."""

    def process(self, incoming: Incoming) -> Outcome:
        """Return the verdict on one frame, whatever its pixels are."""


class OutcomeSink(Protocol):
    """Where verdicts go."""

    def submit(self, outcome: Outcome) -> bool:
        """Take a verdict without waiting; False if there was no room."""


@dataclass(slots=True, kw_only=True)
class Service:
    """Takes frames from the backlog and settles each of them.

    Only the loop thread calls `step`; others read `idle_ns`.
    """

    settings: IngestSettings
    backlog: Backlog
    pipeline: Analyser
    outbox: OutcomeSink
    books: Books
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
        self.outbox.submit(outcome)
        self.books.accounting.process(frame.ticket)
        self._measure(outcome, frame=frame, queue_us=queue_us)
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
        stage_us = outcome.stage_us
        # Checks of the message, then of the pixels.
        validate_us = frame.validate_us + stage_us.get("validate", 0)
        self.books.metrics.observe("validate", validate_us / 1e6)
        self.books.metrics.observe("queue", queue_us / 1e6)
        for stage in _PIPELINE_STAGES:
            if stage in stage_us:
                self.books.metrics.observe(stage, stage_us[stage] / 1e6)
        for defect in outcome.event.defects:
            self.books.metrics.count_defect(defect.kind)
        if outcome.event.outcome == "not_scored":
            self.books.metrics.count_not_scored(outcome.event.quality)
            for word in troubles(outcome.event.quality):
                why = f"; {outcome.note}" if outcome.note else ""
                text = f"{frame.header.label}: {HINTS[word]}{why}"
                self.books.log.refused("frame_not_scored", reason=word, text=text)
        if outcome.warning:
            text = f"{frame.header.label}: {outcome.warning}"
            self.books.log.refused("material_does_not_fit", reason="pixel_size", text=text)
        troubled = [state for state in outcome.event.detectors if state.state != "ok"]
        for state in troubled:
            text = f"{frame.header.label}: {outcome.note or state.state}"
            self.books.log.refused("detector_has_no_answer", reason=state.name, text=text)
        if outcome.note and not troubled and outcome.event.outcome == "scored":
            # A detector that leaves out one odd frame, and is not stale for that.
            text = f"{frame.header.label}: {outcome.note}"
            self.books.log.refused("detector_has_no_answer", reason="odd_frame", text=text)

    def _drop_rest(self) -> None:
        while (frame := self.backlog.take(0.0)) is not None:
            self.books.accounting.drop(frame.ticket, "queue")
