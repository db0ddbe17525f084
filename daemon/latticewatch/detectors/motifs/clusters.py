"""From the features of sites to classes: which sites are of one kind, and which are of none.

Density (or the relaxed layout, at low dose) proposes classes; what decides is the noise. It is
measured on the pristine sites, and all features are in its unit: classes that differ by less are
joined, sites that a class explains are its members, and far outliers that agree are a class.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from latticewatch.detectors.motifs.density import dense_clusters
from latticewatch.detectors.motifs.layout import lay_out
from latticewatch.detectors.motifs.merging import merge_close, mixture_of
from latticewatch.detectors.motifs.noise import (
    own_components,
    pooled_noise,
    pristine_noise,
    species_of,
)
from latticewatch.detectors.motifs.outliers import nearest_column_px
from latticewatch.detectors.motifs.settling import FAR_BELOW, Limits, Whereabouts, settled

Values = NDArray[np.float64]
Labels = NDArray[np.intp]

_LAYOUT_CLUSTER = 10  # motifs.md 3.3
_PRISTINE = 0.975  # of the majority, which is one class whatever density finds in it
_COMPONENTS = 5  # of one species, motifs.md 3.1
# Deviations between the nearest classes, and share of lone sites, at which the layout is tried.
_CROWDED, _MANY_LONE = 5.0, 0.03


@dataclass(frozen=True, slots=True)
class Sample:
    """Sites to be sorted, of one frame or of many.

    Attributes
    ----------
    z : (N, C)
        Features; finite.
    sublattice : (N,)
        Column of the cell.
    places_yx : (N, 2)
        Pixels.
    address : (N, 2)
        Cell.
    frame : (N,)
        Number of the frame.
    probes : (P, C) or None
        Changes of z that must show, whatever else varies: that of an absent column.
    """

    z: Values
    sublattice: Labels
    places_yx: Values
    address: NDArray[np.int64]
    frame: Labels
    probes: Values | None = None

    def of(self, members: NDArray[np.intp]) -> "Sample":
        """Return some of the sites."""
        z, places_yx, address = self.z[members], self.places_yx[members], self.address[members]
        sublattice, frame = self.sublattice[members], self.frame[members]
        return Sample(z, sublattice, places_yx, address, frame, self.probes)


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How classes are found.

    Attributes
    ----------
    min_cluster_size
        Sites of the smallest cluster of density. Far outliers that agree need two.
    route
        "density", "layout" or "auto": the layout where classes are as near as noise is wide.
    merge_distance
        Standard deviations below which two classes are one: at four, one site in forty is on the
        wrong side of the middle.
    seed
        Of the layout.
    """

    min_cluster_size: int = 5
    route: str = "auto"
    merge_distance: float = 4.0
    seed: int = 48


@dataclass(frozen=True, slots=True)
class Classes:
    """Kinds of sites, the most populous first.

    Attributes
    ----------
    labels : (N,)
        Class of each site; -1 where it is of none.
    means : (K, C)
    covariances : (K, C, C)
        Of single sites about the mean, drawn to the noise where there are few.
    noise_covariance : (C, C)
        Of pristine sites.
    route
        "density" or "layout".
    n_before_merge
        Clusters before any were joined.
    """

    labels: Labels
    means: Values
    covariances: Values
    noise_covariance: Values
    route: str
    n_before_merge: int


