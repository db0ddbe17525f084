"""Mean and spread of the second moments of a clean crystal, and distances from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA

_KEPT_SIGMAS = 1.5
_ROUNDS = 3
_TINY = 1e-9
# Cells per moment: fewer have no covariance to speak of.
_LEAST_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Reference:
    """What moments (D,) of clean cells look like.

    Attributes
    ----------
    mean : (D,)
        mu.
    covariance : (D, D)
        C.
    whitening : (D, D)
        W with W^T W = (C + ridge diag C)^-1; lower triangular.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    whitening: NDArray[np.float64]

    def distances(self, moments: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mahalanobis distances (N,) of moments (N, D): for the fit."""
        away = (moments - self.mean) @ self.whitening.T
        distances: NDArray[np.float64] = np.sqrt(np.square(away).sum(axis=1))
        return distances


def reference_of(moments: NDArray[np.floating], ridge: float) -> Reference:
    """Mean, covariance and whitening matrix of moments (N, D).

    The ridge is relative to the diagonal: filters differ in strength by orders of magnitude
    (methods/symmetry.md 3.1).
    """
    plain = moments.astype(np.float64)
    covariance = np.cov(plain, rowvar=False)
    diagonal = np.diag(covariance)
    # A filter without any response in a flat patch has no spread at all.
    floor = 1e-12 * float(diagonal.max() or 1.0)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance + np.diag(ridge * diagonal + floor)))
    return Reference(plain.mean(axis=0), covariance, whitening)


def trimmed_reference(moments: NDArray[np.floating], start: Reference, ridge: float) -> Reference:
    """Mean and spread of the moments (N, D) of clean tiles, without what stands out in them.

    One patch does not know the slow variations of the field, and all clean tiles hold some cells
    that are not clean. Cells are kept whose logarithm of the distance is less than 1.5 standard
    deviations beyond the median, three times over. On drawn boundaries at 3 counts a pixel the area
    under the curve rose from 0.92-0.97 to 0.95-0.99 by it, and at three deviations by two thirds of
    that; the covariance comes out too small, which calibration makes good.
    """
    reference = start
    for _ in range(_ROUNDS):
        distance = np.log(np.maximum(reference.distances(moments), _TINY))
        middle = float(np.median(distance))
        spread = MAD_TO_SIGMA * float(np.median(np.abs(distance - middle)))
        kept = distance <= middle + _KEPT_SIGMAS * spread
        if np.count_nonzero(kept) < _LEAST_SAMPLES * moments.shape[1]:
            return reference
        reference = reference_of(moments[kept], ridge)
    return reference
