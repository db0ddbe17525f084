"""Recorded frames as the receive thread would present them, and their events as if published."""

import hashlib

import msgspec

from latticewatch.adapters.recorded import Recording, WireFrame
from latticewatch.daemon.exchange import Incoming
from latticewatch.daemon.offline_pipeline import SOURCE
from latticewatch.daemon.ports import SystemClock
from latticewatch.wire.events import DefectEvent
from latticewatch.wire.frames import Context, FrameHeader
from latticewatch.wire.plain import pack_attrs


def numbered(event: DefectEvent, incoming: Incoming) -> DefectEvent:
    """Give an event the envelope that it would have if published: a line is a valid message."""
    return msgspec.structs.replace(
        event,
        stream=incoming.header.session,
        seq=incoming.header.seq,
        t_pub_ns=SystemClock().utc_ns(),
    )


def incoming_frame(recording: Recording, index: int) -> Incoming:
    """Present a recorded frame as the receive thread would."""
    frame = recording.wire_frame(index)
    return Incoming(
        header=header_of(recording, frame, index=index),
        pixels=frame.pixels,
        t_recv_ns=SystemClock().utc_ns(),
        queue_us=0,
        validate_us=0,
    )


def header_of(recording: Recording, frame: WireFrame, *, index: int) -> FrameHeader:
    """Build the header that a recorded frame would have on the wire.

    Nobody knows when it was acquired: the file's own time stands for the time.
    """
    context = recording.context
    return FrameHeader(
        source=SOURCE,
        session=hashlib.sha256(str(recording.path).encode(errors="replace")).hexdigest()[:32],
        seq=index,
        shape_yx=recording.shape_yx,
        dtype=frame.pixels.dtype.str.lstrip("|"),
        t_complete_ns=max(recording.path.stat().st_mtime_ns, 1),
        t_source="replay",
        dropped=0,
        frame_index=index,
        calibrated=context is not None,
        context=context or Context(size_yx=recording.shape_yx),
        attrs=pack_attrs(frame.attrs),
    )
