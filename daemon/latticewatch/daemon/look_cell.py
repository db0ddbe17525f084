"""The reference cell in the pipeline."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.point_findings import NAME, cell_findings
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, LatticeSight, Scene, Sight
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.polarity import contrast_of_channel, contrast_of_frame
from latticewatch.detectors.reference_cell.flaws import Flaws
from latticewatch.detectors.reference_cell.residue import Strangers
from latticewatch.detectors.reference_cell.score import CellResult, ReferenceCellDetector

# It has no artifact: the frame is its own reference.
_NAMED = (NAME, "none", "0" * 64)


class CellLooker:
    """Asks what the frame's own mean cell does not explain."""

    name = NAME

    def __init__(self, clock: Clock, *, dopants_are_defects: bool = False) -> None:
        self._dopants_are_defects = dopants_are_defects
        self._detector = ReferenceCellDetector()
        self._clock = clock
        self._strangers: Strangers | None = None
        self._contrast = 1

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Judge every column of a frame, and list what is within the budget."""
        watch = Stopwatch(self._clock)
        lattice = scene.lattice
        result = None
        if lattice is not None:
            known = self._strangers if lattice.followed else None
            if not lattice.followed:
                self._contrast = contrast_of_frame(scene.image, lattice.lattice.period_px)
            said = None if scene.channel is None else contrast_of_channel(scene.channel)
            flaws = Flaws(self._contrast if said is None else said, scene.bad_yx)
            result = self._detector.look(scene.image, lattice.lock, known, flaws)
        self._strangers = None if result is None else result.strangers
        if result is None:
            watch.lap(NAME)
            return Sight(*_NAMED, faults=("not_periodic",), stage_us=watch.us)
        findings, q_value = cell_findings(
            result, budget, dopants_are_defects=self._dopants_are_defects
        )
        watch.lap(NAME)
        return Sight(
            *_NAMED,
            n_sites=result.n_sites + result.n_beyond,
            n_scored=result.n_sites,
            findings=tuple(findings),
            q_value=q_value,
            lattice=_lattice_of(result, scene),
            stage_us=watch.us,
        )

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Nothing is left to run: every frame goes all the way."""


def _lattice_of(result: CellResult, scene: Scene) -> LatticeSight:
    """Vectors of the lattice, the column nearest to the middle, and the rms distortion."""
    lock = result.lock
    middle = (np.array(scene.image.shape) - 1) / 2
    origin = result.places_yx[np.argmin(np.square(result.places_yx - middle).sum(axis=1))]
    along = lock.phase.reshape(2, -1).astype(np.float64)
    bend_px = (along - along.mean(axis=1, keepdims=True)).T @ lock.basis_px_yx
    return LatticeSight(lock.basis_px_yx, origin, float(np.sqrt(np.square(bend_px).mean())))
