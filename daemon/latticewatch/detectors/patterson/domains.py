"""Domains of a crystal from the amplitudes of its reflections: scheme two.

A reflection that belongs to one domain has next to no amplitude in the other. Nothing of the
crystal need be known for that, and no setting is asked for. Where the boundary runs is said in
`boundaries`; the published variant with a one-class machine is in `fringes`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.patterson.bragg import BraggMaps, bragg_maps
from latticewatch.detectors.patterson.friedel import (
    SMALLEST_SIDE_PX,
    Transformer,
    choose_reflections,
    find_spots,
    mask_width_per_px,
)
from latticewatch.detectors.patterson.grouping import (
    grey_share,
    joint_score,
    relative_amplitudes,
    sharpen,
    split,
    without_holes,
    without_islands,
)

N_REFLECTIONS = 12
"""Ten of the twelve strongest of the ZrO2 twin belong to one domain only."""

_FEWEST_REFLECTIONS = 3
# Places where the three clearest reflections fall below this part of their usual amplitude hold
# no lattice: half would be the edge of a crystal, and thin parts, noise and strain take some.
_LATTICE_LEVEL = 0.3
_LEAST_LATTICE = 0.1  # of the frame
_N_CLEAREST = 3
_SMALLEST_COMMON = 1e-3  # of the usual amplitude
_SMALLEST_SHARE = 0.02
# Of 550 single crystals, strained up to a quarter of a period, wedge-shaped, dirty, jittered, at
# 0.5 to 40 counts a pixel, 19 had a weak reflection of either group. Their grey share was 0.13 and
# more, 0.25 and more where either group had two; that of twins is 0.1 at most.
_FEWEST_OF_BOTH = 3
_MOST_GREY = 0.15  # of the places far from the boundary
_MOST_GREY_WITH_ONE = 0.06  # where one domain has a single reflection of its own


@dataclass(frozen=True, slots=True)
class Reflection:
    """What one Friedel pair says about domains.

    Attributes
    ----------
    g_per_px
        [gy, gx], cycles per pixel.
    separation
        Ashman's, of the amplitudes' square roots.
    ratio
        Amplitude of the lower law over the higher one.
    domain
        0 or 1 where it belongs to that domain only, -1 where it is shared or says nothing.
    """

    g_per_px: tuple[float, float]
    separation: float
    ratio: float
    domain: int


@dataclass(frozen=True, slots=True)
class DomainMap:
    """Which domain each place of a frame belongs to.

    Attributes
    ----------
    maps
        Amplitudes and phases that it was made from.
    presence : (h, w)
        Mean of the three clearest reflections, each over its usual amplitude.
    lattice : (h, w) bool
        Places that hold a lattice.
    labels : (h, w) int8
        0 for the larger domain, 1 for the smaller, -1 for no lattice.
    level : (h, w)
        Logarithm of the amplitude of domain 1's reflections over that of domain 0's, each in units
        of its own domain: zero on the boundary. NaN without lattice; all zero for one domain.
    shares : (n,)
        Of the places with a lattice, one entry a domain.
    reflections
        Each that was looked at, strongest first.
    """

    maps: BraggMaps
    presence: NDArray[np.float32]
    lattice: NDArray[np.bool_]
    labels: NDArray[np.int8]
    level: NDArray[np.float64]
    shares: tuple[float, ...]
    reflections: tuple[Reflection, ...]

    @property
    def n_domains(self) -> int:
        """One or two."""
        return len(self.shares)

    def domain_of(self, place_px_yx: NDArray[np.float64]) -> NDArray[np.int8]:
        """Domain of each place (N, 2), -1 where the nearest place of the map holds no lattice."""
        at = self.map_place(place_px_yx).T
        nearest = np.round(at).astype(int)
        last = np.array(self.labels.shape)[:, None] - 1
        labels: NDArray[np.int8] = self.labels[tuple(np.clip(nearest, 0, last))]
        if self.n_domains < 2:
            return labels
        level = ndimage.map_coordinates(
            np.where(self.lattice, self.level, 0.0), at, order=1, mode="nearest"
        )
        result: NDArray[np.int8] = np.where(labels < 0, labels, level > 0).astype(np.int8)
        return result

    def map_place(self, place_px_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """From pixels (N, 2) to places of the grid."""
        place: NDArray[np.float64] = np.asarray(place_px_yx) / self.maps.step_px_yx
        return place

    def pixel_place(self, place_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """From places of the grid (N, 2) to pixels."""
        pixel: NDArray[np.float64] = np.asarray(place_yx) * self.maps.step_px_yx
        return pixel


def find_domains(
    frame: NDArray[np.float32],
    n_reflections: int = N_REFLECTIONS,
    transformer: Transformer | None = None,
) -> DomainMap | None:
    """Map the domains of a frame, or None where there is no lattice.

    Parameters
    ----------
    frame : (H, W)
        Finite pixels, of either polarity.
    n_reflections
        How many reflections to look at, the strongest.
    transformer
        For this shape, kept by the caller from frame to frame; None makes one.
    """
    if min(frame.shape) < SMALLEST_SIDE_PX:
        return None
    height, width = frame.shape
    spectrum = (transformer or Transformer((height, width)))(frame)
    spots = find_spots(spectrum)
    if len(spots) < _FEWEST_REFLECTIONS:
        return None
    width_per_px = mask_width_per_px(spots, spectrum.shape_yx)
    chosen = choose_reflections(spots, width_per_px, n_reflections)
    if len(chosen) < _FEWEST_REFLECTIONS:
        return None
    return map_domains(bragg_maps(spectrum, chosen, width_per_px))


def map_domains(maps: BraggMaps) -> DomainMap | None:
    """Split what reflections show into domains; None where hardly any place holds a lattice."""
    relative, reference = relative_amplitudes(maps)
    clearest = np.partition(relative, len(relative) - _N_CLEAREST, axis=0)[-_N_CLEAREST:]
    presence = clearest.mean(axis=0)
    lattice = without_holes(presence > _LATTICE_LEVEL, maps)
    if lattice.mean() < _LEAST_LATTICE:
        return None
    held = relative[:, lattice]
    # What all reflections have in common, a wedge or dirt, says nothing about domains. In a gap
    # that was filled they may all be lost in noise.
    common = np.sqrt(np.square(held).mean(axis=0))
    shares = held / np.maximum(common, np.float32(_SMALLEST_COMMON))
    laws = np.array([split(values) for values in np.sqrt(shares)])
    score = joint_score(shares, maps.noise / reference)
    signs, level = sharpen(held, score)
    seen = _Seen(maps, presence, lattice, laws)
    return _two_domains(seen, signs, level) or _one_domain(seen)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a frame shows before anything is said of domains."""

    maps: BraggMaps
    presence: NDArray[np.float32]
    lattice: NDArray[np.bool_]
    laws: NDArray[np.float64]

    def as_map(
        self,
        labels: NDArray[np.int8],
        level: NDArray[np.float64],
        shares: tuple[float, ...],
        domain: NDArray[np.int64],
    ) -> DomainMap:
        """Add what was found out."""
        reflections = _reflections(self.maps, self.laws, domain)
        return DomainMap(self.maps, self.presence, self.lattice, labels, level, shares, reflections)


