"""The late thread: detectors whose answer the first event of a frame does not wait for.

One frame in hand and one that waits: the newest, which is worth most. The loop hands frames over
without waiting and without copying; only where nothing may be lost does it wait for room.
"""

import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from latticewatch.daemon.books import Books
from latticewatch.daemon.measuring import measure_late
from latticewatch.daemon.metrics import LateFate
from latticewatch.daemon.outcome import LateJob, Outcome
from latticewatch.daemon.service import OutcomeSink

__all__ = ["LateAnalyser", "LateWorker"]

# Of 19. On two cores that other programs keep busy, with a late detector that takes 25 ms: median
# of the first event 18 ms without it, 37 at nice 0, 25 at 5, 18 to 25 at 10.
_NICE: Final = 10


class LateAnalyser(Protocol):
    """What the worker asks about each frame."""

    def process(self, job: LateJob) -> Outcome:
        """Return the late verdict on one frame, whatever its pixels are."""


@dataclass(slots=True, kw_only=True)
class LateWorker:
    """Answers what the pipeline left, and counts what became of each frame: one fate for each.

    `offer` and `drop` belong to the loop, `run` to the late thread, `close` to anybody.

    Attributes
    ----------
    within_ms
        A frame older than this, since it was received, is not begun any more.
    keeps_all
        Nothing is dropped and nothing too late: the loop waits until there is room.
    """

    stage: LateAnalyser
    outbox: OutcomeSink
    books: Books
    within_ms: int
    keeps_all: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)
    _waiting: LateJob | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def n_waiting(self) -> int:
        """Frames that wait, 0 or 1; for other threads to read."""
        return int(self._waiting is not None)

    def offer(self, job: LateJob) -> None:
        """Hand a frame over, its image with it; one that still waited is dropped."""
        with self._changed:
            if self.keeps_all:
                self._changed.wait_for(lambda: self._closed or self._waiting is None)
            if self._closed:
                older: LateJob | None = job
            else:
                older, self._waiting = self._waiting, job
            self._changed.notify_all()
        if older is not None:
            self.drop(older)

    def drop(self, job: LateJob) -> None:
        """Give a frame up that nobody has begun with."""
        self._settle(job, "dropped")

    def close(self) -> None:
        """Take no more frames; the one in hand is finished, one that waits is if nothing is lost.

        Frees a waiting `offer`.
        """
        self._shut(drops=not self.keeps_all)

    def run(self) -> None:
        """Answer until closed."""
        _step_back()
        try:
            while (job := self._take()) is not None:
                self._answer(job)
        finally:
            # Also when it dies of a bug: the loop shall not wait for it until the daemon stops.
            self._shut(drops=True)

    def _shut(self, *, drops: bool) -> None:
        with self._changed:
            self._closed = True
            older = None
            if drops:
                older, self._waiting = self._waiting, None
            self._changed.notify_all()
        if older is not None:
            self.drop(older)

    def _take(self) -> LateJob | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting is not None)
            job, self._waiting = self._waiting, None
            self._changed.notify_all()
            return job

    def _answer(self, job: LateJob) -> None:
        if not self.keeps_all and self._age_ms(job) > self.within_ms:
            self._settle(job, "too_late")
            return
        try:
            outcome = self.stage.process(job)
        except BaseException:
            job.release()
            raise
        age_ms = self._age_ms(job)
        if age_ms > self.within_ms:
            self.books.metrics.count_late_overdue()
        if not self.keeps_all and age_ms > job.first.valid_for_ms:
            # Nobody may act on it any more.
            self._settle(job, "too_late")
            return
        if not self.outbox.submit(outcome):
            self._settle(job, "dropped")
            return
        failed = any(state.state == "error" for state in outcome.event.detectors)
        self._settle(job, "failed" if failed else "answered")
        measure_late(self.books, outcome)

    def _age_ms(self, job: LateJob) -> float:
        return (self.books.clock.monotonic_ns() - job.received_ns) / 1e6

    def _settle(self, job: LateJob, fate: LateFate) -> None:
        job.release()
        self.books.metrics.count_late(fate)


def _step_back() -> None:
    """Let the loop come first, where the system can tell threads apart."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
