"""Point defects as the detector tells them, in pixels of the frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_cell.explain import Change, score_of_log_p
from latticewatch.detectors.reference_cell.residue import Residue


@dataclass(frozen=True, slots=True)
class PointDefect:
    """One defect.

    Attributes
    ----------
    place_yx
        Pixels.
    kind
        "deficit", "excess", "displaced" or "extra".
    log_p
        Logarithm of the chance that a place without a defect looks as strange.
    intensity_ratio
        Found over expected intensity; None where no column is expected.
    moved_px_yx
        How far a column was found from its site; None where none is expected.
    cov_px
        (var_yy, cov_yx, var_xx) of the place.
    sublattice
        Row of the columns of the cell, or None.
    address
        Lattice address (i, j), or None.
    is_dopant
        A column of a second species, of which there are many.
    """

    place_yx: tuple[float, float]
    kind: str
    log_p: float
    intensity_ratio: float | None
    moved_px_yx: tuple[float, float] | None
    cov_px: tuple[float, float, float]
    sublattice: int | None
    address: tuple[int, int] | None
    is_dopant: bool = False

    @property
    def score(self) -> float:
        """Standard normal quantile of 1 - p."""
        return score_of_log_p(self.log_p)


def as_defect(change: Change, residue: Residue, *, is_dopant: bool = False) -> PointDefect:
    """Say of a change what it is in the frame, which may be binned in the residue."""
    stride = residue.stride
    y, x = change.moved_px_yx.tolist()
    i, j = residue.sites.addresses[change.site].tolist()
    return PointDefect(
        place_yx=in_frame_yx(change.place_yx, stride),
        kind=change.kind,
        log_p=change.log_p,
        intensity_ratio=change.intensity_ratio,
        moved_px_yx=(stride * y, stride * x),
        cov_px=in_frame_cov(change.cov_px, stride),
        sublattice=int(residue.label[change.site]),
        address=(i, j),
        is_dopant=is_dopant,
    )


def in_frame_yx(place_yx: NDArray[np.number], stride: int) -> tuple[float, float]:
    """From pixels of a binned frame to those of the frame."""
    y, x = place_yx.tolist()
    return stride * y + 0.5 * (stride - 1), stride * x + 0.5 * (stride - 1)


def in_frame_cov(cov_px: tuple[float, float, float], stride: int) -> tuple[float, float, float]:
    """From square pixels of a binned frame to those of the frame."""
    square = stride * stride
    return square * cov_px[0], square * cov_px[1], square * cov_px[2]
