"""The symmetry maps in the pipeline: a map of each frame, and the lines and patches in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.model_trust import ModelTrust
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, LatticeSight, Picture, Scene, Sight
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.daemon.symmetry_findings import DrawnSegment, symmetry_findings
from latticewatch.daemon.symmetry_gate import SegmentGate
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.symmetry.model import DETECTOR
from latticewatch.detectors.symmetry.score import SymmetryMap
from latticewatch.detectors.turned import net_change

# A repaired pixel is seen by cells whose squares, filter and windows reach it, in steps of cells.
_REACH_CELLS = 3
# Two along each border are masked, and a cell is two steps wide.
_LEAST_CELLS = 6

SegmentFinder = Callable[[SymmetryMap, tuple[int, int]], Sequence[DrawnSegment]]
"""Takes a map and the shape of its frame; gives lines and patches, surest first."""


class Mapper(Protocol):
    """Maps one frame after the other."""

    def score(self, image: NDArray[np.float32], lock: LatticeLock | None) -> SymmetryMap:
        """Say how far each part of a frame (H, W) is from the model's crystal."""
        ...


@dataclass(frozen=True, slots=True)
class Seer:
    """What a looker asks.

    Attributes
    ----------
    mapper, segments
        Of one model.
    gate
        None where no network has a say.
    basis_px_yx : (2, 2) or None
        Lattice of the model.
    step_px
        Between cells of its maps.
    contrast
        +1: the model knows bright columns, -1: dark ones.
    """

    mapper: Mapper
    segments: SegmentFinder
    gate: SegmentGate | None = None
    basis_px_yx: NDArray[np.float64] | None = None
    step_px: int = 8
    contrast: int = 1


