"""What one detector is given of a frame, and what it says: the same words for all of them."""

from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.exchange import PipelineSettings
from latticewatch.detectors.follow import FrameLattice
from latticewatch.detectors.polarity import contrast_of_channel, contrast_of_frame
from latticewatch.detectors.protocols import Finding
from latticewatch.wire.words import DetectorCondition

ARITHMETIC: Final = (ArithmeticError, np.linalg.LinAlgError)
"""What pixels can do to arithmetic that nobody foresaw; anything else is a mistake of ours and ends
the thread, loudly."""


class FrameContrast:
    """Whether the columns of a frame are bright or dark, found out once for all who ask."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: int | None = None

    def of(self, image: NDArray[np.float32], period_px: float) -> int:
        """+1: bright; -1: dark; 60 ms for 1024 x 1024 the first time."""
        if self._known is None:
            self._known = contrast_of_frame(image, period_px)
        return self._known


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame on its way through the detectors.

    Attributes
    ----------
    image : (H, W) float32
        Finite.
    bad_yx : (N, 2)
        Pixels that were repaired.
    lattice
        What all detectors stand on; None where the frame holds none.
    channel
        Name of the detector of the microscope, None if the source does not say.
    others
        Lattices of further domains; each holds its own part of the frame only.
    session
        Of the source: what earlier frames said of a model counts within one.
    pictures
        Whether somebody wants to see what the detectors made of this frame; it takes them some
        milliseconds more.
    measured
        What the frame itself says of the contrast of its columns, once somebody asked.
    """

    image: NDArray[np.float32]
    bad_yx: NDArray[np.intp]
    lattice: FrameLattice | None
    channel: str | None = None
    others: tuple[FrameLattice, ...] = ()
    session: str = ""
    pictures: bool = False
    measured: FrameContrast = field(default_factory=FrameContrast, repr=False, compare=False)

    @property
    def contrast_told(self) -> int | None:
        """Contrast of the columns by the name of the channel; None where that does not say it."""
        return None if self.channel is None else contrast_of_channel(self.channel)

    @property
    def lattices(self) -> tuple[FrameLattice, ...]:
        """Of all domains, none where the frame holds none."""
        return () if self.lattice is None else (self.lattice, *self.others)


def contrast_of(scene: Scene) -> int:
    """Contrast of the columns, by the channel or else by the frame: +1 bright, -1 dark.

    For the first frame of a chain: it takes long where the channel does not say it.
    """
    told = scene.contrast_told
    if told is not None:
        return told
    if scene.lattice is None:
        return 1
    return scene.measured.of(scene.image, scene.lattice.lattice.period_px)


def period_of(scene: Scene) -> float:
    """Square root of the cell's area of the first lattice, pixels; 0 without one."""
    return 0.0 if scene.lattice is None else scene.lattice.lock.period_px


@dataclass(frozen=True, slots=True)
class Budget:
    """False alarms that a detector may spend on a frame: exactly one is not None.

    Attributes
    ----------
    fdr
        Largest q-value.
    per_frame
        Largest p-value times places looked at.
    """

    fdr: float | None
    per_frame: float | None

    @classmethod
    def of(cls, settings: PipelineSettings) -> "Budget":
        """All that the settings allow."""
        return cls(settings.fdr, settings.false_alarms_per_frame)

    def share(self, part: float) -> "Budget":
        """Return a part of it, 0..1."""
        return Budget(
            None if self.fdr is None else part * self.fdr,
            None if self.per_frame is None else part * self.per_frame,
        )

    def passes(
        self, p_value: NDArray[np.float64], q_value: NDArray[np.float64], n_places: int
    ) -> NDArray[np.bool_]:
        """Tell which findings (F,) are within it."""
        if self.fdr is not None:
            return q_value <= self.fdr
        return p_value * n_places <= (self.per_frame or 0.0)


@dataclass(frozen=True, slots=True)
class LatticeSight:
    """Lattice of a frame as an event tells it; pixels.

    Attributes
    ----------
    basis_px_yx : (2, 2)
        Rows a and b.
    origin_px_yx : (2,)
        A site near the middle of the frame.
    rms_px
        Scatter about the ideal lattice, per axis.
    """

    basis_px_yx: NDArray[np.float64]
    origin_px_yx: NDArray[np.float64]
    rms_px: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What a detector made of a frame, place by place.

    Attributes
    ----------
    layer
        Name of the map.
    values : (h, w) float32
        NaN where nothing is known; nobody writes to it afterwards.
    signed
        What is there less what was expected; else the values are 0 or more, and more is stranger.
    step_px
        Pixels of the frame between two values.
    first_px_yx
        Where in the frame the first value is.
    """

    layer: str
    values: NDArray[np.float32]
    signed: bool = True
    step_px: float = 1.0
    first_px_yx: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one detector says of one frame.

    Attributes
    ----------
    name, artifact, sha256
        Of the detector and its model.
    condition
        `stale`: the model knows another crystal.
    faults
        Words of the protocol: what keeps this detector from an answer.
    n_sites, n_scored
        Places where a defect could be, and those that were judged. None judged: it has no answer.
    findings
        Past the cut, strongest first.
    q_value : (F,)
        Of the findings.
    lattice
        As this detector found it, or None.
    stage_us
        What it spent its time on.
    is_extended
        It looks for lines and patches, and has no word on sites: `n_sites` and `n_scored`, if any,
        count the cells of its map.
    n_domains
        Of the frame, None where nobody counted.
    note
        Why there is no answer, in words for a person; else empty.
    n_refused
        Scores that were not finite, and count as none.
    picture
        Where the scene asks for pictures, and the detector has one.
    """

    name: str
    artifact: str
    sha256: str
    condition: DetectorCondition = "ok"
    faults: tuple[str, ...] = ()
    n_sites: int = 0
    n_scored: int = 0
    findings: tuple[Finding, ...] = ()
    q_value: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    lattice: LatticeSight | None = None
    stage_us: dict[str, int] = field(default_factory=dict)
    is_extended: bool = False
    n_domains: int | None = None
    note: str = ""
    n_refused: int = 0
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class SiteChange:
    """A site that is of another class than before, in the terms of an event.

    Attributes
    ----------
    address
        Cell along a, cell along b, sublattice.
    pixel_yx
        Of the site.
    before, after
        Id and name of a class.
    p
        Of the class after.
    """

    address: tuple[int, int, int]
    pixel_yx: tuple[float, float]
    before: tuple[int, str]
    after: tuple[int, str]
    p: float


class Looker(Protocol):
    """A detector as the pipeline knows it: buffers of its own, one frame at a time.

    A scene is lent for one call: nothing in it may be written to, nor looked at afterwards. A late
    looker does not see every frame; `followed` of a lattice then speaks of the frame that it saw
    last, drift still of the one before.
    """

    name: str
    needs_lattice: bool
    """Has nothing to say of a frame without one."""

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Judge a frame."""
        ...

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Run what `look` did not run on frames without defects."""
        ...
