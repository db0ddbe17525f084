"""One domain of a frame as the motif classes see it: its sites, its points, what changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.sights import Scene
from latticewatch.detectors.lattice_sites import cell_coordinates
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.motifs.columns import (
    CellColumns,
    MotifSites,
    nearest_sites,
    sites_of,
)
from latticewatch.detectors.motifs.follow import SiteFollower, Transition, address_keys
from latticewatch.detectors.motifs.reservoir import Reject
from latticewatch.detectors.motifs.score import NEW, UNSCORED, Level, MotifDetector, Named
from latticewatch.detectors.motifs.site_keys import BETWEEN_SITES, STEPS, SiteKey
from latticewatch.detectors.motifs.stale import Mismatch
from latticewatch.detectors.protocols import Finding

# As `look_cell` counts them: the address of a site stays three numbers.
SUBLATTICES_OF_A_DOMAIN: Final = 100
_NEAR_SITE: Final = 0.35  # of the way to the next site: farther off, the place itself is looked at
# Frames refused one after the other, after which columns and contrast are found anew: the first
# of a chain may have been a bad one. Twice as many the next time: the crystal may be another one.
_PATIENCE, _MOST_PATIENCE = 4, 64


@dataclass(frozen=True, slots=True)
class Standing:
    """What a domain is like in one frame.

    Attributes
    ----------
    image : (H, W) float32
        The frame.
    lock, columns, level
        Of the domain in it.
    """

    image: NDArray[np.float32]
    lock: LatticeLock
    columns: CellColumns
    level: Level


@dataclass(frozen=True, slots=True)
class Points:
    """Places that were asked for, and what was said.

    Attributes
    ----------
    rows
        Of the findings.
    standing
        What the domain is like.
    named
        Of each.
    looked_yx : (M, 2)
        The site of each, or its own place where it stands on none.
    address : (M, 3)
        Of the site; sublattice -1 for none.
    domain
        Number of it.
    """

    rows: list[int]
    standing: Standing
    named: Named
    looked_yx: NDArray[np.float64]
    address: NDArray[np.int64]
    domain: int = 0


@dataclass(frozen=True, slots=True)
class Sites:
    """All sites of a domain in a frame.

    Attributes
    ----------
    places_yx : (N, 2)
        Pixels.
    address : (N, 3)
        As an event tells it.
    named
        Of each.
    """

    places_yx: NDArray[np.float64]
    address: NDArray[np.int64]
    named: Named


class DomainNamer:
    """Knows one lattice while it is followed.

    Parameters
    ----------
    detector
        Of the model.
    domain
        Number of the domain.
    """

    def __init__(self, detector: MotifDetector, domain: int) -> None:
        self._detector = detector
        self._domain = domain
        self._columns: CellColumns | Mismatch | None = None
        self._n_refused, self._patience = 0, _PATIENCE
        self._follower: SiteFollower | None = None

    def stand(
        self, image: NDArray[np.float32], lock: LatticeLock, contrast: Callable[[], int]
    ) -> Standing | Mismatch:
        """Take up a frame; or say why the model does not fit it.

        Parameters
        ----------
        image, lock
            Of the frame.
        contrast
            Whether columns are bright; asked where they are looked for, not in every frame.
        """
        columns = self._columns
        if columns is not None:
            at = self._with(image, lock, columns)
            if isinstance(at, Standing):
                self._n_refused, self._patience = 0, _PATIENCE
                return at
            self._n_refused += 1
            if self._n_refused < self._patience:
                return at
            self._n_refused, self._patience = 0, min(2 * self._patience, _MOST_PATIENCE)
        found = self._detector.begin(image, lock, contrast())
        at = self._with(image, lock, found)
        if columns is None or isinstance(at, Standing):
            self._columns, self._follower = found, None
        return at

    def _with(
        self, image: NDArray[np.float32], lock: LatticeLock, columns: CellColumns | Mismatch
    ) -> Standing | Mismatch:
        if isinstance(columns, Mismatch):
            return columns
        level = self._detector.level(image, lock, columns)
        return level if isinstance(level, Mismatch) else Standing(image, lock, columns, level)

    def points(self, at: Standing, rows: list[int], findings: Sequence[Finding]) -> Points:
        """Name the findings in these rows; all are points of this domain."""
        own = [findings[row] for row in rows]
        places = np.array([one.pixel_yx for one in own], np.float64).reshape(-1, 2)
        site_yx, address, off_px = nearest_sites(at.lock, at.columns, places)
        is_extra = np.array([one.kind == "extra" for one in own], bool)
        on_site = (off_px <= _NEAR_SITE * at.columns.nearest_px) & ~is_extra
        looked = np.where(on_site[:, None], site_yx, places)
        address[~on_site, 2] = BETWEEN_SITES
        named = self._detector.name(at.level, looked, address[:, 2])
        return Points(rows, at, named, looked, self._told(address), self._domain)

    def sites(self, at: Standing) -> Sites:
        """Name every site."""
        found: MotifSites = sites_of(at.lock, at.columns, _shape_of(at.image))
        whole = np.column_stack([found.address, found.sublattice]).astype(np.int64)
        named = self._detector.name(at.level, found.places_yx, found.sublattice)
        return Sites(found.places_yx, self._told(whole), named)

    def follow(
        self, sites: Sites, listed: NDArray[np.int64], plain: frozenset[int]
    ) -> list[Transition]:
        """Tell which sites have changed.

        Parameters
        ----------
        sites
            Of this frame.
        listed : (M, 3)
            Addresses of sites that detectors list in it.
        plain
            Rows of classes that are no defects.
        """
        if self._follower is None:
            self._follower = SiteFollower(self._detector.model.noise_covariance)
        return self._follower.see(
            sites.address,
            sites.named.z,
            sites.named.class_index != UNSCORED,
            self._detector,
            found=np.isin(address_keys(sites.address), address_keys(listed)),
            plain=plain,
        )

    def _told(self, address: NDArray[np.int64]) -> NDArray[np.int64]:
        told = np.array(address, np.int64)
        told[told[:, 2] >= 0, 2] += SUBLATTICES_OF_A_DOMAIN * self._domain
        return told


def rejects_of(
    points: Points,
    detector: MotifDetector,
    n_known: int,
    chain: int,
    findings: Sequence[Finding],
) -> list[Reject]:
    """Take the points that are of no class of the model.

    Those of a proposed class, too, which grows by them.
    """
    index = points.named.class_index
    chosen = np.flatnonzero((index == NEW) | (index >= n_known))
    if not len(chosen):
        return []
    patches = detector.patches(points.standing.level, points.looked_yx[chosen])
    places = places_between(points.looked_yx[chosen], points.standing.lock)
    rejects = []
    for patch, place, k in zip(patches, places.tolist(), chosen.tolist(), strict=True):
        i, j, label = points.address[k].tolist()
        cell = (i, j) if label >= 0 else (place[0], place[1])
        one = findings[points.rows[k]]
        rejects.append(
            Reject(
                key=SiteKey(chain, points.domain, *cell, _own_sublattice(label)),
                z=points.named.z[k].copy(),
                kind=one.kind,
                intensity_ratio=one.intensity_ratio,
                patch=patch.copy(),
            )
        )
    return rejects


def places_between(places_yx: NDArray[np.float64], lock: LatticeLock) -> NDArray[np.int64]:
    """Cell coordinates (M, 2) of places in steps of `site_keys.STEPS`, which drift leaves alone."""
    return np.rint(STEPS * cell_coordinates(places_yx, lock)).astype(np.int64)


def _own_sublattice(label: int) -> int:
    return label % SUBLATTICES_OF_A_DOMAIN if label >= 0 else BETWEEN_SITES


def owner_of(scene: Scene, places_yx: NDArray[np.float64]) -> list[int]:
    """Name the domain that holds each place (N, 2); the first where none does."""
    lattices = scene.lattices
    owner = np.full(len(places_yx), lattices[0].domain)
    for one in reversed(lattices):
        owner[one.lock.holds_at(places_yx)] = one.domain
    return [int(domain) for domain in owner]


def _shape_of(image: NDArray[np.float32]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
