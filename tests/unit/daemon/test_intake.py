"""Messages to frames: each check has its fate, and status messages say what changed."""

import io
import json
from dataclasses import dataclass, field
from typing import cast

import msgspec
import pytest

from latticewatch.daemon.backlog import LatestBacklog
from latticewatch.daemon.books import Books
from latticewatch.daemon.config import IngestSettings
from latticewatch.daemon.intake import Intake
from latticewatch.wire.codec import encode
from latticewatch.wire.errors import UNREADABLE_REASONS, DropReason
from support.daemons import Announcements, FakeClock, ListSource, make_books
from support.headers import SOURCE, end, frame, heartbeat
from support.hostile import Hostile, good_message, hostile_messages

OTHER = "0" * 32
PIXELS = bytes(64 * 96 * 2)


@dataclass
class Bench:
    """An intake with everything around it in reach."""

    clock: FakeClock = field(default_factory=FakeClock)
    source: ListSource = field(default_factory=ListSource)
    backlog: LatestBacklog = field(default_factory=LatestBacklog)
    announcements: Announcements = field(default_factory=Announcements)
    out: io.StringIO = field(default_factory=io.StringIO)
    ingest: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.books: Books = make_books(clock=self.clock, log=self.out)
        self.intake = Intake(
            source_name=SOURCE,
            settings=IngestSettings.model_validate(self.ingest),
            frames=self.source,
            backlog=self.backlog,
            announcer=self.announcements,
            books=self.books,
        )

    def receive(self, *parts: bytes) -> None:
        self.source.messages.append(parts)
        self.intake.turn()

    def unreadable(self, reason: str) -> float | None:
        return self.books.metrics.registry.get_sample_value(
            "latticewatch_messages_unreadable_total", {"reason": reason}
        )


def fate_of(message: Hostile) -> DropReason:
    """A bad partial update is not its frame, which may still come: it passes as incomplete."""
    header = msgspec.msgpack.decode(message.parts[0])
    return "incomplete" if header.get("complete") is False else cast(DropReason, message.reason)


@pytest.mark.fault
@pytest.mark.parametrize("message", list(hostile_messages()), ids=lambda message: message.name)
def test_a_bad_message_costs_one_counter_and_one_line_and_the_next_frame_is_fine(
    message: Hostile,
) -> None:
    bench = Bench()
    bench.receive(*message.parts)
    counts = bench.books.accounting.counts()
    if not message.counted:
        assert bench.unreadable(message.reason) == 1
        assert counts.received == 0
    bench.books.log.flush()
    assert len(bench.out.getvalue().splitlines()) == 1
    assert f'"reason": "{message.reason}"' in bench.out.getvalue()
    bench.receive(*good_message(seq=1000))
    taken = bench.backlog.take(0.0)
    assert taken is not None
    assert taken.header.seq == 1000
    counts = bench.books.accounting.counts()
    if message.counted:
        assert counts.dropped[fate_of(message)] == 1
    assert counts.unaccounted == 0


def test_the_reasons_that_count_outside_the_balance_are_metric_labels() -> None:
    bench = Bench()
    assert all(bench.unreadable(reason) == 0 for reason in UNREADABLE_REASONS)


def test_a_displaced_frame_is_dropped_from_the_queue() -> None:
    bench = Bench()
    for seq in range(3):
        bench.receive(encode(frame(seq)), PIXELS)
    counts = bench.books.accounting.counts()
    assert (counts.dropped["queue"], counts.in_flight) == (2, 1)


@pytest.mark.parametrize(("verify", "n_dropped"), [(True, 1), (False, 0)])
def test_a_wrong_checksum_is_refused_where_it_is_verified(verify: bool, n_dropped: int) -> None:
    bench = Bench(ingest={"verify_crc": verify})
    bench.receive(encode(frame(0, crc32=1)), PIXELS)
    assert bench.books.accounting.counts().dropped["crc"] == n_dropped


