"""What a frame source sends: frame header, source heartbeat, end of a session.

Fields stand in canonical order. A key that a source may leave out, and that may not be nil, is
`UNSET` when absent; `UNSET` is false and is not written.
"""

import math
from typing import Annotated, Any, Final, Literal

import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

HEADER_BYTES_MAX: Final = 16_384
ATTRS_ENTRIES_MAX: Final = 64
SIDE_MIN_PX: Final = 16
SIDE_MAX_PX: Final = 8192
MAX_INT64: Final = 2**63 - 1
SOURCE_PATTERN: Final = "[a-z0-9][a-z0-9_-]{0,31}"
HEX32_PATTERN: Final = "[0-9a-f]{32}"

DTypeName = Literal["u1", "<u2", ">u2", "<u4", "<f4"]
"""Pixel types of the wire, with their byte order."""

ITEM_BYTES: Final[dict[str, int]] = {"u1": 1, "<u2": 2, ">u2": 2, "<u4": 4, "<f4": 4}

TimeSource = Literal["hardware", "software", "receive", "replay"]
EndReason = Literal["stopped", "aborted", "error"]
Polarity = Literal["bright", "dark"]

# Patterns and sets that are checked after the types, because each has a reason of its own
# (source, shape, dtype, codec), are told to the schema alone.
SourceName = Annotated[str, Meta(extra_json_schema={"pattern": f"^{SOURCE_PATTERN}$"})]
Hex32 = Annotated[str, Meta(extra_json_schema={"pattern": f"^{HEX32_PATTERN}$"})]
Side = Annotated[int, Meta(extra_json_schema={"minimum": SIDE_MIN_PX, "maximum": SIDE_MAX_PX})]
_DType = Annotated[str, Meta(extra_json_schema={"enum": list(ITEM_BYTES)})]
_Codec = Annotated[str, Meta(extra_json_schema={"enum": ["raw"]})]
_Attrs = Annotated[
    Raw, Meta(extra_json_schema={"type": "object", "maxProperties": ATTRS_ENTRIES_MAX})
]

Count = Annotated[int, Meta(ge=0, le=MAX_INT64)]
LastNumber = Annotated[int, Meta(ge=-1, le=MAX_INT64)]
Instant = Annotated[int, Meta(gt=0, le=MAX_INT64)]
Angle = Annotated[float, Meta(ge=-math.tau, le=math.tau)]
Positive = Annotated[float, Meta(gt=0)]
_ContextSide = Annotated[int, Meta(ge=1, le=65_536)]
_CenterFrac = Annotated[float, Meta(ge=-1, le=2)]
_SizeFrac = Annotated[float, Meta(gt=0, le=4)]


class PartialContext(Struct, frozen=True, kw_only=True):
    """The full scan field as a source describes it; the grid may be left out.

    Attributes
    ----------
    size_yx : px
        Grid of the whole field. `UNSET`: the frame's own shape.
    fov_nm_yx : nm
        Field of view; None where nanometres are not known.
    center_nm_yx : nm
        Its centre in the specimen plane.
    rotation_rad : rad
        Scan rotation; a positive angle turns +x towards +y. `UNSET`: 0, unless calibrated.
    """

    size_yx: tuple[_ContextSide, _ContextSide] | UnsetType = UNSET
    fov_nm_yx: tuple[Positive, Positive] | None = None
    center_nm_yx: tuple[float, float] | None = None
    rotation_rad: Angle | UnsetType = UNSET


class Context(PartialContext, frozen=True, kw_only=True):
    """The full scan field that fractions refer to, grid and rotation included."""

    size_yx: tuple[_ContextSide, _ContextSide]
    fov_nm_yx: tuple[Positive, Positive] | None = None
    center_nm_yx: tuple[float, float] | None = None
    rotation_rad: Angle = 0.0


class Roi(Struct, frozen=True, kw_only=True):
    """The part of the context that a frame shows.

    Attributes
    ----------
    center_frac_yx
        Its centre, in fractions of the context.
    size_frac_yx
        Its extent along its own axes, in fractions of the context.
    rotation_rad : rad
        Its turn against the context, same sense as the context's.
    """

    center_frac_yx: tuple[_CenterFrac, _CenterFrac] = (0.5, 0.5)
    size_frac_yx: tuple[_SizeFrac, _SizeFrac] = (1.0, 1.0)
    rotation_rad: Angle = 0.0


