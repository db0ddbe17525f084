"""What the noise of a site's features is: measured on the pristine majority of each sublattice.

Most sites of a crystal are as they should be, so the spread of the majority is noise: counts,
jitter, the scan. It is the unit in which kinds of sites are told apart. Bright columns have more of
it than dim ones, so each sublattice has its own; those that look alike, as in graphene, share it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
Labels = NDArray[np.intp]

_KEPT = 0.975  # of a sublattice: what lies further out has no say in the spread
_ROUNDS = 8
_STRANGE_BELOW = 1e-3  # chance of a pristine site to lie as far out
# Moduli of moments that symmetry forbids are Rayleigh distributed, with longer tails.
_LONG_TAILS = 1.4
# Squares along a direction, over those at which one site is strange: several sites share it, or one
# is far out. Else every site of a tail would have a component of its own, and be an outlier in it.
_SHARED = 2.5
# Sublattices whose pristine sites differ by less than so much noise are one species.
_ALIKE = 0.5
# Of the largest direction: those that say nothing new are left out.
_NOTHING_NEW = 1e-3
# Of the mean square of a component, where a column of numbers does not vary at all.
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class Noise:
    """The pristine sites of one species.

    Attributes
    ----------
    mean : (C,)
        Of the majority.
    covariance : (C, C)
        Of single pristine sites about it.
    n
        Sites that say so.
    """

    mean: Values
    covariance: Values
    n: int

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
        Noise of pristine sites, all together, has unit variance in every component.
    """

    mean: Values
    matrix: Values


def species_of(z: Values, sublattice: Labels) -> Labels:
    """Tell which sites are of columns that differ: a number 0.. for each, (N,).

    Equivalent columns of a cell have equal invariant features, whichever way their surroundings
    are turned, and are one species.

    Parameters
    ----------
    z : (N, C)
        Features; finite.
    sublattice : (N,)
        Column of the cell.
    """
    names, column = np.unique(sublattice, return_inverse=True)
    found = [pristine_noise(z[column == one]) for one in range(len(names))]
    white = pooled_noise(found).whitening()
    home = list(range(len(names)))
    for one in range(len(names)):
        for other in range(one):
            gap = float(np.linalg.norm((found[one].mean - found[other].mean) @ white))
            # Means of few sites differ by chance.
            chance = len(white) * (1.0 / found[one].n + 1.0 / found[other].n)
            if home[other] == other and gap < _ALIKE + 2.0 * np.sqrt(chance):
                home[one] = other
                break
    _, species = np.unique(home, return_inverse=True)
    return np.asarray(species[column], np.intp)


def pristine_noise(z: Values) -> Noise:
    """Measure the noise on the majority of the sites of a species.

    Sites beyond the 0.975 quantile are left out over and over, and the covariance of what stays
    is put right for that (minimum covariance determinant, Rousseeuw and Van Driessen,
    Technometrics 41, 212, 1999, from the median as the only start).

    Parameters
    ----------
    z : (N, C)
        Features; finite, N >= 1.
    """
    mean, covariance, n = _majority(z)
    # Few sites do not know all directions: their spread is drawn to that of single components.
    share = z.shape[1] / (n + z.shape[1])
    covariance = (1 - share) * covariance + share * np.diag(np.diag(covariance))
    floor = _FLOOR * float(np.square(z).mean()) + np.finfo(float).tiny
    return Noise(mean, covariance + floor * np.eye(z.shape[1]), n)


def pooled_noise(found: list[Noise]) -> Noise:
    """Noise of several species about the mean of each."""
    n = sum(one.n for one in found)
    mean = sum(one.n * one.mean for one in found) / n
    covariance = sum(one.n * one.covariance for one in found) / n
    return Noise(np.asarray(mean), np.asarray(covariance), n)


def strange_components(
    features: Values, sublattice: Labels, n_each: int = 3, probes: Values | None = None
) -> Projection:
    """Choose the components in which strange sites differ from pristine ones.

    Principal components, but of features in units of the noise and of strange sites alone, for
    each species: what varies by noise alone is not taken for a signal because it is large, and
    five vacancies among thousands of sites have a component.

    Parameters
    ----------
    features : (N, F)
        Finite.
    sublattice : (N,)
        Column of the cell.
    n_each
        Components of each species; those in which the species differ come on top.
    probes : (P, F), optional
        Changes of the features that must show, also where no site of the sample has them: a model
        of a perfect crystal that is to see vacancies needs the one of an absent column.
    """
    species = species_of(features, sublattice)
    n_species = int(species.max()) + 1
    found = [pristine_noise(features[species == one]) for one in range(n_species)]
    chosen = [
        own_components(features[species == one], noise, n_each) for one, noise in enumerate(found)
    ]
    pooled = pooled_noise(found)
    white = pooled.whitening()
    # Direction of the best linear discriminant between species.
    apart = [white @ (white.T @ (one.mean - found[0].mean)) for one in found[1:]]
    if probes is not None:
        apart += [np.linalg.solve(noise.covariance, probe) for noise in found for probe in probes]
    wanted = np.concatenate([np.reshape(apart, (-1, features.shape[1])).T, *chosen], axis=1)
    inner = np.linalg.solve(white, wanted)
    inner /= np.linalg.norm(inner, axis=0)
    axes, strength, _ = np.linalg.svd(inner, full_matrices=False)
    axes = axes[:, strength > _NOTHING_NEW * strength[0]]
    return Projection(pooled.mean, white @ axes)


def own_components(
    z: Values, noise: Noise, n_components: int, probes: Values | None = None
) -> Values:
    """Matrix (C, n) to the components in which strange sites of one species differ most.

    Noise has unit variance in each. Fewer where z has fewer. Changes (P, C) that must show come
    first: in a real frame what is strange most often is dirt, and five columns are missing.
    """
    white = noise.whitening()
    x = (z - noise.mean) @ white
    first = np.zeros((x.shape[1], 0))
    if probes is not None and len(probes):
        first = np.linalg.qr((probes @ white).T)[0]
        x = x - (x @ first) @ first.T
    strange2 = _LONG_TAILS * float(stats.chi2.isf(_STRANGE_BELOW, x.shape[1]))
    strange = x[np.square(x).sum(axis=1) > strange2]
    power, axes = np.linalg.eigh(strange.T @ strange)
    axes = np.concatenate([first, axes[:, power > _SHARED * strange2][:, ::-1]], axis=1)
    # Where nothing else is strange, as noise has most power: not where sites spread most, which is
    # along the tails of this very sample.
    others = np.eye(x.shape[1])[:, ::-1]
    others = np.linalg.qr(np.concatenate([axes, others], axis=1))[0][:, axes.shape[1] :]
    matrix: Values = white @ np.concatenate([axes, others], axis=1)[:, :n_components]
    return matrix


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
