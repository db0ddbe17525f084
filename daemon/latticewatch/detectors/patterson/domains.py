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
    choose_reflections,
    find_spots,
    mask_width_per_px,
    Transformer,
)
from latticewatch.kernels.mixture import N_RESULTS, two_normals

N_REFLECTIONS = 12
"""Ten of the twelve strongest of the ZrO2 twin belong to one domain only."""

_FEWEST_REFLECTIONS = 3
# Places where the three clearest reflections fall below this part of their usual amplitude hold
# no lattice: half would be the edge of a crystal, and noise, strain and rim take some.
_LATTICE_LEVEL = 0.4
_LEAST_LATTICE = 0.1  # of the frame
_N_CLEAREST = 3
_REFERENCE_QUANTILE = 0.95
_N_BINS = 48
_N_ROUNDS = 40
_SAMPLE_EVERY = 3
# Section 3.5 of the method page, from the real ZrO2 twin: ten reflections 2.8 to 5.8, both shared
# ones at most 1.96.
_SEPARATION = 2.5
# Amplitude in the other domain over that in its own. On single crystals whose separation passes
# by chance the two laws lie close, at 0.6 and more; in twins at 0.1 to 0.35.
_LARGEST_RATIO = 0.45
_SMALLEST_SHARE = 0.02
_LEAST_CORRELATION = 0.5
_SOFT_NOISE = 0.1
_FLOOR = 0.05  # of an amplitude of one: what a reflection has where it does not belong
# Deepest place of a patch, in resolutions: the double fault of the real CdTe image reaches 2.0,
# round inclusions of a twentieth of 512 x 512 pixels 3.2.
_THINNEST = 2.3
# Part of a patch where the level is clear: none of that fault, half of those inclusions. At low
# dose no place is clearer than noise allows.
_CLEAR = 1.5
_CLEAREST = 0.9
_CLEAR_SHARE = 0.7
_LEAST_CLEAR = 0.25
_DEEP = 0.7  # log ratio past which a place lies well inside a domain: two to one
_MOST_GREY = 0.15
_MOST_GREY_WITH_ONE = 0.06
_FEWEST_OF_BOTH = 3


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
        labels = self.labels[tuple(np.clip(nearest, 0, last))]
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
    relative, reference = _relative_amplitudes(maps)
    clearest = np.partition(relative, len(relative) - _N_CLEAREST, axis=0)[-_N_CLEAREST:]
    lattice = clearest.mean(axis=0) > _LATTICE_LEVEL
    if lattice.mean() < _LEAST_LATTICE:
        return None
    held = relative[:, lattice]
    # What all reflections have in common, a wedge or dirt, says nothing about domains.
    shares = held / np.sqrt(np.square(held).mean(axis=0))
    laws = np.array([split(values) for values in np.sqrt(shares)])
    score = _joint_score(shares, maps.noise / reference)
    signs, level = _sharpen(held, score)
    result = _two_domains(maps, lattice, laws, signs, level)
    if result is not None:
        return result
    return _one_domain(maps, lattice, laws)


def split(values: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float64]:
    """Fit two normal laws to values (N,): share, mean and width, mean and width, separation (6,)."""
    low, high = float(values.min()), float(values.max())
    result = np.full(N_RESULTS, np.nan)
    bin_ = (high - low) / _N_BINS
    if not bin_ > 0:
        return result
    place = np.minimum(((values - low) / bin_).astype(np.int64), _N_BINS - 1)
    two_normals(np.bincount(place, minlength=_N_BINS).astype(np.float64), _N_ROUNDS, result)
    result[[1, 3]] = low + (result[[1, 3]] + 0.5) * bin_
    result[[2, 4]] *= bin_
    return result


def _relative_amplitudes(maps: BraggMaps) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Amplitudes less what noise adds, over the largest that each reflection reaches; the latter."""
    noise = maps.noise.astype(np.float32)[:, None, None]
    amplitude = np.sqrt(np.maximum(np.square(maps.amplitude) - noise**2, 0.0))
    flat = amplitude[:, ::2, ::2].reshape(len(amplitude), -1)
    rank = int(_REFERENCE_QUANTILE * (flat.shape[1] - 1))
    reference = np.partition(flat, rank, axis=1)[:, rank]
    reference = np.maximum(reference, np.finfo(np.float32).tiny)
    return amplitude / reference[:, None, None], reference


def _joint_score(shares: NDArray[np.float32], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leading component (N,) of how the reflections' shares of the common amplitude vary.

    Separations of single reflections are no good start: where one domain takes a twentieth of the
    frame, half of the lower law is boundary.
    """
    centred = shares - shares.mean(axis=1, keepdims=True)
    centred *= (1.0 / (_SOFT_NOISE + noise)).astype(np.float32)[:, None]
    _, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    score: NDArray[np.float64] = (vectors[:, -1].astype(np.float32) @ centred).astype(np.float64)
    return score


