"""Where every acquired frame went: the arithmetic of protocol.md 3.4, exact at every instant.

It reads no clock and no socket. It is told of messages in the order of their arrival, and of the
fate of each frame that it admitted.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from latticewatch.daemon.ledger import Counts, Ledger, SessionReport
from latticewatch.wire.errors import DropReason, MissingCause, ProtocolError
from latticewatch.wire.frames import FrameHeader, SourceEnd, SourceHeartbeat

__all__ = ["FrameAccounting", "Ticket"]

SEEN_WINDOW: Final = 4096  # numbers remembered to tell a repeated frame from a late one
# Sessions that were replaced, remembered so that their stragglers do not pass for a new sender.
# A straggler comes within seconds; this many acquisition starts take longer than that.
OLD_SESSIONS: Final = 256


@dataclass(slots=True)
class _Session:
    """What is known of one sender between two of its starts."""

    name: str
    last: int  # the highest number with a fate
    is_new: bool = True  # no message yet: what is missing was before we joined
    seen_dropped: int = 0
    partial: int | None = None  # a number above `last` of which only partial updates came
    ended: SourceEnd | None = None
    ledger: Ledger = field(default_factory=Ledger)
    seen: set[int] = field(default_factory=set)
    seen_in_order: deque[int] = field(default_factory=deque)

    def remember(self, seq: int) -> None:
        self.seen.add(seq)
        self.seen_in_order.append(seq)
        if len(self.seen_in_order) > SEEN_WINDOW:
            self.seen.discard(self.seen_in_order.popleft())


@dataclass(frozen=True, slots=True)
class Ticket:
    """An admitted frame; whoever holds it settles it, once."""

    session: str
    seq: int
    _session: _Session


class FrameAccounting:
    """Gives every number of a source exactly one fate.

    Checks 1 to 4 of protocol.md 3.2 come before it, so each number is one of the shard.
    The receive thread admits, the loop settles, others read: a lock makes each call one instant.

    Parameters
    ----------
    shard
        [k, n]: this socket carries the numbers with seq % n == k.
    """

    def __init__(self, *, shard: tuple[int, int] = (0, 1)) -> None:
        self._remainder, self._step = shard
        self._lock = threading.Lock()
        self._all = Ledger()
        self._current: _Session | None = None
        self._replaced: deque[str] = deque(maxlen=OLD_SESSIONS)
        self._ending: list[_Session] = []

    @property
    def session(self) -> str | None:
        """The session in force; None before the first message."""
        with self._lock:
            return self._current.name if self._current else None

    @property
    def last_seq(self) -> int:
        """Highest number of the session in force with a fate; -1 for none."""
        with self._lock:
            return max(self._current.last, -1) if self._current else -1

    def counts(self) -> Counts:
        """Return the balance over all sessions, at this instant."""
        with self._lock:
            return self._all.freeze()

    def admit(self, header: FrameHeader) -> Ticket | None:
        """Note a frame whose checks 1 to 4 passed.

        Returns
        -------
        Ticket or None
            None: counted and to be discarded, because it is a repetition, late, or a partial
            update. A ticket: the frame is in flight until `process` or `drop` is called with it.

        Raises
        ------
        ProtocolError
            The message belongs to a session that was replaced.
        """
        with self._lock:
            session = self._enter(header.session, label=header.label)
            if header.seq <= session.last:
                self._note_repetition(session, header)
                return None
            if not header.complete:
                self._advance(session, to=header.seq - self._step, dropped=header.dropped)
                session.partial = header.seq
                return None
            self._advance(session, to=header.seq, dropped=header.dropped, frame=True)
            session.remember(header.seq)
            for ledger in (session.ledger, self._all):
                ledger.received += 1
                ledger.in_flight += 1
            return Ticket(session=session.name, seq=header.seq, _session=session)

    def note_heartbeat(self, message: SourceHeartbeat) -> None:
        """Take the source's word for how far it has counted.

        Raises
        ------
        ProtocolError
            As for `admit`.
        """
        with self._lock:
            session = self._enter(message.session, label=f"heartbeat of {message.source}")
            if message.last_seq >= 0:
                self._advance(session, to=message.last_seq, dropped=message.dropped)
            session.is_new = False

    def note_end(self, message: SourceEnd) -> None:
        """Take the source's word for how many numbers it gave on this socket.

        Raises
        ------
        ProtocolError
            As for `admit`.
        """
        with self._lock:
            session = self._enter(message.session, label=f"end of {message.source}")
            last = self._remainder + (message.total - 1) * self._step
            self._advance(session, to=last, dropped=message.dropped)
            if session.ended is None:
                session.ended = message
                self._ending.append(session)

    def process(self, ticket: Ticket) -> None:
        """Settle a frame: its event is on the way out."""
        with self._lock:
            for ledger in (ticket._session.ledger, self._all):  # noqa: SLF001 - our own ticket
                ledger.in_flight -= 1
                ledger.processed += 1

    def drop(self, ticket: Ticket, reason: DropReason) -> None:
        """Settle a frame: nobody will see it."""
        with self._lock:
            for ledger in (ticket._session.ledger, self._all):  # noqa: SLF001 - our own ticket
                ledger.in_flight -= 1
                ledger.dropped[reason] += 1

    def take_ended(self) -> list[SessionReport]:
        """Return the sessions that ended and whose last frame is settled, each of them once."""
        with self._lock:
            done = [session for session in self._ending if session.ledger.in_flight == 0]
            self._ending = [session for session in self._ending if session.ledger.in_flight]
            return [
                SessionReport(
                    session=session.name,
                    total=session.ended.total,
                    reason=session.ended.reason,
                    counts=session.ledger.freeze(),
                )
                for session in done
                if session.ended is not None
            ]

    def _enter(self, name: str, *, label: str) -> _Session:
        """Return the session of a message; a name never heard takes over at once."""
        current = self._current
        if current is not None and current.name == name:
            return current
        if name in self._replaced:
            self._all.old_session += 1
            raise ProtocolError(
                "old_session",
                f"{label}: session {name} was replaced by {current.name if current else 'none'}: "
                "is a second sender running?",
            )
        if current is not None:
            self._pass_partial(current)
            self._replaced.append(current.name)
        self._current = _Session(name=name, last=self._remainder - self._step)
        return self._current

    def _note_repetition(self, session: _Session, header: FrameHeader) -> None:
        is_duplicate = header.complete and header.seq in session.seen
        if header.complete and not is_duplicate:
            session.remember(header.seq)
        for ledger in (session.ledger, self._all):
            ledger.duplicate += is_duplicate
            ledger.late += not is_duplicate

    def _advance(self, session: _Session, *, to: int, dropped: int, frame: bool = False) -> None:
        """Give a fate to every number between the last one and `to`.

        The numbers in between are missing, by the sender's own word or on the way; a number of
        which only partial updates came is dropped as incomplete.
        """
        cause: MissingCause = "before_join" if session.is_new else "transport"
        session.is_new = False
        if to <= session.last:
            return
        n_new = (to - session.last) // self._step
        n_gap = n_new - frame
        n_incomplete = 0
        if session.partial is not None and session.partial <= to:
            # The frame itself completes its partial updates; anything else passes them by.
            n_incomplete = int(not (frame and session.partial == to))
            session.partial = None
        n_gap -= n_incomplete
        n_mine = min(max(dropped - session.seen_dropped, 0), n_gap)
        session.seen_dropped = max(session.seen_dropped, dropped)
        session.last = to
        for ledger in (session.ledger, self._all):
            ledger.numbers += n_new
            ledger.missing["sender"] += n_mine
            ledger.missing[cause] += n_gap - n_mine
            ledger.dropped["incomplete"] += n_incomplete

    def _pass_partial(self, session: _Session) -> None:
        """Settle a number that a new session leaves with partial updates alone."""
        if session.partial is not None:
            self._advance(session, to=session.partial, dropped=session.seen_dropped)
