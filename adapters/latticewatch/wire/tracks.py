"""One address followed over frames, as an event tells of it."""

from typing import Annotated

from msgspec import Meta, Struct

from latticewatch.wire.frames import Count
from latticewatch.wire.words import TrackEndReason, TrackState, Trend

_Chance = Annotated[float, Meta(ge=0, le=1)]


class Track(Struct, frozen=True, kw_only=True):
    """One address followed over frames; protocol.md 4.2 gives the meaning of the evidence."""

    id: int
    state: TrackState
    first_seq: Count
    seen: int
    hits: int
    log_e: float
    p_seq: _Chance
    trend: Trend
    previous_kind: str | None = None


class TrackEnd(Struct, frozen=True, kw_only=True):
    """A track that ended with this frame."""

    id: int
    reason: TrackEndReason
