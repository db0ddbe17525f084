"""Losses are seen, exactly; clocks and parts are handed in."""

import random
from typing import Literal

import msgpack
import pytest

from latticewatch.client.errors import DaemonLost, ReceiveTimeout, UnsupportedVersion
from latticewatch.client.inbox import Gap, Inbox, Patience
from latticewatch.client.messages import DefectEvent, Heartbeat, Message, Status
from support.publishing import SOURCE, STREAM, STREAM_2, event, heartbeat, status, welcome


def inbox() -> Inbox:
    return Inbox(source=SOURCE)


def deliver(box: Inbox, *messages: list[bytes]) -> list[Message]:
    answers = (box.accept(parts, t_received_ns=123) for parts in messages)
    return [answer for answer in answers if answer is not None]


def event_numbers(messages: list[Message]) -> list[int]:
    return [message.seq for message in messages if isinstance(message, DefectEvent)]


def test_unbroken_count_has_no_gaps() -> None:
    box = inbox()
    got = deliver(box, welcome(4), event(5), heartbeat(5), event(6), event(7), heartbeat(7))
    assert event_numbers(got) == [5, 6, 7]
    assert box.gaps == ()
    assert box.stream == STREAM


def test_what_was_before_joining_is_not_a_loss() -> None:
    for first in (event(600), heartbeat(599), welcome(599)):
        box = inbox()
        deliver(box, first, event(601 if first == event(600) else 600))
        assert box.gaps == ()


def test_gap_is_seen_by_the_next_event() -> None:
    box = inbox()
    *_, last = deliver(box, event(5), event(9))
    assert box.gaps == (Gap("ev", STREAM, 6, 8),)
    assert isinstance(last, DefectEvent)
    assert last.missed_before == 3
    assert box.n_missed == {"ev": 3, "st": 0}


def test_loss_at_the_tail_is_seen_by_the_heartbeat() -> None:
    box = inbox()
    deliver(box, event(5), heartbeat(8))
    assert box.gaps == (Gap("ev", STREAM, 6, 8),)
    (last,) = deliver(box, event(9))
    assert isinstance(last, DefectEvent)
    assert last.missed_before == 3


def test_what_came_again_or_too_late_is_not_delivered() -> None:
    box = inbox()
    got = deliver(box, event(5), event(7), event(6), event(7), event(8))
    assert event_numbers(got) == [5, 7, 8]
    assert box.n_old == 2


def test_status_has_a_count_of_its_own() -> None:
    box = inbox()
    deliver(box, heartbeat(5, last_st_seq=1), status(2), event(6), status(5), event(7))
    assert box.gaps == (Gap("st", STREAM, 3, 4),)


def test_new_stream_begins_at_zero() -> None:
    box = inbox()
    got = deliver(box, event(5), event(0, stream=STREAM_2), event(1, stream=STREAM_2))
    assert event_numbers(got) == [5, 0, 1]
    assert (box.gaps, box.stream, box.stream_changes) == ((), STREAM_2, 1)


def test_beginning_of_a_new_stream_that_was_lost_is_a_gap() -> None:
    box = inbox()
    deliver(box, event(5), heartbeat(3, stream=STREAM_2), event(4, stream=STREAM_2))
    assert box.gaps == (Gap("ev", STREAM_2, 0, 3),)
    assert box.n_missed["ev"] == 4


def test_message_of_an_unknown_type_is_counted_and_not_delivered() -> None:
    box = inbox()
    alarm = msgpack.packb({"v": 1, "type": "alarm", "stream": STREAM, "seq": 3})
    deliver(box, status(2), [b"st/haadf1/", alarm], status(4))
    assert box.gaps == ()
    assert box.n_unreadable == 0


def test_unreadable_event_is_a_gap_and_the_next_is_delivered() -> None:
    box = inbox()
    got = deliver(box, event(5), [b"ev/haadf1/", b"\xc1"], event(6, truncated="no"), event(8))
    assert event_numbers(got) == [5, 8]
    assert box.gaps == (Gap("ev", STREAM, 6, 7),)
    assert box.n_unreadable == 2
    assert box.last_unreadable == "defects.truncated: expected true or false, got 'no'"


@pytest.mark.parametrize(
    "parts",
    [[], [b""], [b"ev/haadf1/"], [b"ev/haadf1/", b"", b""], [b"xx/haadf1/", event(1)[1]]],
    ids=["none", "empty", "topic alone", "three", "unknown topic"],
)
def test_strange_parts_are_counted_as_unreadable(parts: list[bytes]) -> None:
    box = inbox()
    assert deliver(box, parts) == []
    assert box.n_unreadable == 1


def test_another_version_ends_the_work() -> None:
    with pytest.raises(UnsupportedVersion):
        deliver(inbox(), heartbeat(0, v=2))