class FrameHeader(Struct, frozen=True, kw_only=True):
    """Everything about one frame but its pixels; protocol.md 3.1 gives units and ranges."""

    v: Literal[1] = 1
    type: Literal["frame"] = "frame"
    source: SourceName
    session: Hex32
    seq: Count
    shape_yx: tuple[Side, Side]
    dtype: _DType
    t_complete_ns: Instant
    t_source: TimeSource
    dropped: Count
    t_start_ns: int | None = None
    t_error_ns: Count | None = None
    channel: Annotated[str, Meta(max_length=32)] | UnsetType = UNSET
    scan_id: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    frame_index: Count | None = None
    calibrated: bool = False
    context: PartialContext | UnsetType = UNSET
    roi: Roi | UnsetType = UNSET
    dwell_ns: Positive | None = None
    line_ns: Positive | None = None
    flyback_ns: Annotated[float, Meta(ge=0)] | None = None
    polarity: Polarity | UnsetType = UNSET
    full_scale: float | None = None
    drift_nm_yx: tuple[float, float] | None = None
    complete: bool = True
    part: Annotated[int, Meta(ge=0, le=4095)] = 0
    valid_rows: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    command_id: Annotated[str, Meta(max_length=32)] | UnsetType = UNSET
    shard: tuple[Count, Annotated[int, Meta(ge=1, le=MAX_INT64)]] = (0, 1)
    codec: _Codec = "raw"
    crc32: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    attrs: _Attrs | UnsetType = UNSET

    @property
    def label(self) -> str:
        """Name for log lines: ``frame 41 of haadf1``."""
        return f"frame {self.seq} of {self.source}"

    @property
    def numpy_dtype(self) -> np.dtype[Any]:  # Any: one of five element types
        """Pixel type as numpy has it, byte order included; trust it after `check_pixels`."""
        return np.dtype(self.dtype)

    @property
    def n_pixel_bytes(self) -> int:
        """Bytes that shape and type promise: an unbounded integer, so a lie cannot wrap round."""
        return self.shape_yx[0] * self.shape_yx[1] * ITEM_BYTES[self.dtype]

    @property
    def n_valid_rows(self) -> int:
        """Rows scanned so far; all of them unless the source says otherwise."""
        return self.shape_yx[0] if self.valid_rows is UNSET else self.valid_rows

    @property
    def full_context(self) -> Context:
        """The context with its defaults filled in."""
        given = PartialContext() if self.context is UNSET else self.context
        return Context(
            size_yx=self.shape_yx if given.size_yx is UNSET else given.size_yx,
            fov_nm_yx=given.fov_nm_yx,
            center_nm_yx=given.center_nm_yx,
            rotation_rad=0.0 if given.rotation_rad is UNSET else given.rotation_rad,
        )

    @property
    def full_roi(self) -> Roi:
        """The roi with its defaults filled in."""
        return Roi() if self.roi is UNSET else self.roi


class SourceHeartbeat(Struct, frozen=True, kw_only=True):
    """A source lives, and how far it has counted; every 250 ms, also while no frame flows.

    Attributes
    ----------
    last_seq
        Number of the last frame acquired (of this socket, with shards); -1 for none yet.
    dropped
        Numbers up to and including the last that the sender gave up.
    """

    v: Literal[1] = 1
    type: Literal["heartbeat"] = "heartbeat"
    source: SourceName
    session: Hex32
    last_seq: LastNumber
    dropped: Count
    t_ns: Instant


class SourceEnd(Struct, frozen=True, kw_only=True):
    """A session is over after `total` numbers, `dropped` of which the sender gave up."""

    v: Literal[1] = 1
    type: Literal["end"] = "end"
    source: SourceName
    session: Hex32
    total: Count
    dropped: Count
    t_ns: Instant
    reason: EndReason


SourceMessage = FrameHeader | SourceHeartbeat | SourceEnd
