"""Ids of classes that survive a refit: old and new classes are paired by their mean features."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

# Standard deviations of a single site. Means move less between two fits of one material, and two
# kinds that are told apart lie further from each other.
_SAME_WITHIN = 4.0
# Classes of one kind on one sublattice may be farther apart, as at another dose, up to this part of
# the way to whatever is nearest to either of them.
_OF_THE_WAY = 0.4


def match_classes(
    old_means: NDArray[np.float64],
    old_ids: Sequence[int],
    new_means: NDArray[np.float64],
    covariance: NDArray[np.float64],
    next_id: int | None = None,
    akin: NDArray[np.bool_] | None = None,
) -> list[int]:
    """Give every new class the id of the old class that it is, or a new one.

    Parameters
    ----------
    old_means : (K, C)
        In the same components as the new ones.
    old_ids
        Of the old classes, K.
    new_means : (L, C)
    covariance : (C, C)
        Noise of a single site.
    next_id
        First id that was never used; one above the old ones if not told.
    akin : (K, L), optional
        Whether an old and a new class are of one kind, on one sublattice.

    Returns
    -------
    list of int
        L ids. The pairing with the least sum of distances is taken (Kuhn 1955); a pair further
        apart than four standard deviations is none.
    """
    unused = max(old_ids, default=0) + 1 if next_id is None else next_id
    ids = [0] * len(new_means)
    if len(old_means) and len(new_means):
        off = old_means[:, None] - new_means[None]
        distance = np.sqrt(
            np.einsum("klc,klc->kl", off, np.linalg.solve(covariance, off[..., None])[..., 0])
        )
        within = np.full(distance.shape, _SAME_WITHIN)
        if akin is not None:
            way = _OF_THE_WAY * np.minimum(
                _to_nearest(old_means, covariance)[:, None],
                _to_nearest(new_means, covariance)[None],
            )
            within = np.where(akin, np.maximum(within, way), within)
        # A pair that is too far apart costs as much as any other such pair.
        cost = np.minimum(distance / within, 1.0)
        for one, other in zip(*linear_sum_assignment(cost), strict=True):
            if distance[one, other] < within[one, other]:
                ids[other] = int(old_ids[one])
    for index, found in enumerate(ids):
        if not found:
            ids[index] = unused
            unused += 1
    return ids


def _to_nearest(means: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each class (K,) to the nearest other one; no limit for a single one."""
    off = means[:, None] - means[None]
    square = np.einsum("klc,klc->kl", off, np.linalg.solve(covariance, off[..., None])[..., 0])
    np.fill_diagonal(square, np.inf)
    nearest: NDArray[np.float64] = np.sqrt(square.min(axis=1))
    return np.where(np.isfinite(nearest), nearest, 0.0)
