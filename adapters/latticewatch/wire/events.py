"""What the daemon publishes: defect events, status, heartbeat, welcome, preview.

Fields stand in canonical order and every one is written. Words of open sets (kind, quality,
flags, status code, stage) are `str` in the structs, because a newer peer may know more of them;
the words of this version are in `latticewatch.wire.words`.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from latticewatch.wire.frames import (
    Context,
    Count,
    FrameHeader,
    Hex32,
    Instant,
    LastNumber,
    Roi,
    SourceName,
    TimeSource,
)
from latticewatch.wire.motifs import Motif, MotifChange
from latticewatch.wire.outlines import Outline
from latticewatch.wire.scales import PixelSizeState
from latticewatch.wire.tracks import Track as Track
from latticewatch.wire.tracks import TrackEnd as TrackEnd
from latticewatch.wire.words import CutRule, DetectorCondition
from latticewatch.wire.words import EventStage as EventStage
from latticewatch.wire.words import Flag as Flag
from latticewatch.wire.words import Kind as Kind
from latticewatch.wire.words import Level as Level
from latticewatch.wire.words import Outcome as Outcome
from latticewatch.wire.words import Quality as Quality
from latticewatch.wire.words import StatusCode as StatusCode

_PValue = Annotated[float, Meta(gt=0, le=1)]
_PreviewSide = Annotated[int, Meta(ge=1, le=512)]
_Hex16 = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{16}$"})]


class FrameRef(Struct, frozen=True, kw_only=True):
    """Which frame an event is about, copied from its header."""

    session: Hex32
    seq: Count
    shape_yx: tuple[int, int]
    part: int
    valid_rows: int
    complete: bool
    channel: str | None = None
    scan_id: str | None = None
    frame_index: int | None = None
    t_start_ns: int | None = None
    t_complete_ns: Instant
    t_source: TimeSource
    command_id: str | None = None

    @classmethod
    def from_header(cls, header: FrameHeader) -> "FrameRef":
        """Copy from a header what an event repeats."""
        return cls(
            session=header.session,
            seq=header.seq,
            shape_yx=header.shape_yx,
            part=header.part,
            valid_rows=header.n_valid_rows,
            complete=header.complete,
            channel=None if header.channel is UNSET else header.channel,
            scan_id=None if header.scan_id is UNSET else header.scan_id,
            frame_index=header.frame_index,
            t_start_ns=header.t_start_ns,
            t_complete_ns=header.t_complete_ns,
            t_source=header.t_source,
            command_id=None if header.command_id is UNSET else header.command_id,
        )


class DetectorState(Struct, frozen=True, kw_only=True):
    """One detector's part in an event: its artifact, its condition, its time in microseconds."""

    name: str
    artifact: str
    sha256: str
    state: DetectorCondition
    us: int


class Cut(Struct, frozen=True, kw_only=True):
    """What decided which places are listed.

    Attributes
    ----------
    rule
        ``fdr``: q_value <= value; ``per_frame``: p_value x n_scored <= value.
    """

    rule: CutRule
    value: float


class LatticeState(Struct, frozen=True, kw_only=True):
    """The lattice that was fitted to a frame; pixels, and nanometres if calibrated."""

    a_px_yx: tuple[float, float]
    b_px_yx: tuple[float, float]
    origin_px_yx: tuple[float, float]
    rms_px: float
    period_nm: float | None = None
    domains: int


class Drift(Struct, frozen=True, kw_only=True):
    """Where the specimen of frame `ref_seq` is now."""

    ok: bool
    ref_seq: Count
    offset_frac_yx: tuple[float, float]
    cov_frac: tuple[float, float, float]
    offset_nm_yx: tuple[float, float] | None = None
    rate_nm_s_yx: tuple[float, float] | None = None


class Defect(Struct, frozen=True, kw_only=True):
    """One place past the threshold; protocol.md 4.2 gives units and meaning."""

    i: int
    kind: str
    kind_p: float | None = None
    label: str | None = None
    score: float
    p_value: _PValue
    q_value: _PValue
    scores: tuple[tuple[str, float, float], ...] = ()
    pixel_yx: tuple[float, float]
    frac_yx: tuple[float, float]
    nm_yx: tuple[float, float] | None = None
    cov_px: tuple[float, float, float]
    site: tuple[int, int, int] | None = None
    extent_px: float
    intensity_ratio: float | None = None
    displacement_px_yx: tuple[float, float] | None = None
    displacement_pm: float | None = None
    edge: bool
    flags: tuple[str, ...] = ()
    track: Track | None = None
    outline_px_yx: Outline | UnsetType = UNSET
    motif: Motif | UnsetType = UNSET


