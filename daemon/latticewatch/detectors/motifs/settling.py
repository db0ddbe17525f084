"""Which class explains each site best, and which outliers agree so well that they are one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from latticewatch.detectors.motifs.merging import Mixture, merge_close, mixture_of, split_wide
from latticewatch.detectors.motifs.outliers import agreeing_groups, is_lone, occurrences

Values = NDArray[np.float64]
Labels = NDArray[np.intp]

# Chance that one pristine site of the whole sample lies further out: beyond, a site is strange.
FAR_BELOW = 1e-2
_ROUNDS = 10
_REJECT_BELOW = 1e-3  # motifs.md 3.1: beyond this quantile of chi-square a site is of no class
# A group of outliers is a class if so many of them are strange; of fewer than `min_cluster_size`
# all must be so, and so many merge distances from every class.
_MOST_FAR, _CLEARLY = 0.5, 2.0
_MOST_COMPARED = 2000  # outliers, each with each other: two million pairs


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where sites are: so that those round one defect are no class.

    Attributes
    ----------
    places_yx : (N, 2)
        Pixels.
    frame : (N,)
        Number of the frame.
    nearest_px
        Distance of nearest columns of the crystal, whatever species they are of.
    """

    places_yx: Values
    frame: Labels
    nearest_px: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What is enough for a class of outliers, and at which distance two classes are one."""

    min_cluster_size: int
    merge_distance: float


def settled(x: Values, labels: Labels, where: Whereabouts, limits: Limits) -> Labels:
    """Let every site belong to the class that explains it best, and find classes of outliers.

    Expectation and maximisation with hard assignment; covariances are drawn to the noise, shares
    are the priors. Ends when nothing changes.

    Parameters
    ----------
    x : (N, C)
        Features of sites of one species, in units of the noise.
    labels : (N,)
        Classes to begin with, -1 for none.
    where
        Places of the same sites.
    limits
        What is enough for a class, and what is too near.

    Returns
    -------
    (N,)
        Class of each site, -1 for none.
    """
    for _ in range(_ROUNDS):
        mixture = mixture_of(x, labels)
        new = _assigned(x, mixture, _REJECT_BELOW)
        if new.max(initial=-1) < 0:
            return np.zeros(len(x), np.intp)
        new = _with_outliers(x, new, mixture, (where, limits))
        # The largest class is no defect, however few sites there are.
        for one in np.argsort(-np.bincount(new[new >= 0]))[1:]:
            if is_lone(new == one, where.places_yx, where.frame, where.nearest_px):
                new[new == one] = -1
        new = merge_close(x, split_wide(x, new, limits.merge_distance), limits.merge_distance)
        if np.array_equal(new, labels):
            break
        labels = new
    # What one pristine site in a thousand does is left out of the means, but is no riddle.
    mixture = mixture_of(x, labels)
    near = _assigned(x, mixture, FAR_BELOW / len(x))
    return np.where(labels < 0, near, labels)


def _assigned(x: Values, mixture: Mixture, reject_below: float) -> Labels:
    """Most probable class of each site; -1 where chance puts no member so far from all."""
    best: Labels = mixture.log_density(x).argmax(axis=1)
    nearest2 = mixture.distance2(x).min(axis=1)
    best[nearest2 > stats.chi2.isf(reject_below, x.shape[1])] = -1
    return best


def _with_outliers(
    x: Values, labels: Labels, mixture: Mixture, rest: tuple[Whereabouts, Limits]
) -> Labels:
    """Add groups of outliers that agree within noise as classes of their own."""
    where, limits = rest
    out = np.flatnonzero(labels < 0)
    if len(out) < 2:
        return labels
    labels = labels.copy()
    far_by2 = mixture.distance2(x[out]).min(axis=1)
    furthest = np.sort(np.argsort(-far_by2)[:_MOST_COMPARED])
    out, far_by2 = out[furthest], far_by2[furthest]
    around = occurrences(where.places_yx[out], where.frame[out], where.nearest_px)
    groups = agreeing_groups(x[out], np.sqrt(far_by2), around)
    unlikely2 = stats.chi2.isf(FAR_BELOW / len(x), x.shape[1])
    # Jitter has longer tails than counts: a few sites are a kind only if clearly another one.
    clearly2 = max(unlikely2, (_CLEARLY * limits.merge_distance) ** 2)
    n_classes = len(mixture.means)
    for one in range(int(groups.max(initial=-1)) + 1):
        members = out[groups == one]
        enough = len(members) >= limits.min_cluster_size
        least2 = unlikely2 if enough else clearly2
        if (far_by2[groups == one] > least2).mean() >= (_MOST_FAR if enough else 1.0):
            labels[members] = n_classes
            n_classes += 1
    return labels
