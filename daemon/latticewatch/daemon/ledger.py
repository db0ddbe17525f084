"""Counters of what became of frames; which message changes them is known to `accounting`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from latticewatch.wire.errors import DROP_REASONS, MISSING_CAUSES, DropReason, MissingCause

__all__ = ["Counts", "Ledger", "SessionReport"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Fates of all numbers so far, taken at one instant.

    Attributes
    ----------
    numbers
        Numbers that the source has given, as far as its messages tell.
    received
        Frames that were admitted: processed, dropped after admission, or in flight.
    dropped, missing
        By reason and by cause; every reason and cause is a key.
    duplicate, late, old_session
        Outside the balance: frames of numbers that were settled before, messages of sessions
        that were replaced.
    """

    numbers: int = 0
    received: int = 0
    processed: int = 0
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    missing: Mapping[MissingCause, int] = field(default_factory=dict)
    duplicate: int = 0
    late: int = 0
    old_session: int = 0
    in_flight: int = 0

    @property
    def n_dropped(self) -> int:
        """Dropped for any reason."""
        return sum(self.dropped.values())

    @property
    def n_missing(self) -> int:
        """Missing from any cause."""
        return sum(self.missing.values())

    @property
    def unaccounted(self) -> int:
        """Numbers without a fate; anything but 0 is a bug of ours."""
        return self.numbers - self.processed - self.n_dropped - self.n_missing - self.in_flight

    def as_detail(self) -> dict[str, object]:
        """Plain values for the detail of a status message."""
        return {
            "frames_received": self.received,
            "processed": self.processed,
            "dropped": dict(self.dropped),
            "missing": dict(self.missing),
            "duplicate": self.duplicate,
            "late": self.late,
            "old_session": self.old_session,
            "in_flight": self.in_flight,
            "unaccounted": self.unaccounted,
        }


@dataclass(frozen=True, slots=True)
class SessionReport:
    """The balance of a session that its source ended and whose frames are all settled."""

    session: str
    total: int
    reason: str
    counts: Counts


@dataclass(slots=True)
class Ledger:
    """Counters of one session, or of all of them."""

    numbers: int = 0
    received: int = 0
    processed: int = 0
    dropped: Counter[DropReason] = field(default_factory=Counter)
    missing: Counter[MissingCause] = field(default_factory=Counter)
    duplicate: int = 0
    late: int = 0
    old_session: int = 0
    in_flight: int = 0

    def freeze(self) -> Counts:
        """Return the values of this instant."""
        return Counts(
            numbers=self.numbers,
            received=self.received,
            processed=self.processed,
            dropped={reason: self.dropped[reason] for reason in DROP_REASONS},
            missing={cause: self.missing[cause] for cause in MISSING_CAUSES},
            duplicate=self.duplicate,
            late=self.late,
            old_session=self.old_session,
            in_flight=self.in_flight,
        )
