"""The reference cell in the pipeline."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.point_findings import NAME, cell_findings
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, LatticeSight, Scene, Sight, contrast_of
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.follow import FrameLattice
from latticewatch.detectors.reference_cell.flaws import Flaws
from latticewatch.detectors.reference_cell.residue import Strangers
from latticewatch.detectors.reference_cell.score import CellResult, ReferenceCellDetector

# It has no artifact: the frame is its own reference.
_NAMED = (NAME, "none", "0" * 64)


# Columns of the cell of one domain are fewer. A further domain's are counted from the next hundred
# on, so that the address of a site stays three numbers, and the same ones mean the same site.
_SUBLATTICES_OF_A_DOMAIN = 100


class CellLooker:
    """Asks what the frame's own mean cell does not explain, in each domain by itself."""

    name = NAME
    needs_lattice = True

    def __init__(self, clock: Clock, *, dopants_are_defects: bool = False) -> None:
        self._dopants_are_defects = dopants_are_defects
        self._detector = ReferenceCellDetector()
        self._clock = clock
        self._strangers: dict[int, Strangers] = {}
        self._contrast = 1

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Judge every column of a frame, and list what is within the budget."""
        watch = Stopwatch(self._clock)
        results = self._results(scene)
        if not results:
            watch.lap(NAME)
            return Sight(*_NAMED, faults=("not_periodic",), stage_us=watch.us)
        findings, q_value = cell_findings(
            results, budget, dopants_are_defects=self._dopants_are_defects
        )
        watch.lap(NAME)
        return Sight(
            *_NAMED,
            n_sites=_n_sites(results, scene),
            n_scored=sum(result.n_sites for result in results),
            findings=tuple(findings),
            q_value=q_value,
            lattice=_lattice_of(results[0], scene),
            stage_us=watch.us,
            n_domains=len(scene.lattices),
        )

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Nothing is left to run: every frame goes all the way."""

    def _results(self, scene: Scene) -> list[CellResult]:
        """Look at each domain that holds columns enough."""
        known, self._strangers = self._strangers, {}
        if scene.lattice is None:
            return []
        if not scene.lattice.followed:
            known = {}
            self._contrast = contrast_of(scene)
        said = scene.contrast_told
        contrast = self._contrast if said is None else said
        results = []
        for one in scene.lattices:
            result = self._look_at(scene, one, known.get(one.domain), contrast)
            if result is not None:
                self._strangers[one.domain] = result.strangers
                results.append(result)
        return results

    def _look_at(
        self, scene: Scene, one: FrameLattice, known: Strangers | None, contrast: int
    ) -> CellResult | None:
        if not scene.others:
            flaws = Flaws(contrast, scene.bad_yx)
            whole = self._detector.look(scene.image, one.lock, known, flaws)
            return None if whole is None else _in_frame(whole, np.zeros(2, np.int64), one.domain)
        # Only the part of the frame with the domain: time goes with the pixels looked at.
        shape = (scene.image.shape[0], scene.image.shape[1])
        part = one.lock.part_held(shape)
        corner = np.array([side.start for side in part])
        bad_yx = scene.bad_yx - corner
        inside = ((bad_yx >= 0) & (bad_yx < [side.stop - side.start for side in part])).all(axis=1)
        result = self._detector.look(
            np.ascontiguousarray(scene.image[part]),
            one.lock.cut_out(part),
            known,
            Flaws(contrast, bad_yx[inside]),
        )
        return None if result is None else _in_frame(result, corner, one.domain)


def _in_frame(result: CellResult, corner: NDArray[np.int64], domain: int) -> CellResult:
    """From a part of the frame to the frame; sublattices as those of this domain."""
    if not domain and not corner.any():
        return result
    first = domain * _SUBLATTICES_OF_A_DOMAIN
    defects = [
        replace(
            defect,
            place_yx=(defect.place_yx[0] + int(corner[0]), defect.place_yx[1] + int(corner[1])),
            sublattice=None if defect.sublattice is None else defect.sublattice + first,
        )
        for defect in result.defects
    ]
    return replace(result, places_yx=result.places_yx + corner, defects=tuple(defects))


def _n_sites(results: list[CellResult], scene: Scene) -> int:
    """Count the columns looked at, and as many as the first lattice has in what is left."""
    n_scored = sum(result.n_sites for result in results)
    if len(scene.lattices) == 1:
        return n_scored + results[0].n_beyond
    # Columns per pixel; all of those that a lattice has in its part of the frame.
    dense = [
        (result.n_sites + result.n_beyond) / (result.lock.holds.size * result.lock.step_px**2)
        for result in results
    ]
    seen_px2 = sum(result.n_sites / density for result, density in zip(results, dense, strict=True))
    return n_scored + max(0, round((scene.image.size - seen_px2) * dense[0]))


def _lattice_of(result: CellResult, scene: Scene) -> LatticeSight:
    """Vectors of the lattice, the column nearest to the middle, and the rms distortion."""
    lock = result.lock
    middle = (np.array(scene.image.shape) - 1) / 2
    origin = result.places_yx[np.argmin(np.square(result.places_yx - middle).sum(axis=1))]
    along = lock.phase.reshape(2, -1).astype(np.float64)
    bend_px = (along - along.mean(axis=1, keepdims=True)).T @ lock.basis_px_yx
    return LatticeSight(lock.basis_px_yx, origin, float(np.sqrt(np.square(bend_px).mean())))
