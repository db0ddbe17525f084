"""The checks of protocol.md 3.2 that follow the typed decode; each raises `ProtocolError`.

Nothing is allocated from a number in a header before `check_pixels` has passed.
"""

import re
import zlib
from typing import Any, Final

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from latticewatch.wire.errors import ProtocolError
from latticewatch.wire.events import DefectEvent
from latticewatch.wire.frames import (
    ATTRS_ENTRIES_MAX,
    HEX32_PATTERN,
    ITEM_BYTES,
    SIDE_MAX_PX,
    SIDE_MIN_PX,
    SOURCE_PATTERN,
    FrameHeader,
    SourceEnd,
    SourceHeartbeat,
    SourceMessage,
)
from latticewatch.wire.geometry import Geometry
from latticewatch.wire.outlines import first_outside

# A field of one row and 65536 columns, its part turned by a quarter, reaches 131 074: within any
# grid of pixels this is never met.
FRAC_MAX: Final = 1e6
NM_MAX: Final = 1e9  # a metre: no stage of a microscope is as large

_SOURCE: Final = re.compile(SOURCE_PATTERN)
_HEX32: Final = re.compile(HEX32_PATTERN)


def shown(value: object) -> str:
    """Quote what a peer sent, fit for a log line: one line, at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def check_ranges(message: SourceMessage) -> None:
    """Make check 3, the part that types cannot say: ranges across keys, lengths in bytes, attrs."""
    if isinstance(message, SourceHeartbeat):
        _check_dropped(message.dropped, n_acquired=message.last_seq + 1, of="heartbeat")
    elif isinstance(message, SourceEnd):
        _check_dropped(message.dropped, n_acquired=message.total, of="end")
    else:
        _check_dropped(message.dropped, n_acquired=message.seq, of=f"frame {message.seq}")
        _check_header_ranges(message)


def check_names(message: SourceMessage) -> None:
    """Make check 4, the form of `source` and `session`."""
    if not _SOURCE.fullmatch(message.source):
        raise ProtocolError(
            "source", f"source {shown(message.source)}: expected a name like {SOURCE_PATTERN}"
        )
    if not _HEX32.fullmatch(message.session):
        raise ProtocolError(
            "source",
            f"session {shown(message.session)} of {message.source}: expected 32 lowercase hex",
        )


def check_source(message: SourceMessage, *, source: str, shard: tuple[int, int] = (0, 1)) -> None:
    """Make check 4: the message belongs to this endpoint, and its number to this shard.

    Parameters
    ----------
    source
        Name that the endpoint serves.
    shard
        [k, n]: the endpoint carries the numbers with seq % n == k.
    """
    if message.source != source:
        raise ProtocolError(
            "source",
            f"message of {message.source}, expected {source}: give the sender this name, check its "
            "address, or set source.name",
        )
    k, n = shard
    if isinstance(message, FrameHeader):
        if message.shard != shard:
            came = shown(list(message.shard))
            raise ProtocolError(
                "source", f"{message.label}: shard {came}, this endpoint is [{k}, {n}]"
            )
        number = message.seq
    elif isinstance(message, SourceHeartbeat) and message.last_seq >= 0:
        number = message.last_seq
    else:
        return
    # A number of another shard would break the count: gaps are multiples of n.
    if number % n != k:
        raise ProtocolError("source", f"number {number} of {source} is not in shard [{k}, {n}]")


def check_pixels(header: FrameHeader, n_bytes: int) -> None:
    """Make checks 6 and 7: shape, type and codec are ours, the payload as long as promised.

    Parameters
    ----------
    n_bytes
        Length of the pixel part.
    """
    rows, columns = header.shape_yx
    if not (SIDE_MIN_PX <= rows <= SIDE_MAX_PX and SIDE_MIN_PX <= columns <= SIDE_MAX_PX):
        raise ProtocolError(
            "shape",
            f"{header.label}: shape {rows} x {columns}, "
            f"each side must be {SIDE_MIN_PX} to {SIDE_MAX_PX}",
        )
    if header.dtype not in ITEM_BYTES:
        raise ProtocolError(
            "dtype",
            f"{header.label}: dtype {shown(header.dtype)}, expected one of {', '.join(ITEM_BYTES)}",
        )
    if header.codec != "raw":
        raise ProtocolError(
            "codec", f"{header.label}: codec {shown(header.codec)}, only raw is read: send raw"
        )
    if header.n_pixel_bytes != n_bytes:
        raise ProtocolError(
            "length",
            f"{header.label}: header promises {rows} x {columns} {header.dtype} = "
            f"{header.n_pixel_bytes} bytes, payload has {n_bytes}: check the sender's row padding",
        )


def check_crc(header: FrameHeader, pixels: bytes | memoryview) -> None:
    """Make check 7, the checksum, if the header has one; about 1 ms for 2 MiB."""
    if header.crc32 is None:
        return
    came = zlib.crc32(pixels)
    if came != header.crc32:
        raise ProtocolError(
            "crc",
            f"{header.label}: header promises crc32 {header.crc32:08x}, pixels have {came:08x}",
        )


def check_geometry(header: FrameHeader) -> None:
    """Make check 8: a calibrated frame says where it is, and the valid rows exist.

    Call it after `check_pixels`.
    """
    if header.calibrated:
        missing = _missing_of_calibrated(header)
        if missing:
            raise ProtocolError(
                "geometry", f"{header.label}: calibrated, but {', '.join(missing)} missing"
            )
        _check_corners(header)
    rows, valid = header.shape_yx[0], header.n_valid_rows
    if valid > rows:
        raise ProtocolError("geometry", f"{header.label}: valid_rows {valid} of {rows} rows")
    if header.complete and valid != rows:
        raise ProtocolError(
            "geometry", f"{header.label}: complete, but only {valid} of {rows} rows valid"
        )


def check_outlines(event: DefectEvent) -> None:
    """Refuse an event with an outline that lies outside its frame."""
    rows, columns = event.frame.shape_yx
    for defect in event.defects:
        if defect.outline_px_yx is UNSET:
            continue
        point = first_outside(defect.outline_px_yx, (rows, columns))
        if point is not None:
            raise ProtocolError(
                "header",
                f"outline of defect {defect.i} passes {shown(list(point))}: outside the frame of "
                f"{rows} x {columns}",
            )


def check_stage(event: DefectEvent) -> None:
    """Refuse the first event of a frame that confirms defects of the first event of the frame."""
    if event.confirms and event.stage in (UNSET, "first"):  # UNSET is false
        raise ProtocolError(
            "header", "confirms in the first event of a frame: expected with a stage after it"
        )


def pixel_array(
    header: FrameHeader, payload: bytes | bytearray | memoryview
) -> NDArray[Any]:  # Any: one of five element types
    """View the pixel part as an array, without a copy.

    Returns
    -------
    (H, W)
        In the header's type: maybe big-endian, maybe unaligned, and read-only where the payload
        is. It keeps the payload alive. Call it after `check_pixels`.
    """
    return np.frombuffer(payload, dtype=header.numpy_dtype).reshape(header.shape_yx)


def _check_dropped(dropped: int, *, n_acquired: int, of: str) -> None:
    if dropped > n_acquired:
        raise ProtocolError(
            "header", f"{of}: dropped {dropped} of {n_acquired} acquired: cannot be more than all"
        )


def _check_header_ranges(header: FrameHeader) -> None:
    name = f"frame {header.seq}"
    if header.t_start_ns is not None and header.t_start_ns > header.t_complete_ns:
        raise ProtocolError("header", f"{name}: t_start_ns is later than t_complete_ns")
    k, n = header.shard
    if not k < n:
        raise ProtocolError("header", f"{name}: shard [{k}, {n}], expected [k, n] with k < n")
    for key, text, limit in (
        ("channel", header.channel, 32),
        ("scan_id", header.scan_id, 64),
        ("command_id", header.command_id, 32),
    ):
        # The types count characters; the limit is in bytes of UTF-8.
        if text is not UNSET and len(text.encode()) > limit:
            raise ProtocolError("header", f"{name}: {key} is longer than {limit} bytes")
    if header.attrs is not UNSET:
        _check_attrs(memoryview(header.attrs), name)


def _check_attrs(raw: memoryview, name: str) -> None:
    """Read the head of the map and no more: attributes are the vendor's, never ours."""
    first = raw[0]
    if 0x80 <= first <= 0x8F:
        n_entries = first & 0x0F
    elif first in (0xDE, 0xDF):
        n_entries = int.from_bytes(raw[1 : 3 if first == 0xDE else 5], "big")
    else:
        raise ProtocolError("header", f"{name}: attrs must be a map")
    if n_entries > ATTRS_ENTRIES_MAX:
        raise ProtocolError(
            "header", f"{name}: attrs has {n_entries} entries, at most {ATTRS_ENTRIES_MAX}"
        )


