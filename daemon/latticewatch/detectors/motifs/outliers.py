"""Sites far from every class: those that agree among each other, and those that stand alone."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree

Values = NDArray[np.float64]
Labels = NDArray[np.intp]

# Chance of two sites of one kind to lie further apart.
_DISAGREE_BELOW = 0.01
# Bright columns have more counts to vary, and jitter of the scan moves what is high by more: so
# much of its distance from pristine sites a site may scatter, over the noise of these.
_SCATTER = 0.07
# Sites so near to each other, in distances of nearest columns, may stand round one defect.
_ONE_DEFECT = 2.2
# More sites of one connected group than this are a domain and not the surroundings of one defect.
_MOST_AROUND_ONE = 14


def agreeing_groups(x: Values, far_by: Values, occurrence_of: Labels, least: int = 2) -> Labels:
    """Group sites that agree with each other within noise.

    Parameters
    ----------
    x : (M, C)
        Features in units of the noise.
    far_by : (M,)
        Distance of each from the nearest class.
    occurrence_of : (M,)
        From `occurrences`: sites round one and the same defect.
    least
        Fewer occurrences than this are no group: a lone defect never is, nor are its neighbours.

    Returns
    -------
    (M,)
        Group 0.., -1 for sites that stand alone. No two members of a group lie further apart
        than noise puts two sites of one kind in 99 of 100 cases (complete linkage).
    """
    labels = np.full(len(x), -1, np.intp)
    if len(x) < 2:
        return labels
    variance = 1.0 + np.square(_SCATTER * far_by)
    # The difference of two sites has the variance of both.
    one, other = np.triu_indices(len(x), 1)
    apart = np.linalg.norm(x[one] - x[other], axis=1) / np.sqrt(variance[one] + variance[other])
    limit = float(np.sqrt(stats.chi2.isf(_DISAGREE_BELOW, x.shape[1])))
    found = fcluster(linkage(apart, "complete"), limit, "distance")
    n_groups = 0
    for one in np.unique(found):
        members = found == one
        if len(np.unique(occurrence_of[members])) >= least:
            labels[members] = n_groups
            n_groups += 1
    return labels


def occurrences(places_yx: Values, frame: Labels, nearest_px: float) -> Labels:
    """Tell which sites may stand round one and the same defect.

    Parameters
    ----------
    places_yx : (M, 2)
        Pixels.
    frame : (M,)
        Frame of each site.
    nearest_px
        Distance of nearest columns.

    Returns
    -------
    (M,)
        Number of the connected group of each site, 0..
    """
    apart = np.column_stack([places_yx / (_ONE_DEFECT * nearest_px), 2.0 * frame])
    parent = np.arange(len(apart))
    for one, other in cKDTree(apart).query_pairs(1.0):
        a, b = _root(parent, one), _root(parent, other)
        parent[max(a, b)] = min(a, b)
    roots = np.array([_root(parent, one) for one in range(len(apart))], np.intp)
    return np.unique(roots, return_inverse=True)[1].astype(np.intp)


def is_lone(members: NDArray[np.bool_], places_yx: Values, frame: Labels, px: float) -> bool:
    """Whether all members of a cluster stand round one defect, `px` from column to column."""
    if not members.any() or members.sum() > _MOST_AROUND_ONE:
        return not members.any()
    return int(occurrences(places_yx[members], frame[members], px).max()) == 0


def nearest_column_px(places_yx: Values, frame: Labels) -> float:
    """Distance of nearest columns: the median over all sites."""
    distances = []
    for one in np.unique(frame):
        places = places_yx[frame == one]
        if len(places) > 1:
            distances.append(cKDTree(places).query(places, 2)[0][:, 1])
    return float(np.median(np.concatenate(distances))) if distances else np.inf


def _root(parent: NDArray[np.int64], one: int) -> int:
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = int(parent[one])
    return one
