"""The linear part of a phase field: turn and growth of a lattice, and how sure its mean is."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.demodulation import LOW_PASS_PERIODS
from latticewatch.detectors.lock import LatticeLock

_PLANE_FREEDOM = 3.0  # degrees of freedom of a plane: independent patches that it uses up


def _block_centres(lock: LatticeLock) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of the rows (h, 1) and of the columns (1, w) of blocks, pixels from the middle."""
    y, x = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in lock.holds.shape)
    step_px = np.float32(lock.step_px)
    return y[:, None] * step_px, x[None] * step_px


@dataclass(frozen=True, slots=True)
class Plane:
    """Least-squares plane through two fields where they count.

    Attributes
    ----------
    mean : (2,)
        Of the fields.
    slopes : (2, 2)
        Of each field along y and x, per pixel.
    left : (2, h, w)
        The fields less the plane, zero where they do not count.
    """

    mean: NDArray[np.float64]
    slopes: NDArray[np.float64]
    left: NDArray[np.float32]


def plane_through(fields: NDArray[np.float32], lock: LatticeLock, used: NDArray[np.bool_]) -> Plane:
    """Fit planes to fields (2, h, w) at the blocks that are used (h, w)."""
    y, x = _block_centres(lock)
    weight = used.astype(np.float32)
    terms = np.stack([weight, weight * y, weight * x]).reshape(3, -1)
    ones = np.stack([np.ones_like(weight), y + 0 * weight, x + 0 * weight]).reshape(3, -1)
    flat = fields.reshape(2, -1)
    # Sums in doubles would cost three times as much; what matters of them is a thousandth. Blocks
    # in one row say nothing of the slope across it: the smallest one is taken.
    plane = np.linalg.lstsq(
        (terms @ ones.T).astype(np.float64), (terms @ flat.T).astype(np.float64), rcond=1e-9
    )[0]
    left = ((flat - plane.T.astype(np.float32) @ ones) * weight.ravel()).reshape(fields.shape)
    mean = (flat @ weight.ravel()) / weight.sum()
    return Plane(mean.astype(np.float64), plane[1:].T, left)


def straightened(lock: LatticeLock, slopes: NDArray[np.float64]) -> LatticeLock:
    """Put the linear part of the phase into the reciprocal vectors; cell coordinates stay."""
    first = (lock.step_px - 1) / 2
    y, x = (first + lock.step_px * np.arange(n) for n in lock.holds.shape)
    linear = slopes[:, 0, None, None] * y[:, None] + slopes[:, 1, None, None] * x
    reciprocal = lock.reciprocal_per_px + slopes
    return replace(
        lock,
        reciprocal_per_px=reciprocal,
        basis_px_yx=np.linalg.inv(reciprocal).T.astype(np.float64),
        phase=(lock.phase - linear).astype(np.float32),
    )


def covariance_of_mean(
    left: NDArray[np.float32], both: NDArray[np.bool_], lock: LatticeLock
) -> NDArray[np.float64]:
    """Covariance (2, 2) of the mean way, from the scatter of the phase over the frame.

    The low-pass leaves independent patches of 4 pi sigma^2 pixels. Rows of a scan are displaced
    as a whole: means of rows scatter by more than patches say, and the larger of both is taken.
    """
    patch_px = 2 * np.sqrt(np.pi) * LOW_PASS_PERIODS * lock.period_px
    n_blocks = float(both.sum())
    of_patches = _of_mean(left.reshape(2, -1), n_blocks, n_blocks * lock.step_px**2 / patch_px**2)
    counts = both.sum(axis=1)
    means = left.sum(axis=2)[:, counts > 0] / counts[counts > 0]
    n_rows = float(means.shape[1])
    of_rows = _of_mean(means, n_rows, n_rows * lock.step_px / patch_px)
    larger = max(of_patches, of_rows, key=lambda cov: float(np.trace(cov)))
    return lock.basis_px_yx.T @ larger @ lock.basis_px_yx


def _of_mean(left: NDArray[np.floating], n_values: float, n_patches: float) -> NDArray[np.float64]:
    """Covariance of a mean of deviations; a plane took three degrees of freedom."""
    scatter = (left @ left.T).astype(np.float64) / n_values
    return scatter / max(n_patches - _PLANE_FREEDOM, 1.0)
