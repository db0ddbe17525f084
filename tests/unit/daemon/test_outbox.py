"""Numbers without holes, heartbeats on time, losses told to clients."""

import dataclasses
import io
import threading

import msgspec
import numpy as np
import pytest

from latticewatch.daemon.books import Books
from latticewatch.daemon.outbox import CAPACITY, Outbox
from latticewatch.daemon.pipeline import Incoming, Outcome
from latticewatch.daemon.sights import Picture
from latticewatch.wire.codec import (
    decode_event,
    decode_heartbeat,
    decode_preview,
    decode_status,
    decode_welcome,
)
from latticewatch.wire.events import DefectEvent, Heartbeat, LatticeState, Status
from latticewatch.wire.frames import MAX_INT64
from support.daemons import FakeClock, ListSink, make_books
from support.headers import SESSION, SOURCE, boundless_sessions, end, frame
from support.pipelines import verdict

STREAM = "c" * 32


class Bench:
    def __init__(self, *, shard: tuple[int, int] = (0, 1)) -> None:
        self.clock = FakeClock()
        self.log = io.StringIO()
        self.books: Books = make_books(clock=self.clock, log=self.log, shard=shard)
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
    def unsent(self) -> float | None:
        return self.books.metrics.registry.get_sample_value("latticewatch_messages_unsent_total")

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


def unwritable(outcome: Outcome) -> Outcome:
    """The same with a number that the wire does not have, as only a bug of ours would give."""
    lattice = LatticeState(
        a_px_yx=(1.0, 0.0), b_px_yx=(0.0, 1.0), origin_px_yx=(0.0, 0.0), rms_px=0.1,
        period_nm=float("nan"), domains=1,
    )  # fmt: skip
    event = msgspec.structs.replace(outcome.event, lattice=lattice)
    return dataclasses.replace(outcome, event=event)


@pytest.mark.fault
def test_an_event_that_cannot_be_written_is_lost_alone_counted_and_told(bench: Bench) -> None:
    bench.outbox.submit(unwritable(bench.outcome(0)))
    bench.submit(1)
    bench.drain()
    assert [(event.seq, event.frame.seq) for event in bench.events] == [(0, 1)]
    assert bench.events[0].dropped_since_last == 1
    assert bench.unsent == 1
    bench.books.log.flush()
    (line,) = bench.log.getvalue().splitlines()
    assert '"event": "message_unsent"' in line
    assert "period_nm = nan" in line


@pytest.mark.fault
def test_a_status_that_cannot_be_written_leaves_no_hole_in_the_numbers(bench: Bench) -> None:
    bench.outbox.announce("overload", "much", detail={"share": float("inf")})
    bench.outbox.announce("overload_over", "little")
    bench.drain()
    assert [(status.seq, status.code) for status in bench.statuses] == [(0, "overload_over")]
    assert bench.unsent == 1


def note_boundless_sessions(bench: Bench) -> None:
    for message in boundless_sessions():
        bench.books.accounting.note_heartbeat(message)


@pytest.mark.fault
def test_counts_beyond_the_wire_are_told_in_parts_that_it_can_hold(bench: Bench) -> None:
    note_boundless_sessions(bench)
    for seq in range(6):
        bench.submit(seq)
    bench.drain()
    told = [event.missing_since_last for event in bench.events]
    assert told[:4] == [MAX_INT64] * 4
    assert sum(told) == bench.books.accounting.counts().n_missing == 4 * 2**63
    assert bench.unsent == 0


@pytest.mark.fault
def test_a_balance_beyond_the_wire_is_told_as_the_most_it_can_hold(bench: Bench) -> None:
    note_boundless_sessions(bench)
    detail = bench.books.accounting.counts().as_detail() | {"exact": 7, "low": -(2**70)}
    bench.outbox.announce("stopping", "now", detail=detail)
    bench.drain()
    told = bench.statuses[0].detail
    assert told["missing"] == {"sender": 0, "before_join": MAX_INT64, "transport": 0}
    assert (told["exact"], told["low"]) == (7, -MAX_INT64)


@pytest.mark.fault
def test_a_last_number_beyond_the_wire_does_not_stop_the_heartbeat() -> None:
    bench = Bench(shard=(0, 1024))
    bench.books.accounting.note_end(end(MAX_INT64))
    bench.outbox.turn(0.0)
    assert bench.heartbeats[0].input.last_seq == MAX_INT64


# Previews


def drawn(bench: Bench, seq: int) -> Outcome:
    picture = Picture("vae", np.zeros((64, 96), np.float32))
    return dataclasses.replace(bench.outcome(seq), pictures=(picture,))


def test_a_preview_goes_out_beside_its_event_and_has_no_number() -> None:
    bench = Bench()
    bench.sink.wanted = {f"pv/{SOURCE}/".encode()}
    bench.outbox.turn(0.0)
    bench.outbox.submit(drawn(bench, 3))
    bench.drain()
    (header,) = [decode_preview(body) for body in bench.sink.bodies("pv/")]
    assert (header.frame.seq, header.layer) == (3, "vae")
    assert [len(pixels) for pixels in bench.sink.pixels] == [64 * 96]
    assert [event.seq for event in bench.events] == [0]
    count = bench.books.metrics.registry.get_sample_value("latticewatch_previews_sent_total")
    assert count == 1


def test_previews_that_nobody_wants_are_not_sent() -> None:
    bench = Bench()
    bench.outbox.submit(drawn(bench, 3))
    bench.drain()
    assert bench.sink.bodies("pv/") == []
    assert len(bench.events) == 1


def test_of_an_event_that_finds_no_room_the_picture_is_kept() -> None:
    bench = Bench()
    bench.sink.wanted = {f"pv/{SOURCE}/".encode()}
    for seq in range(CAPACITY):
        bench.submit(seq)
    assert not bench.outbox.submit(drawn(bench, CAPACITY))
    bench.drain()
    assert [decode_preview(body).frame.seq for body in bench.sink.bodies("pv/")] == [CAPACITY]
