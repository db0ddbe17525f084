"""What every detector takes and gives: arrays in, scores with places out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.sites import View


class ModelError(Exception):
    """A model file cannot be used; the message says what was refused and what was expected."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How strange each site of a view is. All arrays follow the order of the view's sites.

    Attributes
    ----------
    scored : (N,) bool
        False: unscored, which is not normal. Unscored sites hold NaN below.
    p_value : (N,)
        (0, 1]: chance that a defect-free site of the reference scores as high.
    tail : (N,) bool
        The p-value lies beyond what the reference can count, and comes from a fitted tail.
    parts
        For each statistic inside the detector: name, robust z (N,), p-value (N,).
    stale : bool
        The frame as a whole does not look like the reference: no site can be judged.
    """

    scored: NDArray[np.bool_]
    p_value: NDArray[np.float64]
    tail: NDArray[np.bool_]
    parts: tuple[tuple[str, NDArray[np.float64], NDArray[np.float64]], ...]
    stale: bool


@dataclass(frozen=True, slots=True)
class MotifName:
    """Which motif class a finding belongs to.

    Attributes
    ----------
    class_id
        1 or more, stable; 0: far from all classes; from 1000000 on: proposed by the stream.
    p
        0..1: probability of the class; of id 0 the chance that a member of the nearest one lies so
        far out.
    distance
        Mahalanobis, to the class, or to the nearest one.
    role
        pristine, defect, neighbour, proposed; new for id 0.
    """

    class_id: int
    p: float
    distance: float
    role: str

    @property
    def is_new(self) -> bool:
        """Far from all classes."""
        return self.class_id == 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One place past the threshold, before it becomes a defect of an event.

    Attributes
    ----------
    pixel_yx
        Where the crystal is disturbed, pixels.
    cov_px
        Its covariance (var_yy, cov_yx, var_xx) in square pixels.
    kind
        Word of the protocol.
    intensity_ratio
        Observed over expected column intensity, None where no column is expected.
    extent_px
        Radius of what is disturbed.
    p_value
        Chance that a place without a defect looks as strange.
    parts
        Name, robust z and p-value of each statistic that looked.
    tail
        The p-value comes from the tail of a fitted law, beyond what can be counted.
    address
        Lattice address and sublattice, None where the detector knows none.
    displacement_px_yx
        Of the column from its site, None where the detector does not measure it.
    flags
        Words of the protocol.
    outline_px_yx
        Points of a boundary, or round a patch, the first not repeated; None for a point defect.
    label
        Name of its motif class, "new" where it is far from all; None where nobody named it.
    motif
        The class itself.
    """

    pixel_yx: tuple[float, float]
    cov_px: tuple[float, float, float]
    kind: str
    intensity_ratio: float | None
    extent_px: float
    p_value: float
    parts: tuple[tuple[str, float, float], ...]
    tail: bool
    address: tuple[int, int, int] | None = None
    displacement_px_yx: tuple[float, float] | None = None
    flags: tuple[str, ...] = ()
    outline_px_yx: tuple[tuple[float, float], ...] | None = None
    label: str | None = None
    motif: MotifName | None = None


class Detector(Protocol):
    """A fitted method: immutable model, reusable buffers, one view at a time."""

    def score(self, view: View) -> Scores:
        """Score every site of a view."""
        ...
