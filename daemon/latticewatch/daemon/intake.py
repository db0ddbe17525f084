"""The receive thread: messages to checked frames, every one of them accounted for.

Checks 1 to 8 of protocol.md 3.2 are made here in their order; 9, the age, is the loop's, which
knows when a frame's turn comes.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from latticewatch.daemon.accounting import Ticket
from latticewatch.daemon.backlog import Backlog, Received
from latticewatch.daemon.books import Books
from latticewatch.daemon.config import IngestSettings
from latticewatch.daemon.ledger import SessionReport
from latticewatch.daemon.ports import Announcer, FrameSource, Part
from latticewatch.daemon.presence import Notice
from latticewatch.wire.codec import (
    check_crc,
    check_geometry,
    check_pixels,
    check_source,
    decode_source_message,
    pixel_array,
)
from latticewatch.wire.errors import (
    UNREADABLE_REASONS,
    DropReason,
    ProtocolError,
)
from latticewatch.wire.frames import FrameHeader, SourceEnd, SourceMessage

__all__ = ["Intake"]

POLL_MS: Final = 100  # how late silence, a closed connection or a stop is noticed
# Two senders interleave at the frame rate; one status in this time says it.
TWO_SENDERS_EVERY_NS: Final = 10_000_000_000


@dataclass(slots=True, kw_only=True)
class Intake:
    """Takes what comes on the frames socket and puts good frames into the backlog.

    Only the receive thread calls its methods.

    Attributes
    ----------
    source_name
        Messages of another source are refused.
    settings
        Shard and checksum are looked at here.
    frames
        Where messages come from.
    n_connections
        Open connections, at most `POLL_MS` ago; for other threads to read.
    """

    source_name: str
    settings: IngestSettings
    frames: FrameSource
    backlog: Backlog
    announcer: Announcer
    books: Books
    n_connections: int = field(default=0, init=False)
    _look_due_ns: int = field(default=0, init=False)
    _two_senders_ns: int | None = field(default=None, init=False)

    def run(self, stop: threading.Event) -> None:
        """Take messages until told to stop."""
        while not stop.is_set():
            self.turn()

    def turn(self) -> None:
        """Take one message, or notice that none came; look after the source by the clock."""
        parts = self.frames.receive(POLL_MS)
        if parts is not None:
            self._take_in(parts)
        self._look(is_empty=parts is None)
        self.report_ended()

    def report_ended(self) -> None:
        """Publish the balance of each session that its source ended and whose frames are done."""
        for report in self.books.accounting.take_ended():
            self.announcer.announce(
                "session_ended",
                f"{self.source_name}: session {report.session} {report.reason} after "
                f"{report.total} frames, {report.counts.processed} processed",
                detail=_ended_detail(report),
            )

    def _look(self, *, is_empty: bool) -> None:
        """Count connections and notice silence, also while messages come that are refused."""
        now_ns = self.books.clock.monotonic_ns()
        if not is_empty and now_ns < self._look_due_ns:
            return
        self._look_due_ns = now_ns + POLL_MS * 1_000_000
        self.n_connections = self.frames.n_connections
        # Of a closed connection the last frames may still wait here: the source is down once the
        # socket is empty, which without a connection it soon is.
        if is_empty or self.n_connections:
            self._tell(self.books.presence.look(n_connections=self.n_connections))

    def _take_in(self, parts: Sequence[Part]) -> None:
        received_ns, t_recv_ns = self.books.clock.monotonic_ns(), self.books.clock.utc_ns()
        before = self.books.accounting.session
        try:
            message = decode_source_message([part.buffer for part in parts])
            check_source(message, source=self.source_name, shard=self.settings.shard)
            ticket = self._account(message)
        except ProtocolError as error:
            self._refuse(error)
            return
        if message.session != before:
            self._tell_session(message.session)
        if isinstance(message, FrameHeader):
            self._take_frame(
                ticket=ticket,
                header=message,
                payload=parts[1].buffer,
                received_ns=received_ns,
                t_recv_ns=t_recv_ns,
            )
        # After a wait for room in the backlog, which is not the source's silence.
        self._tell(self.books.presence.heard(ended=isinstance(message, SourceEnd)))

    def _account(self, message: SourceMessage) -> Ticket | None:
        """Check 5."""
        if isinstance(message, FrameHeader):
            return self.books.accounting.admit(message)
        if isinstance(message, SourceEnd):
            self.books.accounting.note_end(message)
        else:
            self.books.accounting.note_heartbeat(message)
        return None

    def _take_frame(
        self,
        *,
        ticket: Ticket | None,
        header: FrameHeader,
        payload: memoryview,
        received_ns: int,
        t_recv_ns: int,
    ) -> None:
        """Make checks 6 to 8; an admitted frame gets exactly one fate."""
        try:
            check_pixels(header, payload.nbytes)
            if self.settings.verify_crc:
                check_crc(header, payload)
            check_geometry(header)
        except ProtocolError as error:
            # The checks above know these reasons only.
            self._drop(ticket, cast(DropReason, error.reason), str(error))
            return
        if ticket is None:  # repeated, late, or a partial update: counted by now
            return
        frame = Received(
            ticket=ticket,
            header=header,
            pixels=pixel_array(header, payload),
            t_recv_ns=t_recv_ns,
            received_ns=received_ns,
            ready_ns=self.books.clock.monotonic_ns(),
        )
        self.books.metrics.observe("receive", (t_recv_ns - header.t_complete_ns) / 1e9)
        displaced = self.backlog.put(frame)
        if displaced is not None:
            text = f"{displaced.header.label}: gave way to a newer frame"
            self._drop(displaced.ticket, "queue", text)

    def _drop(self, ticket: Ticket | None, reason: DropReason, text: str) -> None:
        if ticket is not None:
            self.books.accounting.drop(ticket, reason)
        self.books.log.refused("frame_dropped", reason=reason, text=text)

    def _refuse(self, error: ProtocolError) -> None:
        self.books.log.refused("message_refused", reason=error.reason, text=str(error))
        if error.reason == "old_session":  # counted by the accounting
            self._tell_two_senders(str(error))
        elif error.reason in UNREADABLE_REASONS:
            self.books.metrics.count_unreadable(error.reason)

    def _tell_two_senders(self, text: str) -> None:
        now_ns = self.books.clock.monotonic_ns()
        told_ns = self._two_senders_ns
        if told_ns is None or now_ns - told_ns > TWO_SENDERS_EVERY_NS:
            self._two_senders_ns = now_ns
            self.announcer.announce("two_senders", text, level="warning")

    def _tell_session(self, session: str) -> None:
        self.announcer.announce(
            "session_started",
            f"{self.source_name}: session {session} started",
            detail={"session": session},
        )

    def _tell(self, notices: list[Notice]) -> None:
        for notice in notices:
            self.announcer.announce(notice.code, notice.text, level=notice.level)


def _ended_detail(report: SessionReport) -> dict[str, object]:
    return {
        "session": report.session,
        "total": report.total,
        "reason": report.reason,
        **report.counts.as_detail(),
    }
