"""The golden status messages, heartbeats, welcome and preview."""

from latticewatch.wire.events import (
    Armed,
    Heartbeat,
    InputState,
    Preview,
    PreviewFrame,
    PublishedMessage,
    Status,
    Welcome,
)
from support.golden_events import SESSION, SOURCE, STREAM, T_NS


def status_messages() -> dict[str, PublishedMessage]:
    """Every golden message of a daemon but its events, by name."""
    heartbeat = _heartbeat()
    fields = {key: getattr(heartbeat, key) for key in heartbeat.__struct_fields__}
    return {
        "status": _status(),
        "heartbeat": heartbeat,
        "heartbeat_first": _first_heartbeat(),
        "welcome": Welcome(**fields | {"type": "welcome"}),
        "preview": _preview(),
    }


def _status() -> Status:
    return Status(
        source=SOURCE,
        stream=STREAM,
        seq=4,
        journaled=False,
        t_pub_ns=T_NS,
        level="warning",
        code="overload",
        text="12 frames dropped in 1 s: the newest are scored",
        detail={"dropped": {"queue": 12}, "rate_hz": 60.0, "by": None},
    )


def _heartbeat() -> Heartbeat:
    return Heartbeat(
        source=SOURCE,
        stream=STREAM,
        last_ev_seq=41,
        last_st_seq=4,
        journaled=False,
        t_ns=T_NS + 250_000_000,
        ready=True,
        input=InputState(session=SESSION, last_seq=45, age_ms=17, up=True),
        armed=Armed(holder="scan-pc", expires_in_ms=4200),
    )


def _first_heartbeat() -> Heartbeat:
    """What a daemon says before it has heard or published anything."""
    return Heartbeat(
        source=SOURCE,
        stream=STREAM,
        last_ev_seq=-1,
        last_st_seq=-1,
        journaled=False,
        t_ns=T_NS,
        ready=False,
        input=InputState(last_seq=-1, up=False),
    )


def _preview() -> Preview:
    return Preview(
        source=SOURCE,
        frame=PreviewFrame(session=SESSION, seq=41),
        layer="frame",
        shape_yx=(128, 192),
        step_px=1.0,
        low=120.0,
        high=4095.5,
    )
