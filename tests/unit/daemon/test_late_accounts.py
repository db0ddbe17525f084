"""Late events beside the books of frames: outbox and loop count a frame once."""

import dataclasses
import threading

import msgspec
import numpy as np
import pytest

from latticewatch.daemon.backlog import LatestBacklog, Received
from latticewatch.daemon.config import IngestSettings
from latticewatch.daemon.measuring import measure_late
from latticewatch.daemon.outbox import CAPACITY, Outbox
from latticewatch.daemon.outcome import LateJob, Outcome
from latticewatch.daemon.service import Service
from latticewatch.wire.codec import decode_event
from latticewatch.wire.events import DefectEvent
from support.daemons import FakeClock, ListSink, make_books
from support.headers import SOURCE, frame
from support.late import LeavingPipeline, late_job, late_outcome


class Out:
    """An outbox over a list."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.books = make_books(clock=self.clock)
        self.sink = ListSink()
        self.outbox = Outbox(
            source_name=SOURCE,
            stream="c" * 32,
            sink=self.sink,
            books=self.books,
            heartbeat_ms=250,
        )

    def submit(self, seq: int, *, late: bool) -> bool:
        job = late_job(seq)
        outcome = late_outcome(job) if late else Outcome(job.first, {}, 0)
        return self.outbox.submit(outcome)

    def drain(self) -> list[DefectEvent]:
        stop = threading.Event()
        stop.set()
        self.outbox.run(stop)
        return [decode_event(body) for body in self.sink.bodies("ev/")]

    def value(self, metric: str, **labels: str) -> float | None:
        return self.books.metrics.registry.get_sample_value(f"latticewatch_{metric}", labels)


def told(events: list[DefectEvent], key: str) -> list[int]:
    return [getattr(event, key) for event in events]


def test_a_late_event_without_room_is_no_frame_that_was_dropped() -> None:
    out = Out()
    for seq in range(CAPACITY):
        assert out.submit(seq, late=False)
    assert not out.submit(0, late=True)
    assert not out.submit(CAPACITY, late=False)
    assert not out.submit(1, late=True)

    events = out.drain()

    assert sum(told(events, "dropped_since_last")) == 1
    assert out.value("events_overflow_total") == 3


def test_a_late_event_that_cannot_be_written_is_no_frame_that_was_dropped() -> None:
    out = Out()
    late = late_outcome(late_job(0))
    broken = msgspec.structs.replace(late.event, latency_us={"total": 2**70})
    out.outbox.submit(dataclasses.replace(late, event=broken))
    out.submit(1, late=False)

    events = out.drain()

    assert told(events, "dropped_since_last") == [0]
    assert out.value("messages_unsent_total") == 1


def test_what_was_lost_is_told_once_by_whichever_event_comes_next() -> None:
    out = Out()
    accounting = out.books.accounting
    ticket = accounting.admit(frame(0))
    assert ticket is not None
    out.submit(0, late=False)
    out.outbox.turn(0.0)
    accounting.drop(ticket, "length")
    out.submit(0, late=True)
    out.submit(1, late=False)

    events = out.drain()

    assert told(events, "dropped_since_last") == [0, 1, 0]
    assert told(events, "seq") == [0, 1, 2]


def test_the_latency_of_the_last_pixel_is_that_of_first_events() -> None:
    out = Out()
    out.submit(0, late=False)
    out.submit(0, late=True)
    out.drain()

    assert out.value("latency_seconds_count", stage="end_to_end") == 1
    assert out.value("events_published_total") == 2


def test_a_late_event_is_measured_and_its_frame_not_counted_again() -> None:
    out = Out()
    late = late_outcome(late_job(3), state="error")
    event = msgspec.structs.replace(late.event, outcome="not_scored", quality=("constant",))
    measure_late(
        out.books,
        dataclasses.replace(
            late, event=event, stage_us={"vae": 2000, "late": 30_000}, n_refused={"vae": 2, "x": 1}
        ),
    )

    assert out.value("latency_seconds_sum", stage="late") == 0.03
    assert out.value("latency_seconds_sum", stage="vae") == 0.002
    assert out.value("unscorable_total", detector="vae") == 2
    assert out.value("unscorable_total", detector="other") == 1
    assert out.value("frames_not_scored_total", quality="constant") == 0


@dataclasses.dataclass
class LateList:
    """Who goes on with frames: lists."""

    offered: list[LateJob] = dataclasses.field(default_factory=list)
    dropped: list[LateJob] = dataclasses.field(default_factory=list)
    trace: list[str] = dataclasses.field(default_factory=list)

    def offer(self, job: LateJob) -> None:
        self.trace.append("offer")
        self.offered.append(job)

    def drop(self, job: LateJob) -> None:
        self.dropped.append(job)


@dataclasses.dataclass
class Outlet:
    """Takes events, or has no room for them."""

    trace: list[str]
    has_room: bool = True
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)

    def submit(self, outcome: Outcome) -> bool:
        self.trace.append("submit")
        self.outcomes.append(outcome)
        return self.has_room


@pytest.mark.parametrize("has_room", [True, False])
def test_the_loop_hands_a_frame_over_once_its_first_event_is_queued(has_room: bool) -> None:
    books = make_books()
    late = LateList()
    outlet = Outlet(late.trace, has_room)
    backlog = LatestBacklog()
    service = Service(
        settings=IngestSettings(),
        backlog=backlog,
        pipeline=LeavingPipeline(),
        outbox=outlet,
        books=books,
        late=late,
    )
    ticket = books.accounting.admit(frame(0))
    assert ticket is not None
    now_ns = books.clock.monotonic_ns()
    backlog.put(
        Received(
            ticket=ticket,
            header=frame(0),
            pixels=np.zeros((64, 96), "<u2"),
            t_recv_ns=1,
            received_ns=now_ns,
            ready_ns=now_ns,
        )
    )
    service.step(0.0)

    assert late.trace == (["submit", "offer"] if has_room else ["submit"])
    assert [len(late.offered), len(late.dropped)] == [int(has_room), int(not has_room)]
    assert outlet.outcomes[0].late is None
    assert books.accounting.counts().processed == 1
