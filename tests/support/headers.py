"""Messages of a source, with every field that a test does not care about filled in."""

import msgspec

from latticewatch.wire.frames import MAX_INT64, FrameHeader, SourceEnd, SourceHeartbeat

SOURCE = "haadf1"
SESSION = "5f0c3a1e9b7d4c2688aa01f3d2e47b90"
T_NS = 1_790_000_000_123_456_789
_FRAME = FrameHeader(
    source=SOURCE,
    session=SESSION,
    seq=0,
    shape_yx=(64, 96),
    dtype="<u2",
    t_complete_ns=T_NS,
    t_source="software",
    dropped=0,
)


def frame(seq: int, **fields: object) -> FrameHeader:
    return msgspec.structs.replace(_FRAME, seq=seq, **fields)


def heartbeat(last_seq: int, *, dropped: int = 0, session: str = SESSION) -> SourceHeartbeat:
    return SourceHeartbeat(
        source=SOURCE, session=session, last_seq=last_seq, dropped=dropped, t_ns=T_NS
    )


def end(total: int, *, dropped: int = 0, session: str = SESSION) -> SourceEnd:
    return SourceEnd(
        source=SOURCE, session=session, total=total, dropped=dropped, t_ns=T_NS, reason="stopped"
    )


def boundless_sessions() -> list[SourceHeartbeat]:
    """Valid heartbeats of four new sessions, each of 2^63 frames that nobody saw.

    Not to be refused, but from the second on their sum fits no integer of the wire.
    """
    return [heartbeat(MAX_INT64, session=f"{session:032x}") for session in range(1, 5)]