def test_event_carries_when_it_was_received() -> None:
    (got,) = deliver(inbox(), event(5))
    assert isinstance(got, DefectEvent)
    assert got.t_received_ns == 123


def test_newest_heartbeat_is_kept() -> None:
    box = inbox()
    got = deliver(box, welcome(3), heartbeat(3, ready=False), status(0))
    assert [type(message) for message in got] == [Heartbeat, Heartbeat, Status]
    assert box.heartbeat is not None
    assert not box.heartbeat.ready


@pytest.mark.parametrize("seed", range(5))
def test_after_any_loss_delivered_and_missed_are_all(seed: int) -> None:
    chance = random.Random(seed)
    box = inbox()
    got = deliver(box, welcome(-1))
    for seq in range(300):
        if chance.random() > 0.2 and not 100 <= seq < 160:
            got += deliver(box, event(seq))
        if chance.random() < 0.1:
            got += deliver(box, heartbeat(seq))
    got += deliver(box, heartbeat(299))
    missed = {seq for gap in box.gaps for seq in range(gap.first, gap.last + 1)}
    assert missed.isdisjoint(event_numbers(got))
    assert missed.union(event_numbers(got)) == set(range(300))
    assert box.n_missed["ev"] == len(missed)
    before = sum(message.missed_before for message in got if isinstance(message, DefectEvent))
    assert before <= len(missed)


def test_gaps_kept_are_bounded_and_counted_on() -> None:
    box = inbox()
    deliver(box, *(event(2 * number) for number in range(1100)))
    assert len(box.gaps) == 1000
    assert box.n_missed["ev"] == 1099


@pytest.mark.parametrize("source", ["", "HAADF", "a/b", "x" * 33, "haadf1\n"])
def test_impossible_source_is_the_callers_mistake(source: str) -> None:
    with pytest.raises(ValueError, match="expected a name like"):
        Inbox(source=source)


@pytest.mark.parametrize("topics", [[], ["hb"], ["ev", "pv"]])
def test_unknown_topics_are_the_callers_mistake(topics: list[Literal["ev", "st"]]) -> None:
    with pytest.raises(ValueError, match="expected some of ev, st"):
        Inbox(source=SOURCE, topics=topics)


def test_heartbeats_are_subscribed_whatever_else_is() -> None:
    assert Inbox(source=SOURCE, topics=["st"]).prefixes == [
        "st/haadf1/",
        "hb/haadf1/",
        "wl/haadf1/",
    ]


def patience(timeout_s: float | None) -> Patience:
    waiting = Patience(lost_after_s=0.75, endpoint="tcp://x:1", source="haadf1", now_s=100.0)
    waiting.begin(timeout_s=timeout_s, now_s=100.0)
    return waiting


def test_patience_lasts_until_the_nearer_end() -> None:
    assert patience(None).left_ms(100.0) == 750
    assert patience(0.5).left_ms(100.0) == 500
    assert patience(0.5).left_ms(101.0) == 0
    assert patience(0.0).left_ms(100.0) == 0


def test_any_message_is_a_sign_of_life() -> None:
    waiting = patience(None)
    waiting.heard(101.0)
    waiting.check(101.7)
    with pytest.raises(DaemonLost, match=r"nothing from tcp://x:1 for 0\.80 s"):
        waiting.check(101.8)


def test_a_lost_daemon_may_be_one_of_another_source() -> None:
    with pytest.raises(
        DaemonLost, match="is the daemon running, and is its source called 'haadf1'"
    ):
        patience(None).check(101.0)


def test_lost_daemon_is_reported_once_for_each_time_of_silence() -> None:
    waiting = patience(None)
    with pytest.raises(DaemonLost):
        waiting.check(101.0)
    assert waiting.left_ms(101.0) == 750
    waiting.check(101.7)
    with pytest.raises(DaemonLost):
        waiting.check(101.75)


def test_silence_is_counted_across_short_calls() -> None:
    waiting = patience(0.5)
    with pytest.raises(ReceiveTimeout, match=r"within 0\.5 s"):
        waiting.check(100.5)
    waiting.begin(timeout_s=0.5, now_s=100.5)
    with pytest.raises(DaemonLost):
        waiting.check(100.75)


def test_of_two_ends_that_have_passed_the_earlier_is_reported() -> None:
    with pytest.raises(ReceiveTimeout):
        patience(0.5).check(109.0)
    with pytest.raises(DaemonLost):
        patience(0.8).check(109.0)


def test_patience_may_have_no_end() -> None:
    forever = Patience(lost_after_s=float("inf"), endpoint="", source="haadf1", now_s=0.0)
    forever.begin(timeout_s=None, now_s=0.0)
    assert forever.left_ms(1e9) is None
    forever.check(1e9)