def _sharpen(
    relative: NDArray[np.float32], score: NDArray[np.float64]
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Signs (R,) of all reflections, and the log ratio (N,) of both groups' amplitudes."""
    # Neighbouring places say the same: a third of them is enough for a median.
    every = _SAMPLE_EVERY
    sample = relative[:, ::every]
    law = split(score)
    level = score - 0.5 * (law[1] + law[3])
    signs = np.zeros(len(relative), np.int8)
    for _ in range(3):
        upper = level > 0
        if upper[::every].all() or not upper[::every].any():
            return np.zeros(len(relative), np.int8), np.zeros(len(score))
        inside = (
            np.median(sample[:, upper[::every]], axis=1),
            np.median(sample[:, ~upper[::every]], axis=1),
        )
        signs = np.zeros(len(relative), np.int8)
        signs[inside[1] < _LARGEST_RATIO * inside[0]] = 1
        signs[inside[0] < _LARGEST_RATIO * inside[1]] = -1
        level = _log_ratio(relative, signs, inside)
    return signs, level


def _log_ratio(
    relative: NDArray[np.float32],
    signs: NDArray[np.int8],
    inside: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.float64]:
    """Log (N,) of the upper group's amplitude over the lower one's, each one in its own domain."""
    groups = []
    for sign, own in zip((1, -1), inside, strict=True):
        of = signs == sign
        groups.append((relative[of] / own[of][:, None]).mean(axis=0) if of.any() else np.empty(0))
    shared = signs == 0
    if not (len(groups[0]) and len(groups[1])):
        # Of a domain without reflections of its own: what the other one leaves of the common ones.
        whole = np.ones(relative.shape[1])
        if shared.any():
            usual = np.maximum(np.maximum(inside[0], inside[1])[shared], np.float32(1e-3))[:, None]
            whole = np.median(relative[shared] / usual, axis=0)
        if not len(groups[0]) and not len(groups[1]):
            return np.zeros(relative.shape[1])
        missing = 0 if not len(groups[0]) else 1
        groups[missing] = np.maximum(whole - groups[1 - missing], 0.0)
    ratio: NDArray[np.float64] = np.log((groups[0] + _FLOOR) / (groups[1] + _FLOOR))
    return ratio


def _two_domains(
    maps: BraggMaps,
    lattice: NDArray[np.bool_],
    laws: NDArray[np.float64],
    signs: NDArray[np.int8],
    values: NDArray[np.float64],
) -> DomainMap | None:
    """Domains from the level (N,) at places with a lattice; None where they are not believed."""
    upper, lower = int((signs == 1).sum()), int((signs == -1).sum())
    if min(upper, lower) < 1 or upper + lower < _FEWEST_OF_BOTH:
        return None
    most_grey = _MOST_GREY if min(upper, lower) > 1 else _MOST_GREY_WITH_ONE
    level = np.full(lattice.shape, np.nan)
    level[lattice] = values
    is_upper = _without_islands(level, lattice, maps)
    shares = [float(is_upper[lattice].mean()), float((~is_upper)[lattice].mean())]
    if min(shares) < _SMALLEST_SHARE:
        return None
    level = np.where(is_upper, np.abs(level), -np.abs(level))
    grey = _grey_share(level, is_upper, lattice, maps)
    if grey > most_grey:
        return None
    if shares[0] > shares[1]:
        level, is_upper, signs = -level, ~is_upper, -signs
        shares.reverse()
    labels = np.where(lattice, is_upper, -1).astype(np.int8)
    domain = np.select([signs == 1, signs == -1], [1, 0], -1)
    return DomainMap(
        maps, lattice, labels, level, (shares[1], shares[0]), _reflections(maps, laws, domain)
    )


def _without_islands(
    level: NDArray[np.float64], lattice: NDArray[np.bool_], maps: BraggMaps
) -> NDArray[np.bool_]:
    """Give patches of either domain that are too thin to be resolved to the other one.

    A stacking fault is a twin of one or two layers: the shared rows cancel there, and what is
    left looks like a domain as wide as the maps resolve.
    """
    result = (level > 0) & lattice
    strength = np.where(lattice, np.abs(level), 0.0)
    for of in (True, False):
        held = (result == of) & lattice
        patches, n_patches = ndimage.label(held)
        if n_patches < 1:
            continue
        usual = np.quantile(strength[held], _CLEAREST)
        clear = strength > min(_CLEAR, _CLEAR_SHARE * usual)
        depth = ndimage.distance_transform_edt(held, sampling=maps.step_px_yx)
        deepest = np.zeros(n_patches + 1)
        np.maximum.at(deepest, patches[held], depth[held])
        n_places = np.bincount(patches[held], minlength=n_patches + 1)
        n_clear = np.bincount(patches[held & clear], minlength=n_patches + 1)
        lost = (deepest < _THINNEST * maps.resolution_px) | (n_clear < _LEAST_CLEAR * n_places)
        lost[0] = False
        result[lost[patches]] = not of
    return result


def _grey_share(
    level: NDArray[np.float64],
    upper: NDArray[np.bool_],
    lattice: NDArray[np.bool_],
    maps: BraggMaps,
) -> float:
    """Part of the places far from the boundary that belong to neither domain clearly."""
    near = 2.0 * maps.resolution_px
    edge = ndimage.distance_transform_edt(upper | ~lattice, sampling=maps.step_px_yx)
    edge += ndimage.distance_transform_edt(~upper | ~lattice, sampling=maps.step_px_yx)
    far = lattice & (edge > near)
    if not far.any():
        return 0.0
    return float((np.abs(level[far]) < _DEEP).mean())


def _one_domain(
    maps: BraggMaps, lattice: NDArray[np.bool_], laws: NDArray[np.float64]
) -> DomainMap:
    labels = np.where(lattice, 0, -1).astype(np.int8)
    level = np.where(lattice, 0.0, np.nan)
    domain = np.full(len(laws), -1)
    return DomainMap(maps, lattice, labels, level, (1.0,), _reflections(maps, laws, domain))


def _reflections(
    maps: BraggMaps, laws: NDArray[np.float64], domain: NDArray[np.int64]
) -> tuple[Reflection, ...]:
    return tuple(
        Reflection(
            (float(g[0]), float(g[1])), float(law[5]), float((law[1] / law[3]) ** 2), int(of)
        )
        for g, law, of in zip(maps.g_per_px, laws, domain, strict=True)
    )
