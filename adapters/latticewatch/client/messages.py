"""What the daemon publishes, as plain frozen dataclasses; section 4 of the protocol in Python.

Written from the protocol's text. Names, units and meanings are those of the
protocol: `[y, x]` order, `t_*_ns` in UTC nanoseconds. Words of open sets that this version does
not know read as ``unknown``.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from latticewatch.client.errors import BadMessage
from latticewatch.client.outlines import check_outline
from latticewatch.client.reading import Words, not_on_wire
from latticewatch.client.words import Flag, Kind, Quality, Role, Stage, StatusCode

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRef:
    """Which frame an event is about; (source, session, seq) is its identity."""

    session: str
    seq: int
    shape_yx: tuple[int, int]
    part: int
    valid_rows: int
    complete: bool
    channel: str | None = None
    scan_id: str | None = None
    frame_index: int | None = None
    t_start_ns: int | None = None
    t_complete_ns: int
    t_source: Literal["hardware", "software", "receive", "replay"]
    command_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The full scan field that fractions refer to; nanometres where calibrated."""

    size_yx: tuple[int, int]
    fov_nm_yx: Pair | None = None
    center_nm_yx: Pair | None = None
    rotation_rad: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """The part of the context that the frame shows, in fractions of it."""

    center_frac_yx: Pair
    size_frac_yx: Pair
    rotation_rad: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorState:
    """One detector's part in an event: its artifact, its condition, its time in microseconds."""

    name: str
    artifact: str
    sha256: str
    state: Literal["ok", "stale", "refitting", "error"]
    us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The rule and the value that decided which places are listed."""

    rule: Literal["fdr", "per_frame"]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatticeState:
    """The lattice that was fitted to the frame."""

    a_px_yx: Pair
    b_px_yx: Pair
    origin_px_yx: Pair
    rms_px: float
    period_nm: float | None = None
    domains: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Where the specimen of frame `ref_seq` is now."""

    ok: bool
    ref_seq: int
    offset_frac_yx: Pair
    cov_frac: tuple[float, float, float]
    offset_nm_yx: Pair | None = None
    rate_nm_s_yx: Pair | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSize:
    """Side of a pixel by a known material, and half of what it differs between directions."""

    source: Annotated[str, Words(frozenset({"material"}))]
    size_pm: float
    error_pm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One address followed over frames, and the evidence against it so far."""

    id: int
    state: Literal["tentative", "confirmed", "ended"]
    first_seq: int
    seen: int
    hits: int
    log_e: float
    p_seq: float
    trend: Literal["appearing", "stable", "healing", "moving"]
    previous_kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackEnd:
    """A track that ended with this frame."""

    id: int
    reason: Literal["lost", "healed", "out_of_view", "reset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Motif:
    """Which motif class a defect belongs to; the `label` of the defect is its name.

    `id` 0: far from all classes. `p` is the probability of the class, of id 0 the chance that a
    member of the nearest lies so far out; `distance` is the Mahalanobis distance. With `role`
    ``pristine`` or ``neighbour`` the motif speaks against a defect of the site itself.
    """

    id: int
    p: float
    distance: float
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class MotifChange:
    """A site that was of motif class `before` and is of class `after` now, 0 for new; told once."""

    site: tuple[int, int, int]
    pixel_yx: Pair
    frac_yx: Pair
    before: int
    after: int
    before_label: str
    after_label: str
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One place where the lattice is broken.

    Steer by `frac_yx`, fractions of the context; `nm_yx` is there only for calibrated frames.
    `p_value` is the chance that a defect-free site scores as high; `score` is comparable between
    frames and models. `cov_px` is [var_yy, cov_yx, var_xx] of `pixel_yx`. `outline_px_yx` is an
    open line of points for kind ``boundary``, a closed polygon for ``amorphous``, None for a point.
    `site` is (cell along a, cell along b, sublattice); sublattices of the k-th further domain of a
    frame are numbered from 100 k.
    """

    i: int
    kind: Kind
    kind_p: float | None = None
    label: str | None = None
    score: float
    p_value: float
    q_value: float
    scores: tuple[tuple[str, float, float], ...]
    pixel_yx: Pair
    frac_yx: Pair
    nm_yx: Pair | None = None
    cov_px: tuple[float, float, float]
    site: tuple[int, int, int] | None = None
    extent_px: float
    intensity_ratio: float | None = None
    displacement_px_yx: Pair | None = None
    displacement_pm: float | None = None
    edge: bool
    flags: tuple[Flag, ...]
    track: Track | None = None
    outline_px_yx: tuple[Pair, ...] | None = None
    motif: Motif | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectEvent:
    """The verdict on one frame, zero or more defects.

    With `outcome` ``scored`` an empty list means that nothing was found; with ``not_scored``
    nothing is known. An event is advice with an age limit: see `is_void`.

    Attributes
    ----------
    stage
        ``first``, or ``late``: a further event on a frame, of detectors that take longer. It lists
        only what the first event does not, and everything in it is theirs alone but what is said
        of the frame. Some frames have none.
    motif_changes
        Sites that became of another motif class; empty where none did, or nobody follows them.
    confirms
        Of a late event: `i` of the defects in the first event of its frame that these see, too.
    missed_before
        Events known to be lost between the one delivered before and this one. Filled in by the
        client.
    t_received_ns
        When the client took the event from its socket. Filled in by the client.
    """

    v: int
    type: Literal["defects"]
    source: str
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
    outcome: Literal["scored", "not_scored"]
    quality: tuple[Quality, ...]
    model_set: str
    detectors: tuple[DetectorState, ...]
    cut: Cut
    n_sites: int
    n_scored: int
    lattice: LatticeState | None = None
    drift: Drift | None = None
    defects: tuple[Defect, ...]
    n_defects: int
    truncated: bool
    tracks_ended: tuple[TrackEnd, ...]
    dropped_since_last: int
    missing_since_last: int
    attrs: dict[str, Any] | None = None  # Any: the vendor's values
    pixel_size: PixelSize | None = None
    stage: Stage = "first"
    confirms: tuple[int, ...] = ()
    motif_changes: tuple[MotifChange, ...] = ()
    missed_before: int = not_on_wire(0)
    t_received_ns: int = not_on_wire(0)

    def __post_init__(self) -> None:
        """Refuse outlines that are none, and what is confirmed where nothing was said before."""
        if self.confirms and (self.stage == "first" or min(self.confirms) < 0):
            raise BadMessage("defects.confirms: expected indices, in a late event only")
        for defect in self.defects:
            if defect.outline_px_yx is not None:
                check_outline(defect.outline_px_yx, self.frame.shape_yx)

    def age_ms(self, now_ns: int) -> float:
        """Age of the frame at `now_ns` (UTC), in ms; wrong by what the two clocks differ."""
        return (now_ns - self.frame.t_complete_ns) / 1e6

    def is_void(self, now_ns: int) -> bool:
        """Tell whether the event is too old to act on at `now_ns` (UTC)."""
        return self.age_ms(now_ns) > self.valid_for_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What happened to the daemon; `detail` depends on `code`."""

    v: int
    type: Literal["status"]
    source: str
    stream: str
    seq: int
    journaled: bool
    t_pub_ns: int
    level: Literal["info", "warning", "error"]
    code: StatusCode
    text: str
    detail: dict[str, Any]  # Any: each code has details of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class InputState:
    """What the daemon last heard from its source; `last_seq` -1 for nothing."""

    session: str | None = None
    last_seq: int
    age_ms: int | None = None
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """Who holds the right to steer, and for how long still."""

    holder: str
    expires_in_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The daemon lives, and the last numbers it published; also the welcome at a connection."""

    v: int
    type: Literal["heartbeat", "welcome"]
    source: str
    stream: str
    last_ev_seq: int
    last_st_seq: int
    journaled: bool
    t_ns: int
    ready: bool
    input: InputState
    armed: Armed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewFrame:
    """Identity of the frame that a preview shows."""

    session: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A picture of a frame, or of a score map over it, with one byte for each place.

    Attributes
    ----------
    layer
        ``frame``, or the name of the map: ``symmetry`` (how far the texture is from the model's,
        over its limit), ``vae`` (what the autoencoder could not redraw).
    shape_yx
        At most 512 each.
    step_px
        Pixels of the frame for each of the preview: the middle of preview pixel i is at
        step_px (i + 0.5) - 0.5.
    low, high
        Values shown as 0 and 255.
    pixels
        Row by row. In a map 0 says that nothing is known of a place, never that it is clean.
        Filled in by the client.
    """

    v: int
    type: Literal["preview"]
    source: str
    frame: PreviewFrame
    layer: str
    shape_yx: tuple[int, int]
    step_px: float
    low: float
    high: float
    pixels: bytes = not_on_wire(b"")


Message = DefectEvent | Status | Heartbeat