class SymmetryLooker:
    """Draws where the texture of a frame is not that of the model's crystal.

    Without a lattice it has nothing to say: a frame that is amorphous all over is not listed.

    Parameters
    ----------
    seer
        Of the model.
    named
        Detector, artifact, SHA-256.
    clock
        Times the stages.
    """

    name = DETECTOR
    needs_lattice = True

    def __init__(self, seer: Seer, named: tuple[str, str, str], clock: Clock) -> None:
        self._seer, self._named, self._clock = seer, named, clock
        self._trust = ModelTrust(*named)
        self._session = ""

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Draw lines and patches; the budget is for points and is left alone.

        The p-value of a segment counts all places of a frame already, and its limit is fixed.
        """
        del budget
        watch = Stopwatch(self._clock)
        other = self._trust.enter(scene, self._seer.contrast)
        if other is not None:
            return replace(other, is_extended=True)
        if scene.lattice is None:
            return Sight(
                *self._named,
                condition=self._trust.condition,
                faults=("not_periodic",),
                is_extended=True,
            )
        self._forget_with_the_session(scene)
        if self._too_small(scene.image.shape):
            return self._unseen(scene, watch)
        found = self._seer.mapper.score(scene.image, self._lock_of(scene))
        found = without_repaired(found, scene.bad_yx)
        seen = Sight(
            *self._named,
            n_sites=found.severity.size,
            lattice=_lattice_of(scene),
            is_extended=True,
            picture=_picture(found) if scene.pictures else None,
        )
        if found.stale:
            watch.lap(DETECTOR)
            return self._trust.against(scene, seen, ", ".join(found.told), watch)
        n_scored = int(np.count_nonzero(np.isfinite(found.severity)))
        if not n_scored:
            return replace(self._unseen(scene, watch), n_sites=seen.n_sites, picture=seen.picture)
        shape_yx = (scene.image.shape[0], scene.image.shape[1])
        findings, note = symmetry_findings(self._seer.segments(found, shape_yx)), ""
        if self._seer.gate is not None:
            findings, note = self._seer.gate.sift(scene.image, found, findings)
        watch.lap(DETECTOR)
        trial = self._trust.on_trial(scene, seen, watch)
        return trial or replace(
            seen,
            n_scored=n_scored,
            findings=tuple(findings),
            q_value=np.array([finding.p_value for finding in findings]),
            stage_us=watch.us,
            note=f"{DETECTOR}: {note}" if note else "",
        )

    def _too_small(self, shape_yx: tuple[int, ...]) -> bool:
        return min(shape_yx) < _LEAST_CELLS * self._seer.step_px

    def _unseen(self, scene: Scene, watch: Stopwatch) -> Sight:
        """Say that nothing speaks for the model, nor against it."""
        watch.lap(DETECTOR)
        height, width = scene.image.shape
        return Sight(
            *self._named,
            condition=self._trust.condition,
            lattice=_lattice_of(scene),
            is_extended=True,
            stage_us=watch.us,
            note=f"{DETECTOR}: no part of this frame of {height} x {width} px can be judged",
        )

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Look at a crystal with a part of another and a hole, and forget what frames so far said.

        Lines and patches are drawn by what frames without defects never run.
        """
        self._trust.forget()
        if self._too_small(image.shape):
            return
        half, quarter = image.shape[1] // 2, image.shape[0] // 4
        broken = image.copy()
        broken[:, half:] = broken[::-1, half:]
        broken[quarter : 2 * quarter, half // 4 : 3 * half // 4] = broken.mean()
        found = self._seer.mapper.score(broken, None)
        self._seer.segments(_as_if_faulted(found), (image.shape[0], image.shape[1]))

    def _forget_with_the_session(self, scene: Scene) -> None:
        if scene.session != self._session and self._seer.gate is not None:
            self._seer.gate.forget()
        self._session = scene.session

    def _lock_of(self, scene: Scene) -> LatticeLock | None:
        """Of the domains of a frame, the lock of the one that is most like the model's crystal."""
        if scene.lattice is None or self._seer.basis_px_yx is None:
            return None
        locks = [one.lock for one in scene.lattices]
        return min(locks, key=lambda lock: _unlike(self._seer.basis_px_yx, lock.basis_px_yx))


def _unlike(model: NDArray[np.float64] | None, frame: NDArray[np.float64]) -> float:
    """Tell how far one lattice is from another: relative change of period, and turn in radians."""
    change = None if model is None else net_change(model, frame)
    return np.inf if change is None else abs(change[0] - 1) + abs(change[1])


def _as_if_faulted(found: SymmetryMap) -> SymmetryMap:
    """Return a map of the model's own crystal with a fault in it, masked as this one is."""
    known = np.isfinite(found.severity)
    dice = np.random.default_rng(0)
    severity = np.where(known, np.exp(dice.normal(-1.0, 0.15, known.shape)), np.nan)
    p_value = np.where(known, dice.uniform(0.002, 1.0, known.shape), np.nan)
    middle = known.shape[1] // 2
    severity[:, middle : middle + 1] *= 10
    p_value[:, middle : middle + 1] *= 1e-12
    return replace(
        found,
        severity=severity.astype(np.float32),
        distance=(10 * severity).astype(np.float32),
        p_value=p_value,
        stale=False,
    )


def without_repaired(found: SymmetryMap, bad_yx: NDArray[np.intp]) -> SymmetryMap:
    """Leave out the cells that repaired pixels (N, 2) may have changed: they are not judged."""
    if not len(bad_yx):
        return found
    touched = _touched(found, bad_yx)
    nothing = np.float32(np.nan)
    return replace(
        found,
        severity=np.where(touched, nothing, found.severity),
        distance=np.where(touched, nothing, found.distance),
        p_value=np.where(touched, np.nan, found.p_value),
        variance=np.where(touched, nothing, found.variance),
    )


def _touched(found: SymmetryMap, bad_yx: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Cells within reach of any of these pixels; as fast for one as for a tenth of a frame."""
    nearest = np.rint((bad_yx - np.array(found.first_px_yx)) / found.step_px).astype(np.intp)
    n_rows, n_columns = found.severity.shape
    # With a margin, since pixels at the edge of the frame lie outside of the grid.
    margin = _REACH_CELLS + 2
    marked = np.zeros((n_rows + 2 * margin, n_columns + 2 * margin), bool)
    marked[nearest[:, 0] + margin, nearest[:, 1] + margin] = True
    for axis in (0, 1):
        lines = np.moveaxis(marked, axis, 0)
        seeds = lines.copy()
        for step in range(1, _REACH_CELLS + 1):
            lines[step:] |= seeds[:-step]
            lines[:-step] |= seeds[step:]
    return marked[margin:-margin, margin:-margin]


def _picture(found: SymmetryMap) -> Picture:
    return Picture(
        DETECTOR,
        found.severity.copy(),  # the next frame may be drawn into the same buffer
        signed=False,
        step_px=found.step_px,
        first_px_yx=found.first_px_yx,
    )


def _lattice_of(scene: Scene) -> LatticeSight | None:
    """Lattice that was followed, with the place of a cell near the middle of the frame."""
    if scene.lattice is None:
        return None
    lock = scene.lattice.lock
    middle = (np.array(scene.image.shape) - 1) / 2
    address = np.floor(lock.reciprocal_per_px @ middle).astype(np.int64)[None]
    along = lock.phase.reshape(2, -1).astype(np.float64)
    bend_px = (along - along.mean(axis=1, keepdims=True)).T @ lock.basis_px_yx
    origin = lock.places(address, np.zeros(2))[0]
    rms_px = float(np.sqrt(np.square(bend_px).mean()))
    return LatticeSight(lock.basis_px_yx, origin, rms_px)
