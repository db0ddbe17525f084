"""A late worker over a list and a counter, with everything around it in reach."""

import threading
from typing import get_args

from latticewatch.daemon.image_pool import ImagePool
from latticewatch.daemon.late_worker import LateWorker
from latticewatch.daemon.metrics import LateFate
from latticewatch.daemon.outcome import Outcome
from support.daemons import FakeClock, make_books
from support.late import FakeStage, late_job

WITHIN_MS = 100


class ListOutbox:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.has_room = True

    def submit(self, outcome: Outcome) -> bool:
        if self.has_room:
            self.outcomes.append(outcome)
        return self.has_room


class Bench:
    """A worker without a thread of its own: `turn` does what it would do next."""

    def __init__(self, *, keeps_all: bool = False) -> None:
        self.clock = FakeClock()
        self.books = make_books(clock=self.clock)
        self.stage = FakeStage()
        self.outbox = ListOutbox()
        self.pool = ImagePool()
        self.worker = LateWorker(
            stage=self.stage,
            outbox=self.outbox,
            books=self.books,
            within_ms=WITHIN_MS,
            keeps_all=keeps_all,
        )

    def offer(self, seq: int) -> None:
        self.worker.offer(late_job(seq, received_ns=self.clock.monotonic_ns(), pool=self.pool))

    def run(self) -> None:
        """Answer what waits, and end."""
        self.worker.close()
        self.worker.run()

    def in_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self.worker.run, daemon=True)
        thread.start()
        return thread

    def fates(self) -> dict[str, int]:
        registry = self.books.metrics.registry
        name = "latticewatch_late_frames_total"
        values = {
            fate: int(registry.get_sample_value(name, {"fate": fate}) or 0)
            for fate in get_args(LateFate)
        }
        return {fate: value for fate, value in values.items() if value}

    @property
    def overdue(self) -> float | None:
        return self.books.metrics.registry.get_sample_value("latticewatch_late_overdue_total")
