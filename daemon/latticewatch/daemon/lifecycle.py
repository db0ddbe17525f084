"""A daemon whose parts are built: in which order they start, how they stop, what it says of itself.

Stop: intake ends, the frames in hand are finished, the outbox drained, within five seconds.
"""

import os
import threading
from dataclasses import dataclass, field
from typing import Final

import zmq

from latticewatch.adapters.native import FrameReceiver
from latticewatch.adapters.publisher import EventPublisher
from latticewatch.daemon.books import Books
from latticewatch.daemon.health import HealthServer
from latticewatch.daemon.intake import Intake
from latticewatch.daemon.late_worker import LateWorker
from latticewatch.daemon.motif_worker import MotifWorker
from latticewatch.daemon.outbox import Outbox
from latticewatch.daemon.service import Service
from latticewatch.daemon.threads import Threads

__all__ = ["EXIT_ASKED", "EXIT_THREAD_DIED", "Daemon"]

EXIT_ASKED: Final = 0
EXIT_THREAD_DIED: Final = 1

# Parts of the five seconds in which a stop is over; the event socket lingers for one more.
INTAKE_STOP_S: Final = 0.5
LOOP_STOP_S: Final = 2.0
LATE_STOP_S: Final = 0.5  # told with the intake, so it has the time of the loop, too
MOTIFS_STOP_S: Final = 0.3  # a proposal from a full reservoir takes 10 to 70 ms
OUTBOX_STOP_S: Final = 1.0
LOG_STOP_S: Final = 0.3


@dataclass(slots=True)
class _Flags:
    """What each thread is told to stop by."""

    intake: threading.Event = field(default_factory=threading.Event)
    loop: threading.Event = field(default_factory=threading.Event)
    outbox: threading.Event = field(default_factory=threading.Event)
    log: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True, kw_only=True)
class Daemon:
    """One source watched: `start`, then `stop` from the same thread."""

    source_name: str
    context: zmq.Context[zmq.Socket[bytes]]
    receiver: FrameReceiver
    publisher: EventPublisher
    http: HealthServer
    books: Books
    intake: Intake
    service: Service
    late: LateWorker | None = None
    motifs: MotifWorker | None = None
    outbox: Outbox
    threads: Threads = field(default_factory=Threads)
    _flags: _Flags = field(default_factory=_Flags, init=False)

    def describe(self) -> dict[str, object]:
        """Say where it can be reached; plain values for one line of JSON."""
        return {
            "ready": True,
            "source": self.source_name,
            "stream": self.outbox.stream,
            "endpoints": {"frames": self.receiver.endpoint, "events": self.publisher.endpoint},
            "http": self.http.url,
            "pid": os.getpid(),
        }

    def start(self) -> None:
        """Start every thread; frames are answered from here on."""
        flags = self._flags
        self.threads.start("log", lambda: self.books.log.run(flags.log))
        self.threads.start("outbox", lambda: self.outbox.run(flags.outbox))
        self.threads.start("loop", lambda: self.service.run(flags.loop))
        if self.late is not None:
            self.threads.start("late", self.late.run)
        if self.motifs is not None:
            self.threads.start("motifs", self.motifs.run)
        self.http.start()
        self.outbox.announce(
            "started",
            f"{self.source_name}: process {os.getpid()} started",
            detail={"pid": os.getpid()},
        )
        self.books.readiness.phase = "ready"
        self.outbox.announce(
            "ready",
            f"{self.source_name}: frames at {self.receiver.endpoint}, "
            f"events at {self.publisher.endpoint}, health at {self.http.url}",
        )
        # Last, so that nothing is received that nobody would answer.
        self.threads.start("receive", lambda: self.intake.run(flags.intake))

    def stop(self) -> int:
        """Stop in order and return the exit code; takes less than five seconds."""
        flags = self._flags
        self.books.readiness.phase = "stopping"
        # 1. Intake: no new frame. A `put` that waits for room in lossless mode is let go.
        flags.intake.set()
        self.service.backlog.close()
        if self.late is not None and not self.late.keeps_all:
            self.late.close()
        ended = self.threads.join("receive", INTAKE_STOP_S)
        # 2. Loop: what waits in the backlog is processed, or dropped if that takes too long.
        if not self.threads.join("loop", LOOP_STOP_S):
            flags.loop.set()
            if self.late is not None:
                self.late.close()  # the loop may be waiting for room there
            ended &= self.threads.join("loop", INTAKE_STOP_S)
        # The frame in hand of the late detectors is finished, so that its event stands before the
        # balance; in lossless mode all that were taken are.
        late_ended = True
        if self.late is not None:
            self.late.close()
            late_ended = self.threads.join("late", LATE_STOP_S)
        if self.motifs is not None:
            self.motifs.close()
            late_ended &= self.threads.join("motifs", MOTIFS_STOP_S)
        # 3. Outbox: the balance, then a last heartbeat.
        self.intake.report_ended()
        self._announce_stop()
        flags.outbox.set()
        ended &= self.threads.join("outbox", OUTBOX_STOP_S)
        self.http.close()
        failure = self.threads.failure
        if failure:
            self.books.log.note("thread_died", level="error", text=failure)
        if not (ended and late_ended):
            self.books.log.note("thread_hangs", level="error", text="a thread did not stop in time")
        flags.log.set()
        self.threads.join("log", LOG_STOP_S)
        if ended:
            # A socket may be closed by another thread only once its own is gone. The late thread
            # has none.
            self.receiver.close()
            self.publisher.close()
            self.context.term()
        return EXIT_ASKED if ended and late_ended and not failure else EXIT_THREAD_DIED

    def _announce_stop(self) -> None:
        counts = self.books.accounting.counts()
        self.outbox.announce(
            "stopping",
            f"{self.source_name}: stopping, {counts.processed} of {counts.numbers} frames "
            f"processed, {counts.n_dropped} dropped, {counts.n_missing} missing",
            detail=counts.as_detail(),
        )