class DefectEvent(Struct, frozen=True, kw_only=True):
    """The verdict on one frame, zero or more defects; protocol.md 4.1 gives the meaning.

    Attributes
    ----------
    stage
        ``late``: detectors that take longer add to what the first event of the frame says.
    confirms
        Only with a stage after the first: `i` of the first event's defects that these see, too.
    motif_changes
        Sites whose motif class is another than in the frames before; not written where none is.
    """

    v: Literal[1] = 1
    type: Literal["defects"] = "defects"
    source: SourceName
    stream: str
    seq: int
    journaled: bool
    t_pub_ns: int
    valid_for_ms: int
    frame: FrameRef
    t_recv_ns: int
    latency_us: dict[str, int]
    context: Context
    roi: Roi
    calibrated: bool
    outcome: Outcome
    quality: tuple[str, ...]
    model_set: _Hex16
    detectors: tuple[DetectorState, ...]
    cut: Cut
    n_sites: int
    n_scored: int
    lattice: LatticeState | None = None
    drift: Drift | None = None
    defects: tuple[Defect, ...]
    n_defects: int
    truncated: bool
    tracks_ended: tuple[TrackEnd, ...] = ()
    dropped_since_last: int
    missing_since_last: int
    # Written as `copy_attrs` gives them, read as a dict: msgspec reads no `Raw | None`.
    attrs: Raw | dict[str, Any] | None = None  # Any: the vendor's values
    pixel_size: PixelSizeState | UnsetType = UNSET
    # Not written in the first event of a frame, which is all that most frames have.
    stage: str | UnsetType = UNSET
    confirms: tuple[Count, ...] | UnsetType = UNSET
    motif_changes: tuple[MotifChange, ...] | UnsetType = UNSET


class Status(Struct, frozen=True, kw_only=True):
    """What happened to the daemon, on the status topic."""

    v: Literal[1] = 1
    type: Literal["status"] = "status"
    source: SourceName
    stream: Hex32
    seq: Count
    journaled: bool
    t_pub_ns: int
    level: Level
    code: str
    text: str
    detail: dict[str, Any]  # Any: each code has details of its own, plain values all of them


class InputState(Struct, frozen=True, kw_only=True):
    """What the daemon last heard from its source; `last_seq` -1 for nothing."""

    session: Hex32 | None = None
    last_seq: LastNumber
    age_ms: int | None = None
    up: bool


class Armed(Struct, frozen=True, kw_only=True):
    """Who holds the right to steer, and for how long still."""

    holder: str
    expires_in_ms: int


class Heartbeat(Struct, frozen=True, kw_only=True):
    """The daemon lives, and the last numbers it published; -1 for none."""

    v: Literal[1] = 1
    type: Literal["heartbeat"] = "heartbeat"
    source: SourceName
    stream: Hex32
    last_ev_seq: LastNumber
    last_st_seq: LastNumber
    journaled: bool
    t_ns: int
    ready: bool
    input: InputState
    armed: Armed | None = None


class Welcome(Struct, frozen=True, kw_only=True):
    """A heartbeat, sent once to each subscriber that asks for `wl/SOURCE/`."""

    v: Literal[1] = 1
    type: Literal["welcome"] = "welcome"
    source: SourceName
    stream: Hex32
    last_ev_seq: LastNumber
    last_st_seq: LastNumber
    journaled: bool
    t_ns: int
    ready: bool
    input: InputState
    armed: Armed | None = None


class PreviewFrame(Struct, frozen=True, kw_only=True):
    """Identity of the frame that a preview shows."""

    session: Hex32
    seq: Count


class Preview(Struct, frozen=True, kw_only=True):
    """Header of a preview; its pixels are u1.

    Attributes
    ----------
    layer
        ``frame``, or the name of a score map.
    step_px
        Frame pixels per preview pixel.
    low, high
        Values shown as 0 and 255.
    """

    v: Literal[1] = 1
    type: Literal["preview"] = "preview"
    source: SourceName
    frame: PreviewFrame
    layer: str
    shape_yx: tuple[_PreviewSide, _PreviewSide]
    step_px: float
    low: float
    high: float


PublishedMessage = DefectEvent | Status | Heartbeat | Welcome | Preview
