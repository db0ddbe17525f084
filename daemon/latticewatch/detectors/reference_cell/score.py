"""Point defects of a frame against its own mean cell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.reference_cell.defects import PointDefect, as_defect
from latticewatch.detectors.reference_cell.explain import explain, shares_of, without_strain
from latticewatch.detectors.reference_cell.extra import ExtraColumns, ground_of, with_extra
from latticewatch.detectors.reference_cell.flaws import NO_FLAWS, Flaws
from latticewatch.detectors.reference_cell.maker import ResidueMaker
from latticewatch.detectors.reference_cell.merging import merged
from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.detectors.reference_cell.residue import Strangers
from latticewatch.detectors.reference_cell.smears import without_smears
from latticewatch.detectors.reference_cell.species import dopants_among

_FEWEST_SITES = 30


@dataclass(frozen=True, slots=True)
class CellResult:
    """What the detector says of a frame.

    Attributes
    ----------
    lock
        Where the cells are.
    places_yx : (N, 2)
        Columns of the crystal that were looked at, all sublattices; pixels.
    n_beyond
        Places of the lattice in the frame where it does not hold, or at bad pixels: nobody looked.
    strangers
        What to leave out of the mean cell of the next frame of this crystal.
    defects
        Strangest first; not yet cut at a threshold.
    """

    lock: LatticeLock
    places_yx: NDArray[np.float64]
    n_beyond: int
    strangers: Strangers
    defects: tuple[PointDefect, ...]

    @property
    def n_sites(self) -> int:
        """How many columns were looked at."""
        return len(self.places_yx)


class ReferenceCellDetector:
    """Compares every column with the mean of its kind; needs no reference frame and no labels."""

    def __init__(self, parameters: ReferenceCellParameters | None = None) -> None:
        self._parameters = parameters or ReferenceCellParameters()
        self._maker = ResidueMaker(self._parameters)
        self._extra = ExtraColumns()

    def look(
        self,
        image: NDArray[np.float32],
        lock: LatticeLock,
        known: Strangers | None = None,
        flaws: Flaws = NO_FLAWS,
    ) -> CellResult | None:
        """Find what the mean cell does not explain.

        Parameters
        ----------
        image : (H, W)
            Finite, native.
        lock
            Of this frame.
        known
            Of the last frame, if its lattice was followed to this one.
        flaws
            What must not be taken for the crystal.

        Returns
        -------
        CellResult or None
            None where the frame holds too few columns to know a normal one.
        """
        residue = self._maker.explain(image, lock, known, flaws)
        if residue is None or len(residue.label) < _FEWEST_SITES:
            return None
        shares = shares_of(residue, self._parameters)
        ground = ground_of(residue)
        extra = self._extra.find(residue, ground, shares.log_extra)
        # A smear would pass for the cause of the strain round it.
        changes = without_smears(explain(residue, shares), residue, ground)
        changes = without_strain(changes, residue.nearest_px)
        is_dopant = dopants_among(changes, residue)
        dopants = [change for change, it_is in zip(changes, is_dopant, strict=True) if it_is]
        others = [change for change, it_is in zip(changes, is_dopant, strict=True) if not it_is]
        defects = [as_defect(change, residue) for change in merged(others, residue)]
        defects += [as_defect(change, residue, is_dopant=True) for change in dopants]
        defects = with_extra(defects, extra, residue)
        places = residue.stride * residue.places_yx + 0.5 * (residue.stride - 1)
        return CellResult(lock, places, residue.sites.n_beyond, residue.strangers, tuple(defects))