@pytest.mark.fault
def test_two_interleaved_senders_are_told_of_once_and_the_older_is_refused() -> None:
    bench = Bench()
    bench.receive(encode(frame(0)), PIXELS)
    for seq in range(5):
        bench.receive(encode(frame(seq, session=OTHER)), PIXELS)
        bench.receive(encode(frame(seq + 1)), PIXELS)
    assert bench.books.accounting.counts().old_session == 5
    assert bench.announcements.codes == [
        "session_started", "source_up", "session_started", "two_senders",
    ]  # fmt: skip
    bench.clock.advance(10_001)
    bench.receive(encode(heartbeat(9)))
    assert bench.announcements.codes.count("two_senders") == 2


def test_the_end_of_a_session_is_told_with_its_balance_once_its_frames_are_settled() -> None:
    bench = Bench()
    bench.receive(encode(frame(0)), PIXELS)
    bench.receive(encode(end(3, dropped=1)))
    assert "session_ended" not in bench.announcements.codes
    taken = bench.backlog.take(0.0)
    assert taken is not None
    bench.books.accounting.process(taken.ticket)
    bench.intake.turn()
    code, detail = bench.announcements.made[-1]
    assert code == "session_ended"
    assert (detail["total"], detail["processed"], detail["unaccounted"]) == (3, 1, 0)
    assert detail["missing"] == {"sender": 1, "before_join": 0, "transport": 1}


@pytest.mark.fault
def test_a_silent_source_is_stalled_and_one_that_left_is_down() -> None:
    bench = Bench()
    bench.receive(encode(heartbeat(-1)))
    bench.clock.advance(751)
    bench.intake.turn()
    bench.source.n_open = 0
    bench.intake.turn()
    assert bench.announcements.codes[-2:] == ["source_stalled", "source_down"]
    assert bench.intake.n_connections == 0


@pytest.mark.fault
def test_garbage_does_not_hide_that_the_source_fell_silent() -> None:
    bench = Bench()
    bench.receive(encode(heartbeat(-1)))
    for _ in range(16):
        bench.clock.advance(50)
        bench.receive(b"GET / HTTP/1.1\r\n")
    assert bench.announcements.codes[-1] == "source_stalled"
    assert bench.announcements.codes.count("source_stalled") == 1


@pytest.mark.fault
def test_frames_of_a_replaced_session_do_not_hide_that_the_source_fell_silent() -> None:
    bench = Bench()
    bench.receive(encode(frame(0, session=OTHER)), PIXELS)
    bench.receive(encode(frame(0)), PIXELS)
    for seq in range(1, 17):
        bench.clock.advance(50)
        bench.receive(encode(frame(seq, session=OTHER)), PIXELS)
    assert bench.announcements.codes[-1] == "source_stalled"


def test_good_frames_that_still_wait_are_no_sign_of_a_source_that_left() -> None:
    bench = Bench()
    bench.receive(encode(frame(0)), PIXELS)
    bench.source.n_open = 0
    for seq in range(1, 5):
        bench.clock.advance(150)
        bench.receive(encode(frame(seq)), PIXELS)
        bench.receive(b"garbage")
    assert "source_down" not in bench.announcements.codes
    bench.intake.turn()
    assert bench.announcements.codes[-1] == "source_down"


def test_connections_are_counted_while_messages_never_pause() -> None:
    bench = Bench()
    bench.receive(encode(frame(0)), PIXELS)
    bench.source.n_open = 2
    for seq in range(1, 4):
        bench.clock.advance(34)
        bench.receive(encode(frame(seq)), PIXELS)
    assert bench.intake.n_connections == 2


def test_connections_are_asked_for_ten_times_a_second_and_not_with_each_message() -> None:
    bench = Bench()
    for seq in range(100):
        bench.receive(encode(frame(seq)), PIXELS)
        bench.clock.advance(10)
    assert bench.source.n_asked == 10


def test_a_sender_of_another_name_is_told_what_came_and_what_is_expected() -> None:
    bench = Bench()
    for seq in range(3):
        bench.receive(encode(frame(seq, source="simulator")), PIXELS)
    bench.books.log.flush()
    (line,) = map(json.loads, bench.out.getvalue().splitlines())
    assert (line["event"], line["reason"], line["count"]) == ("message_refused", "source", 3)
    assert f"message of simulator, expected {SOURCE}: give the sender this name" in line["text"]


def test_an_adopted_shard_is_checked() -> None:
    bench = Bench(ingest={"shard": [1, 2]})
    bench.receive(encode(frame(1)), PIXELS)
    assert bench.unreadable("source") == 1
