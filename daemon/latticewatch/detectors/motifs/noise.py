"""What the noise of a site's features is: measured on the pristine majority of each sublattice.

Most sites of a crystal are as they should be, so the spread of the majority is noise: counts,
jitter, the scan. It is the unit in which kinds of sites are told apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

_KEPT = 0.975  # of a sublattice: what lies further out has no say in the spread
_ROUNDS = 8
_STRANGE_BELOW = 1e-3  # chance of a pristine site to lie as far out
_FEWEST_STRANGE = 3
# Of the mean square of a component, where a column of numbers does not vary at all.
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class Noise:
    """The pristine sites of a sample.

    Attributes
    ----------
    covariance : (C, C)
        Of the features of pristine sites about the mean of their sublattice.
    means : (S, C)
        Of the majority of each sublattice.
    """

    covariance: Values
    means: Values

    def whitening(self) -> Values:
        """Matrix (C, C) from the right of which noise has unit variance in all directions."""
        power, axes = np.linalg.eigh(self.covariance)
        matrix: Values = axes / np.sqrt(power)
        return matrix


@dataclass(frozen=True, slots=True)
class Projection:
    """From features to the components in which kinds differ: (features - mean) @ matrix.

    Attributes
    ----------
    mean : (F,)
    matrix : (F, C)
        Noise of pristine sites has unit variance in every component.
    """

    mean: Values
    matrix: Values


def pristine_noise(z: Values, sublattice: NDArray[np.intp]) -> Noise:
    """Measure the noise on the majority of each sublattice.

    Sites beyond the 0.975 quantile are left out over and over, and the covariance of what stays
    is put right for that (minimum covariance determinant, Rousseeuw and Van Driessen,
    Technometrics 41, 212, 1999, from the median as the only start).

    Parameters
    ----------
    z : (N, C)
        Features; finite.
    sublattice : (N,)
        Column of the cell.
    """
    n_features = z.shape[1]
    sums, n_kept, means = np.zeros((n_features, n_features)), 0, []
    for label in np.unique(sublattice):
        mean, covariance, n = _majority(z[sublattice == label])
        means.append(mean)
        sums += n * covariance
        n_kept += n
    covariance = sums / max(n_kept, 1)
    # Few sites do not know all directions: their spread is drawn to that of single components.
    share = n_features / (n_kept + n_features)
    covariance = (1 - share) * covariance + share * np.diag(np.diag(covariance))
    floor = _FLOOR * float(np.square(z).mean()) + np.finfo(float).tiny
    return Noise(covariance + floor * np.eye(n_features), np.array(means))


def strange_components(
    features: Values, sublattice: NDArray[np.intp], n_components: int = 5
) -> Projection:
    """Choose the components in which strange sites differ from pristine ones.

    Features are divided by the noise first: a component that varies by noise alone is no longer
    taken for a signal because it is large. Then the differences of the sublattices come first and the
    principal directions of sites that the noise does not explain next, so that five vacancies
    among thousands of sites have a component. At 12 counts a half vacancy, 2.6 deviations away in
    five ordinary components, is 4.5 away in these.

    Parameters
    ----------
    features : (N, F)
        Finite.
    sublattice : (N,)
        Column of the cell.
    n_components
        At most F.
    """
    n_features = features.shape[1]
    mean = features.mean(axis=0)
    noise = pristine_noise(features, sublattice)
    white = noise.whitening()
    z, means = (features - mean) @ white, (noise.means - mean) @ white
    distance2 = np.square(z[:, None] - means[None]).sum(axis=-1)
    nearest = distance2.argmin(axis=1)
    strange = distance2.min(axis=1) > stats.chi2.isf(_STRANGE_BELOW, n_features)
    if strange.sum() < _FEWEST_STRANGE:
        strange[:] = True
    rest = (z - means[nearest])[strange]
    # Sublattices alike, as of graphene, differ by noise alone: no direction of their own.
    apart = means[1:] - means[0]
    apart = apart[np.linalg.norm(apart, axis=1) > 1.0]
    axes = np.linalg.svd(apart, full_matrices=False)[2] if len(apart) else apart
    axes = axes[:n_components]
    rest = rest - (rest @ axes.T) @ axes
    more = np.linalg.svd(rest, full_matrices=True)[2] if len(rest) < n_features else _axes(rest)
    chosen = np.concatenate([axes, more[: n_components - len(axes)]])
    return Projection(mean, white @ chosen.T)


def _axes(values: Values) -> Values:
    """Principal directions as rows, strongest first."""
    axes: Values = np.linalg.eigh(values.T @ values)[1][:, ::-1].T
    return axes


def _majority(z: Values) -> tuple[Values, Values, int]:
    """Mean, covariance and number of the sites that are alike."""
    n_features = z.shape[1]
    mean = np.median(z, axis=0)
    variance = np.square(1.4826 * np.median(np.abs(z - mean), axis=0))
    covariance = np.diag(variance + _FLOOR * np.square(z).mean(axis=0) + np.finfo(float).tiny)
    if len(z) < 2 * n_features:
        return mean, covariance, len(z)
    kept = np.ones(len(z), bool)
    middle = float(stats.chi2.median(n_features))
    limit = float(stats.chi2.ppf(_KEPT, n_features))
    # What the cut takes off the spread of a Gaussian.
    missing = _KEPT / float(stats.chi2.cdf(limit, n_features + 2))
    for _ in range(_ROUNDS):
        off = z - mean
        distance2 = np.einsum("nc,nc->n", off, np.linalg.solve(covariance, off.T).T)
        # By the median, which the strange minority moves least.
        inside = distance2 * (middle / max(float(np.median(distance2)), _FLOOR)) < limit
        if np.array_equal(inside, kept):
            break
        kept = inside
        mean = z[kept].mean(axis=0)
        covariance = missing * np.atleast_2d(np.cov(z[kept].T))
        covariance += _FLOOR * np.diag(np.diag(covariance) + np.finfo(float).tiny)
    return mean, covariance, int(kept.sum())
