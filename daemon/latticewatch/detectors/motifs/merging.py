"""Clusters that are one kind: joined where their features do not differ by more than noise.

All features here are in units of the noise, see `noise.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Labels = NDArray[np.intp]

# Sites of noise that a class's own covariance starts with: five sites do not know how they spread.
_SITES_OF_NOISE = 20.0
_FEWEST_OF_A_PART = 2
_FEW_OF_NOISE = 4.0  # the same along a single axis
# No class is narrower than this share of the noise: an absent column has few counts to vary.
_NARROWEST = 0.3


@dataclass(frozen=True, slots=True)
class Mixture:
    """Gaussian classes.

    Attributes
    ----------
    means : (K, C)
    covariances : (K, C, C)
    counts : (K,)
        Members.
    """

    means: Values
    covariances: Values
    counts: Values

    def distance2(self, x: Values) -> Values:
        """Mahalanobis distances squared (N, K)."""
        out = np.empty((len(x), len(self.means)))
        for one, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            off = x - mean
            out[:, one] = np.einsum("nc,nc->n", off, np.linalg.solve(covariance, off.T).T)
        return out

    def log_density(self, x: Values) -> Values:
        """Log of share times density (N, K), up to a constant."""
        spread = np.linalg.slogdet(self.covariances)[1]
        share = np.log(self.counts / self.counts.sum())
        out: Values = share - 0.5 * spread - 0.5 * self.distance2(x)
        return out


def mixture_of(x: Values, labels: Labels) -> Mixture:
    """Means and covariances of labelled points; label -1 belongs nowhere, no class is empty."""
    n_classes, n_features = int(labels.max(initial=-1)) + 1, x.shape[1]
    means, covariances = np.empty((n_classes, n_features)), np.empty((n_classes, *[n_features] * 2))
    counts = np.bincount(labels[labels >= 0], minlength=n_classes).astype(np.float64)
    for one in range(n_classes):
        members = x[labels == one]
        means[one] = members.mean(axis=0)
        off = members - means[one]
        covariances[one] = drawn_to_noise(off.T @ off, max(len(members) - 1, 0))
    return Mixture(means, covariances, counts)


def drawn_to_noise(squares: Values, n: float) -> Values:
    """Covariance of a sum of squares (C, C) of n sites and of some more that are noise."""
    n_features = len(squares)
    mixed = (squares + _SITES_OF_NOISE * np.eye(n_features)) / (n + _SITES_OF_NOISE)
    power, axes = np.linalg.eigh(mixed)
    out: Values = (axes * np.maximum(power, _NARROWEST)) @ axes.T
    return out


def merge_close(x: Values, labels: Labels, distance: float) -> Labels:
    """Join the two nearest clusters, as long as they are one kind.

    Nearness is that of Mahalanobis by the pooled covariance of both (motifs.md, 3.3), drawn to
    the noise. Below a distance two clusters are one; up to twice that far they are one if a
    single Gaussian describes them better: pieces of a class that was torn lie side by side
    without a gap.

    Parameters
    ----------
    x : (N, C)
        In units of the noise.
    labels : (N,)
        Cluster, -1 for none.
    distance
        Standard deviations.

    Returns
    -------
    (N,)
        Labels 0.. without gaps, largest class first.
    """
    labels = _in_order(labels)
    members = [np.flatnonzero(labels == one) for one in range(int(labels.max(initial=-1)) + 1)]
    apart = np.full((len(members), len(members)), np.inf)

    def measure(one: int, other: int) -> None:
        gap, axis = _separation(x[members[one]], x[members[other]])
        far = gap >= distance
        if far and (gap >= 2.0 * distance or not _is_one(x[members[one]], x[members[other]], axis)):
            gap = np.inf
        apart[one, other] = apart[other, one] = gap

    live = list(range(len(members)))
    for one in live:
        for other in live[:one]:
            measure(one, other)
    while len(live) > 1:
        one, other = (int(end) for end in np.unravel_index(np.argmin(apart), apart.shape))
        if not np.isfinite(apart[one, other]):
            break
        members[one] = np.concatenate([members[one], members[other]])
        labels[members[one]] = one
        live.remove(other)
        apart[other], apart[:, other] = np.inf, np.inf
        for third in live:
            if third != one:
                measure(one, third)
    return _in_order(labels)


def split_wide(x: Values, labels: Labels, distance: float) -> Labels:
    """Part classes that are two along the direction in which they spread most.

    Parameters
    ----------
    x : (N, C)
        In units of the noise.
    labels : (N,)
        Class, -1 for none.
    distance
        Standard deviations that the parts must lie from each other.

    Returns
    -------
    (N,)
        Labels 0.. without gaps, largest class first.
    """
    labels = _in_order(labels)
    waiting = list(range(int(labels.max(initial=-1)) + 1))
    n_classes = len(waiting)
    while waiting:
        one = waiting.pop()
        members = np.flatnonzero(labels == one)
        part = _lesser_part(x[members], distance)
        if part is not None:
            labels[members[part]] = n_classes
            waiting += [one, n_classes]
            n_classes += 1
    return _in_order(labels)


def _lesser_part(members: Values, distance: float) -> NDArray[np.bool_] | None:
    """Tell which members are a kind of their own; None if all are one."""
    n = len(members)
    if n < 2 * _FEWEST_OF_A_PART:
        return None
    axis = np.linalg.eigh(_squares(members))[1][:, -1]
    along = members @ axis
    order = np.argsort(along)
    # The cut that leaves the least squares within both parts (Otsu 1979).
    sums = np.cumsum(along[order] - along.mean())[:-1]
    below = np.arange(1, n)
    gain = sums**2 * n / (below * (n - below))
    allowed = slice(_FEWEST_OF_A_PART - 1, n - _FEWEST_OF_A_PART)
    cut = int(np.argmax(gain[allowed])) + _FEWEST_OF_A_PART
    upper = np.zeros(n, bool)
    upper[order[cut:]] = True
    gap, best = _separation(members[upper], members[~upper])
    # The axis was chosen to part them, of as many as there are components.
    n_free = members.shape[1] + 2
    if gap < distance:
        return None
    is_one = gap < 2.0 * distance and _is_one(members[upper], members[~upper], best, n_free)
    return None if is_one else upper


def _separation(one: Values, other: Values) -> tuple[float, Values]:
    """Distance of two clusters by their pooled covariance, and the axis that parts them best."""
    off = one.mean(axis=0) - other.mean(axis=0)
    pooled = drawn_to_noise(_squares(one) + _squares(other), len(one) + len(other) - 2)
    axis = np.linalg.solve(pooled, off)
    gap = float(np.sqrt(off @ axis))
    return gap, axis / max(gap, 1e-12)


def _is_one(one: Values, other: Values, axis: Values, n_free: int = 3) -> bool:
    """Whether one Gaussian describes both better than two, along an axis of unit noise.

    By the integrated classification likelihood (Biernacki et al., IEEE TPAMI 22, 719, 2000). Halves
    of a Gaussian never are two; 18 sites 3.7 deviations from 570 are.
    """
    parts = [one @ axis, other @ axis]
    both = np.concatenate(parts)
    n = len(both)
    apart = sum(_log_likelihood(part) + len(part) * np.log(len(part) / n) for part in parts)
    # The second class has a mean, a variance and a share.
    return bool(_log_likelihood(both) >= apart - 0.5 * n_free * np.log(n))


def _log_likelihood(values: Values) -> float:
    """Of a Gaussian of its own, whose variance is drawn to that of noise; up to a constant."""
    square = float(np.square(values - values.mean()).sum())
    n = len(values)
    variance = max((square + _FEW_OF_NOISE) / (n + _FEW_OF_NOISE), _NARROWEST)
    return float(-0.5 * (n * np.log(variance) + square / variance))


def _squares(members: Values) -> Values:
    off = members - members.mean(axis=0)
    out: Values = off.T @ off
    return out


def _in_order(labels: Labels) -> Labels:
    """Labels 0.. without gaps, largest first; -1 stays."""
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    out = np.full(len(labels), -1, np.intp)
    for rank, name in enumerate(names[np.argsort(-counts, kind="stable")]):
        out[labels == name] = rank
    return out
