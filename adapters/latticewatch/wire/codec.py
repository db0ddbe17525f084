"""Bytes to messages and back: sizes first, then types, then ranges; no sockets.

What `checks` and `plain` offer to others can be imported from here too.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeVar

import msgspec

from latticewatch.wire.checks import (
    check_crc,
    check_geometry,
    check_names,
    check_outlines,
    check_pixels,
    check_ranges,
    check_source,
    check_stage,
    pixel_array,
    shown,
)
from latticewatch.wire.errors import ProtocolError
from latticewatch.wire.events import (
    DefectEvent,
    Heartbeat,
    Preview,
    PublishedMessage,
    Status,
    Welcome,
)
from latticewatch.wire.frames import (
    HEADER_BYTES_MAX,
    FrameHeader,
    SourceEnd,
    SourceHeartbeat,
    SourceMessage,
)
from latticewatch.wire.plain import copy_attrs, find_not_finite, pack_attrs, to_jsonable

__all__ = [
    "VERSION",
    "check_crc",
    "check_geometry",
    "check_pixels",
    "check_source",
    "copy_attrs",
    "decode_event",
    "decode_heartbeat",
    "decode_preview",
    "decode_source_message",
    "decode_status",
    "decode_welcome",
    "encode",
    "pack_attrs",
    "pixel_array",
    "to_jsonable",
    "topic",
]

VERSION: Final = 1
Topic = Literal["ev", "st", "hb", "wl", "pv"]
Part = bytes | bytearray | memoryview
Message = TypeVar("Message", bound=msgspec.Struct)


class _Envelope(msgspec.Struct, frozen=True):
    """What every message begins with, whatever its version."""

    v: int
    type: str


_ENCODER: Final = msgspec.msgpack.Encoder()
_ENVELOPE: Final = msgspec.msgpack.Decoder(_Envelope)
_FRAME: Final = msgspec.msgpack.Decoder(FrameHeader)
_SOURCE_HEARTBEAT: Final = msgspec.msgpack.Decoder(SourceHeartbeat)
_END: Final = msgspec.msgpack.Decoder(SourceEnd)
_EVENT: Final = msgspec.msgpack.Decoder(DefectEvent)
_STATUS: Final = msgspec.msgpack.Decoder(Status)
_HEARTBEAT: Final = msgspec.msgpack.Decoder(Heartbeat)
_WELCOME: Final = msgspec.msgpack.Decoder(Welcome)
_PREVIEW: Final = msgspec.msgpack.Decoder(Preview)


def encode(message: SourceMessage | PublishedMessage) -> bytes:
    """Write a message in canonical form.

    Raises
    ------
    ValueError
        If a float is NaN or infinite: the wire has no such numbers.
    """
    body = _ENCODER.encode(message)
    bad = find_not_finite(message, body, message.type)
    if bad is not None:
        raise ValueError(f"{bad}: the wire carries finite numbers only")
    return body


def topic(kind: Topic, source: str) -> bytes:
    """Topic of a published message; the slash makes the prefix exact.

    >>> topic("ev", "haadf1")
    b'ev/haadf1/'
    """
    return f"{kind}/{source}/".encode()


def decode_source_message(parts: Sequence[Part]) -> SourceMessage:
    """Read what came in on the frames socket: checks 1 to 3, and the form of names of 4.

    Parameters
    ----------
    parts
        One part (heartbeat, end) or two (frame header, pixels); the pixels are not touched.

    Raises
    ------
    ProtocolError
        With the reason of the first check that failed.
    """
    if len(parts) not in (1, 2):
        raise ProtocolError("parts", f"message of {len(parts)} parts: expected 1 or 2")
    header = parts[0]
    n_bytes = memoryview(header).nbytes
    if not 1 <= n_bytes <= HEADER_BYTES_MAX:
        raise ProtocolError(
            "header_size", f"header of {n_bytes} bytes: expected 1 to {HEADER_BYTES_MAX}"
        )
    kind = _read_envelope(header)
    message = _decode_by_kind(header, kind)
    if (len(parts) == 2) != isinstance(message, FrameHeader):
        raise ProtocolError(
            "parts", f"{kind} in {len(parts)} parts: a frame has 2, heartbeat and end have 1"
        )
    check_ranges(message)
    check_names(message)
    return message


def decode_event(body: Part) -> DefectEvent:
    """Read a defect event."""
    event = _decode_published(body, _EVENT, "defects")
    check_outlines(event)
    check_stage(event)
    return event


def decode_status(body: Part) -> Status:
    """Read a status message."""
    return _decode_published(body, _STATUS, "status")


def decode_heartbeat(body: Part) -> Heartbeat:
    """Read a daemon's heartbeat."""
    return _decode_published(body, _HEARTBEAT, "heartbeat")


def decode_welcome(body: Part) -> Welcome:
    """Read a welcome: the part after the topic."""
    return _decode_published(body, _WELCOME, "welcome")


def decode_preview(body: Part) -> Preview:
    """Read the header of a preview."""
    return _decode_published(body, _PREVIEW, "preview")


def _read_envelope(header: Part) -> str:
    """Check 2, and the kind of message."""
    try:
        envelope = _ENVELOPE.decode(header)
    except (ValueError, RecursionError) as error:
        raise _unreadable("message", error) from None
    if envelope.v != VERSION:
        raise ProtocolError(
            "version", f"message of protocol version {envelope.v}: this is version {VERSION}"
        )
    return envelope.type


def _decode_by_kind(header: Part, kind: str) -> SourceMessage:
    """Check 3, the types."""
    message: SourceMessage
    try:
        if kind == "frame":
            message = _FRAME.decode(header)
        elif kind == "heartbeat":
            message = _SOURCE_HEARTBEAT.decode(header)
        elif kind == "end":
            message = _END.decode(header)
        else:
            raise ProtocolError("header", f"message type {shown(kind)}: not known to version 1")
    except ProtocolError:
        raise
    except (ValueError, RecursionError) as error:
        raise _unreadable(kind, error) from None
    _refuse_not_finite(message, header, kind)
    return message


def _decode_published(
    body: Part, decoder: "msgspec.msgpack.Decoder[Message]", kind: str
) -> Message:
    found = _read_envelope(body)
    if found != kind:
        raise ProtocolError("header", f"message type {shown(found)}: expected {kind}")
    try:
        message = decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise _unreadable(kind, error) from None
    _refuse_not_finite(message, body, kind)
    return message


def _refuse_not_finite(message: msgspec.Struct, body: Part, kind: str) -> None:
    # msgspec reads NaN and infinity like any other float, and NaN passes `ge` and `le`.
    bad = find_not_finite(message, body, kind)
    if bad is not None:
        raise ProtocolError("header", f"{bad}: expected a finite number")


def _unreadable(kind: str, error: Exception) -> ProtocolError:
    # `UnicodeDecodeError` quotes the whole input; msgspec's own texts are short.
    text = "text is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    if isinstance(error, RecursionError):
        text = "nested too deeply"
    return ProtocolError("header", f"{kind} not readable: {text[:200]}")
