"""No loss, repetition, reordering, late join or sharding makes a frame disappear from the books."""

from dataclasses import dataclass
from itertools import compress
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from latticewatch.daemon.accounting import FrameAccounting, Ticket
from latticewatch.daemon.ledger import Counts
from latticewatch.wire.errors import DROP_REASONS
from latticewatch.wire.frames import FrameHeader, SourceEnd, SourceHeartbeat
from support.headers import end, frame, heartbeat

# Only the accounting itself says "incomplete", of a number that was never admitted.
OF_ADMITTED = [reason for reason in DROP_REASONS if reason != "incomplete"]

Message = FrameHeader | SourceHeartbeat | SourceEnd


@dataclass(frozen=True)
class Acquisition:
    """What one socket of a sender said, in order, and what became of each number."""

    shard: tuple[int, int]
    messages: tuple[Message, ...]  # in the order of sending
    arrives: tuple[bool, ...]
    total: int

    @property
    def arriving(self) -> list[Message]:
        return list(compress(self.messages, self.arrives))


@st.composite
def acquisitions(draw: st.DrawFn) -> Acquisition:
    n_shards = draw(st.integers(1, 4))
    k = draw(st.integers(0, n_shards - 1))
    fates = draw(st.lists(st.sampled_from(["sent", "sent", "given_up", "partial"]), max_size=40))
    messages: list[Message] = []
    dropped = 0
    for position, fate in enumerate(fates):
        seq = k + position * n_shards
        if fate == "given_up":
            dropped += 1
        elif fate == "partial":
            messages.append(frame(seq, dropped=dropped, complete=False, shard=(k, n_shards)))
        else:
            messages.append(frame(seq, dropped=dropped, shard=(k, n_shards)))
        if draw(st.integers(0, 5)) == 0:
            messages.append(heartbeat(seq, dropped=dropped))
    messages.append(end(len(fates), dropped=dropped))
    arrives = draw(st.lists(st.booleans(), min_size=len(messages) - 1, max_size=len(messages) - 1))
    return Acquisition(
        shard=(k, n_shards),
        messages=tuple(messages),
        arrives=(*arrives, True),  # the balance with the total needs the end
        total=len(fates),
    )


def feed(accounting: FrameAccounting, message: Message) -> Ticket | None:
    if isinstance(message, FrameHeader):
        return accounting.admit(message)
    if isinstance(message, SourceEnd):
        accounting.note_end(message)
    else:
        accounting.note_heartbeat(message)
    return None


def assert_balanced(counts: Counts) -> None:
    assert counts.unaccounted == 0
    assert counts.received == counts.processed + counts.in_flight + sum(
        n for reason, n in counts.dropped.items() if reason in OF_ADMITTED
    )
    assert min(counts.in_flight, *counts.missing.values(), *counts.dropped.values()) >= 0


@given(acquisitions(), st.randoms(use_true_random=False), st.integers(0, 6), st.integers(0, 5))
def test_the_books_balance_at_every_instant(
    acquisition: Acquisition, shuffle: Random, reordered_by: int, n_repeats: int
) -> None:
    sent = acquisition.arriving
    arriving = sent + [shuffle.choice(sent) for _ in range(n_repeats)]
    places = {index: index + shuffle.random() * reordered_by for index in range(len(arriving))}
    accounting = FrameAccounting(shard=acquisition.shard)
    tickets: list[Ticket] = []
    last, n_frames, n_admitted = -1, 0, 0
    for index in sorted(places, key=places.__getitem__):
        message = arriving[index]
        ticket = feed(accounting, message)
        is_frame = isinstance(message, FrameHeader) and message.complete
        n_frames += is_frame
        if ticket is not None:
            assert isinstance(message, FrameHeader)
            assert message.seq > last
            n_admitted += 1
            tickets.append(ticket)
        assert accounting.last_seq >= last
        last = accounting.last_seq
        assert_balanced(accounting.counts())
        if tickets and shuffle.random() < 0.5:
            settled = tickets.pop()
            if shuffle.random() < 0.5:
                accounting.process(settled)
            else:
                accounting.drop(settled, shuffle.choice(OF_ADMITTED))
        assert accounting.counts().unaccounted == 0
    for ticket in tickets:
        accounting.process(ticket)
    counts = accounting.counts()
    assert counts.numbers == acquisition.total
    assert counts.in_flight == 0
    assert acquisition.total == counts.processed + counts.n_dropped + counts.n_missing
    assert counts.received == n_admitted
    assert accounting.take_ended()[0].counts == counts


@given(acquisitions())
def test_in_order_every_cause_is_exact(acquisition: Acquisition) -> None:
    accounting = FrameAccounting(shard=acquisition.shard)
    arriving = acquisition.arriving
    for message in arriving:
        if ticket := feed(accounting, message):
            accounting.process(ticket)
    counts = accounting.counts()
    frames = {m.seq for m in arriving if isinstance(m, FrameHeader) and m.complete}
    partials = {m.seq for m in arriving if isinstance(m, FrameHeader)} - frames
    given_up = acquisition.messages[-1].dropped
    assert counts.processed == len(frames)
    assert counts.dropped["incomplete"] == len(partials)
    assert counts.missing["sender"] == given_up
    lost = acquisition.total - len(frames) - len(partials) - given_up
    assert counts.missing["before_join"] + counts.missing["transport"] == lost
    assert counts.missing["before_join"] == _lost_before(arriving[0], acquisition)
    assert counts.duplicate == counts.late == 0


def _lost_before(first: Message, acquisition: Acquisition) -> int:
    """Numbers that the first message to arrive leaves behind and its sender did not give up."""
    k, n = acquisition.shard
    if isinstance(first, FrameHeader):
        return (first.seq - k) // n - first.dropped
    if isinstance(first, SourceEnd):
        return first.total - first.dropped
    return (first.last_seq - k) // n + 1 - first.dropped