def find_classes(given: Sample, settings: ClusterSettings | None = None) -> Classes:
    """Sort sites into kinds, without labels.

    Sites of different species (`noise.species_of`) are of different kinds, whatever they look like:
    the lattice knows which column a site is.

    Parameters
    ----------
    given
        At least a few dozen sites: fewer are one class.
    """
    settings = settings or ClusterSettings()
    species = species_of(given.z, given.sublattice)
    labels = np.full(len(species), -1, np.intp)
    # Of all sites: those of one species are further from each other than columns are.
    nearest_px = nearest_column_px(given.places_yx, given.frame)
    found, routes, n_before, n_classes = [], [], 0, 0
    for one in range(int(species.max()) + 1):
        members = np.flatnonzero(species == one)
        z = given.z[members]
        noise = pristine_noise(z)
        where = Whereabouts(given.places_yx[members], given.frame[members], nearest_px)
        x = (z - noise.mean) @ own_components(z, noise, _COMPONENTS, given.probes)
        own, route, n_started = _sort_species(x, where, settings)
        labels[members] = np.where(own < 0, -1, own + n_classes)
        white = noise.whitening()
        in_noise = mixture_of(z @ white, own)
        back = np.linalg.inv(white)
        covariances = np.einsum("ac,kab,bd->kcd", back, in_noise.covariances, back)
        found.append((noise, in_noise.means @ back, covariances))
        n_before += n_started
        n_classes += len(covariances)
        routes.append(route)
    counts = np.bincount(labels[labels >= 0], minlength=n_classes)
    order = np.argsort(-counts, kind="stable")
    rank = np.append(np.argsort(order), -1)
    return Classes(
        rank[labels].astype(np.intp),
        np.concatenate([means for _, means, _ in found])[order],
        np.concatenate([covariances for _, _, covariances in found])[order],
        pooled_noise([noise for noise, _, _ in found]).covariance,
        "layout" if "layout" in routes else "density",
        n_before,
    )


def _sort_species(
    x: Values, where: Whereabouts, settings: ClusterSettings
) -> tuple[Labels, str, int]:
    """Labels of the sites of one species, the route to them, and how many clusters it began with.

    Where classes lie so near to each other that density may not have parted them, the layout is
    tried as well, and the better description is taken (Schwarz 1978).
    """
    routes = ("density",) if settings.route == "auto" else (settings.route,)
    tried = [_by_route(x, route, where, settings) for route in routes]
    if settings.route == "auto" and _is_crowded(x, tried[0][0]):
        tried.append(_by_route(x, "layout", where, settings))
    best = min(range(len(tried)), key=lambda which: _criterion(x, tried[which][0]))
    labels, n_started = tried[best]
    return labels, (*routes, "layout")[best], n_started


def _by_route(
    x: Values, route: str, where: Whereabouts, settings: ClusterSettings
) -> tuple[Labels, int]:
    started = _proposed(x, route, settings)
    distance = settings.merge_distance
    merged = merge_close(x, _with_majority(x, started, distance), distance)
    limits = Limits(settings.min_cluster_size, distance)
    return settled(x, merged, where, limits), max(int(started.max()) + 1, 1)


def _is_crowded(x: Values, labels: Labels) -> bool:
    """Whether two classes overlap, or many sites are of none: the dose is low."""
    mixture = mixture_of(x, labels)
    apart2 = mixture.distance2(mixture.means)
    np.fill_diagonal(apart2, np.inf)
    return bool((labels < 0).mean() > _MANY_LONE or apart2.min() < _CROWDED**2)


def _criterion(x: Values, labels: Labels) -> float:
    """Bayesian information criterion of classes; sites of none are as likely as the furthest."""
    mixture = mixture_of(x, labels)
    density = np.logaddexp.reduce(mixture.log_density(x), axis=1)
    far = 0.5 * float(stats.chi2.isf(FAR_BELOW / len(x), x.shape[1]))
    n_free = len(mixture.means) * (x.shape[1] + 1)
    return float(n_free * np.log(len(x)) - 2.0 * np.maximum(density, -far - np.log(len(x))).sum())


def _proposed(x: Values, route: str, settings: ClusterSettings) -> Labels:
    """Clusters of density, of the features themselves or of their layout."""
    if route == "layout":
        return dense_clusters(lay_out(x, seed=settings.seed), _LAYOUT_CLUSTER)
    return dense_clusters(x, settings.min_cluster_size)


def _with_majority(x: Values, labels: Labels, distance: float) -> Labels:
    """Let the pristine majority, round the origin, be a cluster whole.

    Density never finds a single cluster: of a perfect crystal it finds crumbs.
    """
    labels = labels.copy()
    majority = int(labels.max(initial=-1)) + 1
    for one in range(majority):
        if np.linalg.norm(x[labels == one].mean(axis=0)) < distance:
            labels[labels == one] = majority
    inside = np.square(x).sum(axis=1) < stats.chi2.ppf(_PRISTINE, x.shape[1])
    labels[inside] = majority
    return labels if inside.any() else np.where(labels < 0, majority, labels)
