"""The outbox thread: numbers, stamps and publishes what the daemon has to say.

It owns the sink. There is no journal in this version: every stream says `journaled: false`.
"""

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from latticewatch.daemon.books import Books
from latticewatch.daemon.outcome import Outcome
from latticewatch.daemon.ports import EventSink
from latticewatch.daemon.previews import Previews
from latticewatch.wire.codec import encode, topic
from latticewatch.wire.events import (
    Heartbeat,
    InputState,
    Level,
    PublishedMessage,
    Status,
    StatusCode,
    Welcome,
)
from latticewatch.wire.frames import MAX_INT64

__all__ = ["Outbox"]

# About 8 s of events at 30 frames/s: XPUB itself never waits, so a full queue means a stuck thread.
CAPACITY: Final = 256
# How late a subscriber gets its welcome, and a heartbeat may be.
POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Item:
    """An outcome or a status on its way out; `queued_ns` is monotonic."""

    content: Outcome | Status
    queued_ns: int


@dataclass(slots=True)
class _Tally:
    """What this stream has told so far; only the outbox thread touches it."""

    event_seq: int = -1
    status_seq: int = -1
    n_dropped: int = 0
    n_missing: int = 0
    n_overflow: int = 0
    n_unsent: int = 0


@dataclass(slots=True, kw_only=True)
class Outbox:
    """Publishes events, status messages and heartbeats of one stream.

    `submit` and `announce` may be called from any thread and never wait; the rest belongs to the
    outbox thread.

    Attributes
    ----------
    stream
        32 hex digits, new at each start.
    sink
        Takes the encoded messages.
    previews
        Told whether anybody listens to them; what is to be sent is taken from it.
    n_subscribers
        Subscriptions to events, as of the last turn; for other threads to read.
    """

    source_name: str
    stream: str
    sink: EventSink
    books: Books
    heartbeat_ms: int
    previews: Previews = field(default_factory=Previews)
    n_subscribers: int = field(default=0, init=False)
    _items: "queue.Queue[_Item]" = field(init=False)
    _n_overflow: int = field(default=0, init=False)
    _tally: _Tally = field(default_factory=_Tally, init=False)
    _heartbeat_due_ns: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._items = queue.Queue(maxsize=CAPACITY)

    def submit(self, outcome: Outcome) -> bool:
        """Queue an event; False, and counted, if there is no room.

        First events come from the loop, late ones from one other thread. Of pictures the newest
        are kept apart: an old one is worth nothing.
        """
        self.previews.keep(outcome)
        try:
            kept = replace(outcome, pictures=())
            self._items.put_nowait(_Item(kept, self.books.clock.monotonic_ns()))
        except queue.Full:
            # A late event is none of the frames that clients are told the fate of.
            if not outcome.is_late:
                self._n_overflow += 1
            self.books.metrics.count_overflow()
            return False
        return True

    def announce(
        self,
        code: StatusCode,
        text: str,
        *,
        level: Level = "info",
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Queue a status message, and log it; without room it is logged only."""
        details = dict(detail or {})
        self.books.log.note(code, level=level, text=text, **details)
        status = Status(
            source=self.source_name,
            stream=self.stream,
            seq=0,
            journaled=False,
            t_pub_ns=0,
            level=level,
            code=code,
            text=text,
            detail={name: _within_wire_value(value) for name, value in details.items()},
        )
        try:
            self._items.put_nowait(_Item(status, self.books.clock.monotonic_ns()))
        except queue.Full:
            self.books.log.refused("status_lost", reason="outbox_overflow", text=text)

    def run(self, stop: threading.Event) -> None:
        """Publish until told to stop, then what is queued, then a last heartbeat."""
        while not stop.is_set():
            self.turn(POLL_S)
        while not self._items.empty():
            self.turn(0.0)
        self._beat()

    def turn(self, timeout_s: float) -> None:
        """Publish one thing if there is one, and a heartbeat if it is due."""
        try:
            item = self._items.get(timeout=timeout_s) if timeout_s else self._items.get_nowait()
        except queue.Empty:
            item = None
        # A subscription that came while we waited must count for what we send now.
        self.sink.service_subscriptions(self._welcome)
        self.n_subscribers = self.sink.n_subscribers
        self.previews.is_wanted = self.sink.is_wanted(topic("pv", self.source_name))
        if item is not None:
            self._publish(item)
        self._publish_previews()
        self._tell_overflow()
        if self.books.clock.monotonic_ns() >= self._heartbeat_due_ns:
            self._beat()

    def _publish(self, item: _Item) -> None:
        if isinstance(item.content, Status):
            self._publish_status(item.content)
            return
        self._publish_event(item.content)
        self.books.metrics.observe(
            "publish", (self.books.clock.monotonic_ns() - item.queued_ns) / 1e9
        )

    def _publish_event(self, outcome: Outcome) -> None:
        tally, counts, n_overflow = self._tally, self.books.accounting.counts(), self._n_overflow
        # Overflow too: those frames were processed, and this stream will never describe them.
        n_dropped = counts.n_dropped + n_overflow + tally.n_unsent
        # What does not fit is told with the next event: the sum over all of them stays exact.
        n_new_dropped = _within_wire(n_dropped - tally.n_dropped)
        n_new_missing = _within_wire(counts.n_missing - tally.n_missing)
        t_pub_ns = self.books.clock.utc_ns()
        event = msgspec.structs.replace(
            outcome.event,
            stream=self.stream,
            seq=tally.event_seq + 1,
            journaled=False,
            t_pub_ns=t_pub_ns,
            dropped_since_last=n_new_dropped,
            missing_since_last=n_new_missing,
        )
        body = self._written(event)
        if body is None:
            tally.n_unsent += not outcome.is_late
            return
        self.sink.publish(topic("ev", self.source_name), body)
        tally.event_seq += 1
        tally.n_dropped += n_new_dropped
        tally.n_missing += n_new_missing
        self.books.metrics.count_published()
        if not outcome.is_late:
            self.books.metrics.observe("end_to_end", (t_pub_ns - event.frame.t_complete_ns) / 1e9)

    def _publish_status(self, status: Status) -> None:
        numbered = msgspec.structs.replace(
            status, seq=self._tally.status_seq + 1, t_pub_ns=self.books.clock.utc_ns()
        )
        body = self._written(numbered)
        if body is not None:
            self.sink.publish(topic("st", self.source_name), body)
            self._tally.status_seq += 1

    def _publish_previews(self) -> None:
        for header, pixels in self.previews.take(self.books.clock.monotonic_ns()):
            body = self._written(header)
            if body is not None:
                self.sink.publish(topic("pv", self.source_name), body, pixels)
                self.books.metrics.count_preview()

    def _written(self, message: PublishedMessage) -> bytes | None:
        """Encode a message; None, counted and logged, if the wire cannot hold it."""
        try:
            return encode(message)
        except (ValueError, OverflowError) as error:
            # A bug of ours, or numbers of a source that no check foresaw: one message is lost,
            # and the frames that follow are answered.
            self.books.metrics.count_unsent()
            self.books.log.refused("message_unsent", reason=message.type, text=str(error))
            return None

    def _tell_overflow(self) -> None:
        n_new = self._n_overflow - self._tally.n_overflow
        if n_new and self._items.empty():
            self._tally.n_overflow += n_new
            text = f"{self.source_name}: outbox was full, {n_new} events lost"
            self.announce(
                "overload", text, level="warning", detail={"outbox_overflow": self._n_overflow}
            )

    def _beat(self) -> None:
        self._heartbeat_due_ns = self.books.clock.monotonic_ns() + self.heartbeat_ms * 1_000_000
        body = self._written(self._heartbeat())
        if body is not None:
            self.sink.publish(topic("hb", self.source_name), body)

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            source=self.source_name,
            stream=self.stream,
            last_ev_seq=self._tally.event_seq,
            last_st_seq=self._tally.status_seq,
            journaled=False,
            t_ns=self.books.clock.utc_ns(),
            ready=self.books.readiness.is_ready,
            input=self._input_state(),
        )

    def _input_state(self) -> InputState:
        presence, accounting = self.books.presence, self.books.accounting
        return InputState(
            session=accounting.session,
            last_seq=_within_wire(accounting.last_seq),
            age_ms=presence.age_ms,
            up=presence.state == "up",
        )

    def _welcome(self) -> bytes:
        values = msgspec.structs.asdict(self._heartbeat())
        return encode(Welcome(**(values | {"type": "welcome"})))


def _within_wire(number: int) -> int:
    """Bring a sum over sessions into the integers that every reader has: 63 bits and a sign."""
    return min(max(number, -MAX_INT64), MAX_INT64)


def _within_wire_value(value: object) -> object:
    """Do so with the numbers in a detail, maps of them included."""
    if isinstance(value, Mapping):
        return {key: _within_wire_value(item) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        return _within_wire(value)
    return value
