"""Every rule of protocol.md 3.4, one at a time; their interplay is in tests/property."""

import pytest

from latticewatch.daemon.accounting import SEEN_WINDOW, FrameAccounting
from latticewatch.wire.errors import ProtocolError
from support.headers import end, frame, heartbeat

OTHER = "0" * 32


def test_a_frame_is_in_flight_until_it_is_processed() -> None:
    accounting = FrameAccounting()
    ticket = accounting.admit(frame(0))
    assert ticket is not None
    assert (accounting.counts().in_flight, accounting.counts().processed) == (1, 0)
    accounting.process(ticket)
    assert (accounting.counts().in_flight, accounting.counts().processed) == (0, 1)


def test_a_dropped_frame_has_its_reason() -> None:
    accounting = FrameAccounting()
    ticket = accounting.admit(frame(0))
    assert ticket is not None
    accounting.drop(ticket, "length")
    assert accounting.counts().dropped["length"] == 1
    assert accounting.counts().unaccounted == 0


@pytest.mark.fault
def test_a_repeated_frame_is_a_duplicate_and_processed_once() -> None:
    accounting = FrameAccounting()
    assert accounting.admit(frame(3)) is not None
    assert accounting.admit(frame(3)) is None
    assert accounting.counts().duplicate == 1
    assert accounting.counts().received == 1


def test_a_frame_behind_the_newest_is_late_and_missing_already() -> None:
    accounting = FrameAccounting()
    accounting.admit(frame(0))
    accounting.admit(frame(2))
    assert accounting.admit(frame(1)) is None
    counts = accounting.counts()
    assert (counts.late, counts.duplicate, counts.missing["transport"]) == (1, 0, 1)


def test_beyond_its_window_a_repetition_counts_as_late() -> None:
    accounting = FrameAccounting()
    for seq in range(SEEN_WINDOW + 1):
        accounting.admit(frame(seq))
    accounting.admit(frame(1))
    accounting.admit(frame(0))
    assert (accounting.counts().late, accounting.counts().duplicate) == (1, 1)


def test_what_was_sent_before_we_joined_is_told_apart() -> None:
    accounting = FrameAccounting()
    accounting.admit(frame(10, dropped=4))
    assert accounting.counts().missing == {"sender": 4, "before_join": 6, "transport": 0}


def test_the_senders_own_losses_are_told_apart_from_those_on_the_way() -> None:
    accounting = FrameAccounting()
    accounting.admit(frame(0))
    accounting.admit(frame(6, dropped=3))
    assert accounting.counts().missing == {"sender": 3, "before_join": 0, "transport": 2}


@pytest.mark.fault
def test_a_loss_at_the_tail_shows_with_the_heartbeat() -> None:
    accounting = FrameAccounting()
    accounting.admit(frame(0))
    accounting.note_heartbeat(heartbeat(5))
    assert accounting.counts().missing["transport"] == 5
    assert accounting.last_seq == 5


def test_a_heartbeat_before_the_first_frame_says_that_we_joined() -> None:
    accounting = FrameAccounting(shard=(0, 4))
    accounting.note_heartbeat(heartbeat(-1))
    assert accounting.last_seq == -1
    accounting.admit(frame(4, shard=(0, 4)))
    assert accounting.counts().missing["transport"] == 1


@pytest.mark.fault
def test_a_new_session_takes_over_without_a_gap_and_the_old_one_is_refused() -> None:
    accounting = FrameAccounting()
    accounting.admit(frame(100))
    before = accounting.counts().n_missing
    assert accounting.admit(frame(0, session=OTHER)) is not None
    assert accounting.counts().n_missing == before
    for message in (frame(101), frame(100)):
        with pytest.raises(ProtocolError) as caught:
            accounting.admit(message)
        assert caught.value.reason == "old_session"
    with pytest.raises(ProtocolError):
        accounting.note_heartbeat(heartbeat(101))
    assert accounting.counts().old_session == 3
    assert accounting.session == OTHER


def test_partial_updates_are_not_the_frame_but_say_how_far_the_source_is() -> None:
    accounting = FrameAccounting()
    accounting.admit(frame(0))
    assert accounting.admit(frame(2, complete=False, part=0)) is None
    assert accounting.admit(frame(2, complete=False, part=1)) is None
    assert accounting.counts().missing["transport"] == 1
    assert accounting.counts().numbers == 2
    assert accounting.admit(frame(2)) is not None
    assert accounting.counts().dropped["incomplete"] == 0


@pytest.mark.parametrize("passing", ["frame", "heartbeat", "end", "session"])
def test_a_number_that_passes_with_partial_updates_alone_is_incomplete(passing: str) -> None:
    accounting = FrameAccounting()
    accounting.admit(frame(0, complete=False))
    if passing == "frame":
        accounting.admit(frame(1))
    elif passing == "heartbeat":
        accounting.note_heartbeat(heartbeat(0))
    elif passing == "end":
        accounting.note_end(end(1))
    else:
        accounting.admit(frame(0, session=OTHER))
    counts = accounting.counts()
    assert (counts.dropped["incomplete"], counts.n_missing, counts.unaccounted) == (1, 0, 0)


def test_an_end_is_reported_once_and_not_before_its_frames_are_settled() -> None:
    accounting = FrameAccounting()
    ticket = accounting.admit(frame(0))
    assert ticket is not None
    accounting.note_end(end(3, dropped=1))
    assert accounting.take_ended() == []
    accounting.process(ticket)
    (report,) = accounting.take_ended()
    assert (report.total, report.counts.processed, report.counts.unaccounted) == (3, 1, 0)
    assert report.counts.missing == {"sender": 1, "before_join": 0, "transport": 1}
    assert accounting.take_ended() == []


def test_an_empty_session_ends_with_nothing() -> None:
    accounting = FrameAccounting(shard=(2, 5))
    accounting.note_end(end(0))
    assert accounting.take_ended()[0].counts.numbers == 0


def test_a_frame_of_a_replaced_session_is_settled_in_its_own_books() -> None:
    accounting = FrameAccounting()
    ticket = accounting.admit(frame(0))
    assert ticket is not None
    accounting.note_end(end(1))
    accounting.admit(frame(0, session=OTHER))
    accounting.process(ticket)
    (report,) = accounting.take_ended()
    assert (report.counts.processed, report.counts.in_flight) == (1, 0)
    assert accounting.counts().in_flight == 1