def _missing_of_calibrated(header: FrameHeader) -> list[str]:
    context = header.context
    if context is UNSET:
        return ["context"]
    values = {
        "size_yx": context.size_yx,
        "fov_nm_yx": context.fov_nm_yx,
        "center_nm_yx": context.center_nm_yx,
        "rotation_rad": context.rotation_rad,
    }
    return [f"context.{key}" for key, value in values.items() if value is UNSET or value is None]


def _check_corners(header: FrameHeader) -> None:
    """Refuse a field whose numbers are fine one by one, and whose places are not.

    What is computed from them later could overflow, and the wire carries finite numbers only.
    """
    rows, columns = header.shape_yx
    y, x = (-0.5, rows - 0.5), (-0.5, columns - 0.5)
    corners_yx = np.array([[y[0], x[0]], [y[0], x[1]], [y[1], x[0]], [y[1], x[1]]])
    geometry = Geometry.from_header(header)
    with np.errstate(all="ignore"):  # an overflow is what we look for
        frac_yx = geometry.to_fraction(corners_yx)
        nm_yx = geometry.fraction_to_nm(frac_yx)
        for unit, places, limit in (("fields", frac_yx, FRAC_MAX), ("nm", nm_yx, NM_MAX)):
            farthest = float(np.abs(places).max())
            # Written so that NaN fails.
            if not farthest <= limit:
                raise ProtocolError(
                    "geometry",
                    f"{header.label}: calibrated, but a corner is {farthest:.3g} {unit} away, at "
                    f"most {limit:g} expected: check context.fov_nm_yx and context.center_nm_yx",
                )
