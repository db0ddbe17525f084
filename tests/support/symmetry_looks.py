"""Symmetry maps in the pipeline: drawn frames, a model of their crystal, maps to order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.loaded_symmetry import LoadedSymmetry
from latticewatch.daemon.look_symmetry import Seer, SymmetryLooker
from latticewatch.daemon.sights import Looker
from latticewatch.daemon.symmetry_findings import DrawnSegment
from latticewatch.daemon.symmetry_gate import SegmentGate
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.symmetry.fit import fit
from latticewatch.detectors.symmetry.model import DETECTOR, SymmetryModel
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from latticewatch.detectors.symmetry.score import SymmetryMap
from latticewatch.detectors.symmetry.segments import Segment
from support.crystals import TickingClock
from support.faulted import Faulted, faulted

Image = NDArray[np.float32]
NAMED = (DETECTOR, "my.model", "0" * 64)
SHAPE_YX = (384, 384)
_CRYSTAL_SEED = 7


@lru_cache(maxsize=8)
def scene(defect: str = "none", seed: int = 1) -> Faulted:
    """Draw a frame of the crystal that `model` knows."""
    return faulted(
        "hexagonal", defect=defect, seed=seed, angle_seed=_CRYSTAL_SEED, shape_yx=SHAPE_YX
    )


@lru_cache(maxsize=1)
def model() -> SymmetryModel:
    """Fit on two clean frames."""
    frames = [scene(seed=100 + number).frame for number in range(2)]
    return fit(frames, SymmetryParameters())[0]


def loaded(*, gated: bool = True) -> LoadedSymmetry:
    """As if it had been read from a file."""
    return LoadedSymmetry(model(), NAMED[1], NAMED[2], gated=gated)


def looker() -> Looker:
    """A detector with the fitted model."""
    return loaded().looker(TickingClock())


def flat_map(severity: float = 0.4, shape: tuple[int, int] = (47, 47)) -> SymmetryMap:
    """A map of 384 x 384 pixels in which nothing stands out."""
    return SymmetryMap(
        distance=np.full(shape, 10 * severity, np.float32),
        severity=np.full(shape, severity, np.float32),
        p_value=np.full(shape, 0.3),
        variance=np.full(shape, 3.0, np.float32),
        level=np.full(shape, 20.0, np.float32),
        step_px=8.0,
        first_px_yx=(7.5, 7.5),
        gain=1.0,
        stale=False,
        told=(),
    )


def segment(
    points: Sequence[tuple[float, float]],
    kind: str = "boundary",
    *,
    mean_severity: float = 3.0,
    p_value: float = 1e-12,
) -> Segment:
    """A straight line, or a polygon."""
    line = np.array(points, np.float64)
    closed = kind == "amorphous"
    center = line.mean(axis=0)
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    return Segment(
        kind=kind,
        outline_px_yx=line,
        closed=closed,
        center_px_yx=(float(center[0]), float(center[1])),
        length_px=length,
        area_px2=900.0 if closed else 0.0,
        orientation_rad=0.0,
        mean_severity=mean_severity,
        peak_severity=2 * mean_severity,
        p_value=p_value,
    )


@dataclass
class FakeMapper:
    """Gives the map that it was told to, and remembers what it was asked."""

    found: SymmetryMap = field(default_factory=flat_map)
    locks: list[LatticeLock | None] = field(default_factory=list)

    def score(self, image: Image, lock: LatticeLock | None) -> SymmetryMap:
        del image
        self.locks.append(lock)
        return self.found


@dataclass(frozen=True)
class FakeVerdicts:
    p_defect: NDArray[np.float64]
    known: NDArray[np.bool_]


@dataclass
class FakeJudge:
    """Calls every tile as it was told to, and remembers how many it was asked about.

    Attributes
    ----------
    p_defect
        Of tiles whose mean is below `bright`, and of the others.
    """

    p_defect: tuple[float, float] = (0.02, 0.98)
    knows: bool = True
    bright: float = 50.0
    asked: list[int] = field(default_factory=list)

    def judge(self, tiles: NDArray[np.float32]) -> FakeVerdicts:
        self.asked.append(len(tiles))
        is_bright = tiles.mean(axis=(1, 2)) > self.bright
        p_defect = np.where(is_bright, self.p_defect[1], self.p_defect[0])
        return FakeVerdicts(p_defect, np.full(len(tiles), self.knows))


def told_looker(
    segments: Sequence[DrawnSegment] = (),
    *,
    mapper: FakeMapper | None = None,
    judge: FakeJudge | None = None,
    contrast: int = 1,
) -> SymmetryLooker:
    """A looker that sees what it was told to."""
    gate = None if judge is None else SegmentGate(judge, tile_px=128, threshold=0.5)
    seer = Seer(mapper or FakeMapper(), lambda *_: segments, gate, None, 8, contrast)
    return SymmetryLooker(seer, NAMED, TickingClock())
