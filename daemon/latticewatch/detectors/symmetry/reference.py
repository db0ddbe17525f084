"""Mean and spread of the second moments of a clean crystal, and distances from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.cells import CellMaker
from latticewatch.detectors.symmetry.parameters import BLOCK_PX


@dataclass(frozen=True, slots=True)
class Reference:
    """What moments (D,) of clean cells look like, each frame on its own gain.

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

    def distances(self, moments: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mahalanobis distances (...) of moments (..., D)."""
        away = (moments - self.mean) @ self.whitening.T
        distances: NDArray[np.float64] = np.sqrt(np.square(away).sum(axis=-1))
        return distances


def reference_of(moments: NDArray[np.floating], ridge: float) -> Reference:
    """Mean, covariance and whitening matrix of moments (N, D)."""
    plain = moments.astype(np.float64)
    covariance = np.cov(plain, rowvar=False)
    diagonal = np.diag(covariance)
    # A filter without any response in a flat patch has no spread at all.
    floor = np.finfo(np.float64).eps * float(diagonal.max() or 1.0)
    ridged = covariance + np.diag(ridge * diagonal + floor)
    whitening = np.linalg.inv(np.linalg.cholesky(ridged))
    return Reference(plain.mean(axis=0), covariance, whitening)


def moments_of_patch(
    image: NDArray[np.float32], corner: tuple[int, int], side: int, maker: CellMaker
) -> NDArray[np.float32]:
    """Moments (N, D) of a patch of a frame, at 16 positions of the grid.

    Cells whose windows reach over the edge of the patch are left out (methods/symmetry.md 5.1).

    Parameters
    ----------
    image : (H, W)
        Raw.
    corner, side
        Of the patch, in binned pixels.
    """
    binning = maker.rule.binning
    found = []
    for dy in (0, 2, 4, 6):
        for dx in (0, 2, 4, 6):
            # The grid begins at the first pixel: a frame that begins elsewhere moves it.
            moved = np.ascontiguousarray(image[dy * binning :, dx * binning :])
            cells = maker.run(moved)
            first = [-(-(place - step) // BLOCK_PX) + 1 for place, step in zip(corner, (dy, dx))]
            last = [(place - step + side) // BLOCK_PX - 2 for place, step in zip(corner, (dy, dx))]
            part = cells.moments[first[0] : last[0], first[1] : last[1]]
            found.append(part.reshape(-1, part.shape[-1]).copy())
    return np.concatenate(found)
