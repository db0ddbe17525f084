"""What latticewatch.kernels.machine computes, spelled out in double precision."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def project(features: Vectors, mean: Vectors, components: Vectors) -> NDArray[np.float64]:
    """W (v - mu) for each row v."""
    deviation = features.astype(np.float64) - mean
    projected: NDArray[np.float64] = deviation @ components.astype(np.float64).T
    return projected


def decision(
    z: Vectors, support: Vectors, dual: Vectors, gamma: float, offset: float
) -> NDArray[np.float64]:
    """Sum over i of dual_i exp(-gamma |z - s_i|^2), minus the offset."""
    gaps = z.astype(np.float64)[:, None] - support.astype(np.float64)[None]
    value: NDArray[np.float64] = np.exp(-gamma * (gaps**2).sum(-1)) @ dual.astype(np.float64)
    return value - offset


def robust_distance(z: Vectors, median: Vectors, mad: Vectors) -> NDArray[np.float64]:
    """Sum over j of ((z_j - median_j) / (1.4826 MAD_j))^2 where the MAD is not 0."""
    varied = mad > 0
    deviation = (z[:, varied].astype(np.float64) - median[varied]) / (1.4826 * mad[varied])
    total: NDArray[np.float64] = (deviation**2).sum(-1)
    return total


def residual_norm(features: Vectors, mean: Vectors, components: Vectors) -> NDArray[np.float64]:
    """Length of each row less its projection on orthonormal components."""
    gap = features.astype(np.float64) - mean
    basis = components.astype(np.float64)
    return np.asarray(np.linalg.norm(gap - gap @ basis.T @ basis, axis=1))
