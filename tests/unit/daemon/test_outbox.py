"""Numbers without holes, heartbeats on time, losses told to clients."""

import io
import threading

import numpy as np
import pytest

from latticewatch.daemon.books import Books
from latticewatch.daemon.outbox import CAPACITY, Outbox
from latticewatch.daemon.pipeline import Incoming, Outcome
from latticewatch.wire.codec import decode_event, decode_heartbeat, decode_status, decode_welcome
from latticewatch.wire.events import DefectEvent, Heartbeat, Status
from support.daemons import FakeClock, ListSink, make_books
from support.headers import SESSION, SOURCE, frame
from support.pipelines import verdict

STREAM = "c" * 32


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = io.StringIO()
        self.books: Books = make_books(clock=self.clock, log=self.log)
        self.books.readiness.phase = "ready"
        self.sink = ListSink()
        self.outbox = Outbox(
            source_name=SOURCE, stream=STREAM, sink=self.sink, books=self.books, heartbeat_ms=250
        )

    def outcome(self, seq: int) -> Outcome:
        header = frame(seq, t_complete_ns=self.clock.utc_ns())
        pixels = np.zeros((64, 96), "<u2")
        return verdict(Incoming(header=header, pixels=pixels, t_recv_ns=self.clock.utc_ns()))

    def submit(self, seq: int) -> bool:
        return self.outbox.submit(self.outcome(seq))

    def drain(self) -> None:
        stop = threading.Event()
        stop.set()
        self.outbox.run(stop)

    @property
    def events(self) -> list[DefectEvent]:
        return [decode_event(body) for body in self.sink.bodies("ev/")]

    @property
    def statuses(self) -> list[Status]:
        return [decode_status(body) for body in self.sink.bodies("st/")]

    @property
    def heartbeats(self) -> list[Heartbeat]:
        return [decode_heartbeat(body) for body in self.sink.bodies("hb/")]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_each_topic_counts_from_zero_without_holes(bench: Bench) -> None:
    for seq in (5, 6):
        bench.submit(seq)
        bench.outbox.announce("source_up", "there")
    bench.drain()
    assert [(event.seq, event.frame.seq) for event in bench.events] == [(0, 5), (1, 6)]
    assert [status.seq for status in bench.statuses] == [0, 1]
    assert {event.stream for event in bench.events} == {STREAM}
    assert not any(event.journaled for event in bench.events)
    assert bench.sink.published[0][0] == b"ev/haadf1/"
    last = bench.heartbeats[-1]
    assert (last.last_ev_seq, last.last_st_seq) == (1, 1)


def test_an_event_says_what_was_lost_since_the_one_before(bench: Bench) -> None:
    accounting = bench.books.accounting
    first = accounting.admit(frame(3, dropped=1))
    assert first is not None
    bench.submit(3)
    bench.outbox.turn(0.0)
    accounting.drop(first, "length")
    accounting.admit(frame(5))
    bench.submit(5)
    bench.submit(6)
    bench.drain()
    assert [event.missing_since_last for event in bench.events] == [3, 1, 0]
    assert [event.dropped_since_last for event in bench.events] == [0, 1, 0]


def test_heartbeats_come_every_quarter_second_and_not_more_often(bench: Bench) -> None:
    for _ in range(11):
        bench.outbox.turn(0.0)
        bench.clock.advance(50)
    assert len(bench.heartbeats) == 3


def test_the_heartbeat_tells_of_the_source(bench: Bench) -> None:
    bench.outbox.turn(0.0)
    assert bench.heartbeats[0].input.session is None
    bench.books.accounting.admit(frame(7))
    bench.books.presence.heard()
    bench.clock.advance(250)
    bench.outbox.turn(0.0)
    state = bench.heartbeats[1].input
    assert (state.session, state.last_seq, state.age_ms, state.up) == (SESSION, 7, 250, True)
    assert bench.heartbeats[1].ready
    assert bench.heartbeats[1].armed is None


@pytest.mark.fault
def test_a_full_outbox_never_holds_up_the_loop_and_says_what_it_lost(bench: Bench) -> None:
    taken = [bench.submit(seq) for seq in range(CAPACITY + 3)]
    assert taken == [True] * CAPACITY + [False] * 3
    bench.drain()
    assert bench.submit(999)
    bench.drain()
    assert [event.seq for event in bench.events] == list(range(CAPACITY + 1))
    assert bench.events[0].dropped_since_last == 3
    (status,) = bench.statuses
    assert (status.code, status.level) == ("overload", "warning")
    assert status.detail == {"outbox_overflow": 3}


def test_a_status_is_logged_too_even_without_room(bench: Bench) -> None:
    for seq in range(CAPACITY):
        bench.submit(seq)
    bench.outbox.announce("source_down", "gone", level="warning", detail={"n": 1})
    bench.books.log.flush(final=True)
    assert '"event": "source_down"' in bench.log.getvalue()
    assert '"event": "status_lost"' in bench.log.getvalue()


def test_whoever_subscribes_is_welcomed(bench: Bench) -> None:
    bench.submit(0)
    bench.sink.n_new = 1
    bench.outbox.turn(0.0)
    welcome = decode_welcome(bench.sink.bodies("wl/")[0])
    assert (welcome.stream, welcome.last_ev_seq) == (STREAM, -1)


def test_latency_is_measured_to_the_moment_of_publishing(bench: Bench) -> None:
    bench.submit(0)
    bench.clock.advance(7)
    bench.drain()
    value = bench.books.metrics.registry.get_sample_value
    for stage in ("publish", "end_to_end"):
        assert value("latticewatch_latency_seconds_sum", {"stage": stage}) == pytest.approx(0.007)
    assert bench.events[0].t_pub_ns == bench.clock.utc_ns()
