"""Recorded frames as the receive thread would present them, and their events as if published."""

import dataclasses
import hashlib
import math

import msgspec

from latticewatch.adapters.recorded import Recording, WireFrame
from latticewatch.adapters.recorded.recording import MAX_PIXEL_SIZE_NM, MIN_PIXEL_SIZE_NM
from latticewatch.daemon.exchange import Incoming
from latticewatch.daemon.offline_pipeline import SOURCE
from latticewatch.daemon.ports import SystemClock
from latticewatch.wire.events import DefectEvent
from latticewatch.wire.frames import Context, FrameHeader
from latticewatch.wire.plain import pack_attrs

_SAME_SIZE = 1e-4  # files round sizes and store them as fractions


def check_pixel_size(size_pm: float | None) -> None:
    """Refuse a side of a pixel that no microscope has.

    Raises
    ------
    ValueError
        It is not within the limits of recordings.
    """
    lowest, highest = 1000 * MIN_PIXEL_SIZE_NM, 1000 * MAX_PIXEL_SIZE_NM
    if size_pm is not None and not lowest <= size_pm <= highest:  # so that NaN fails
        raise ValueError(f"{size_pm:g}: must be a number from {lowest:g} to {highest:g} pm")


def with_pixel_size(recording: Recording, size_pm: float | None) -> tuple[Recording, str]:
    """Give a recording square pixels, and say where its file says otherwise; None leaves it."""
    if size_pm is None:
        return recording, ""
    sides_pm = [1000 * size for size in recording.pixel_size_nm_yx or ()]
    note = ""
    if any(not math.isclose(side, size_pm, rel_tol=_SAME_SIZE) for side in sides_pm):
        own = " x ".join(f"{side:.5g}" for side in sides_pm)
        note = f"pixels are {size_pm:.5g} pm as you say, the file says {own} pm"
    size_nm = size_pm / 1000
    return dataclasses.replace(recording, pixel_size_nm_yx=(size_nm, size_nm)), note


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