def _two_domains(
    seen: _Seen, signs: NDArray[np.int8], values: NDArray[np.float64]
) -> DomainMap | None:
    """Domains from the level (N,) at places with a lattice; None where they are not believed."""
    upper, lower = int((signs == 1).sum()), int((signs == -1).sum())
    if min(upper, lower) < 1 or upper + lower < _FEWEST_OF_BOTH:
        return None
    lattice = seen.lattice
    level = np.full(lattice.shape, np.nan)
    level[lattice] = values
    is_upper, distance_px = without_islands(level, lattice, seen.maps)
    share = float(is_upper[lattice].mean())
    if min(share, 1.0 - share) < _SMALLEST_SHARE:
        return None
    level = np.where(is_upper, np.abs(level), -np.abs(level))
    most_grey = _MOST_GREY if min(upper, lower) > 1 else _MOST_GREY_WITH_ONE
    if grey_share(level, distance_px, seen.maps) > most_grey:
        return None
    if share > 0.5:
        level, is_upper, signs, share = -level, ~is_upper, -signs, 1.0 - share
    labels = np.where(lattice, is_upper, -1).astype(np.int8)
    domain = np.select([signs == 1, signs == -1], [1, 0], -1)
    return seen.as_map(labels, level, (1.0 - share, share), domain)


def _one_domain(seen: _Seen) -> DomainMap:
    labels = np.where(seen.lattice, 0, -1).astype(np.int8)
    level = np.where(seen.lattice, 0.0, np.nan)
    return seen.as_map(labels, level, (1.0,), np.full(len(seen.laws), -1))


def _reflections(
    maps: BraggMaps, laws: NDArray[np.float64], domain: NDArray[np.int64]
) -> tuple[Reflection, ...]:
    return tuple(
        Reflection(
            (float(g[0]), float(g[1])), float(law[5]), float((law[1] / law[3]) ** 2), int(of)
        )
        for g, law, of in zip(maps.g_per_px, laws, domain, strict=True)
    )
