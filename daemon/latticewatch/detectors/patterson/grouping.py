"""Two groups of reflections, and the places that belong to each: arithmetic of scheme two.

What a frame is and what is published about it is in `domains`.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.patterson.bragg import BraggMaps
from latticewatch.kernels.mixture import N_RESULTS, two_normals

CLEAR_LEVEL = 1.5
"""Log ratio past which a place clearly belongs to a domain: 4.5 to one."""

_REFERENCE_QUANTILE = 0.95
_N_BINS = 48
_N_ROUNDS = 40
_SOFT_NOISE = 0.1  # of the usual amplitude: weaker reflections count less
# Neighbouring places say the same: a quarter of them is enough for a median.
_SAMPLE_EVERY = 4
_SHARPENINGS = 2
# Amplitude in the other domain over that in its own: 0.1 to 0.35 in twins, where leakage of the
# maps' Gaussian and noise are what is left. Shared reflections of the ZrO2 twin: 0.65 and more.
_LARGEST_RATIO = 0.45
_FLOOR = 0.05  # of an amplitude of one: what a reflection has where it does not belong
# Deepest place of a patch, in resolutions: the double fault of the real CdTe image reaches 2.0,
# round inclusions of a twentieth of 512 x 512 pixels 3.2.
_THINNEST = 2.3
# Part of a patch where the level is clear: none of that fault, half of those inclusions. At low
# dose no place is clearer than noise allows.
_CLEAREST = 0.9
_CLEAR_SHARE = 0.7
_LEAST_CLEAR = 0.25
_GREY_LEVEL = 0.7  # two to one
_NEAR_BOUNDARY = 2.0  # resolutions


def split(values: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float64]:
    """Fit two normal laws to values (N,): share, mean, width, mean, width and separation (6,)."""
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


def relative_amplitudes(maps: BraggMaps) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Amplitudes less noise, over the largest (R,) that each reflection reaches; and the latter."""
    noise = maps.noise.astype(np.float32)[:, None, None]
    amplitude = np.sqrt(np.maximum(np.square(maps.amplitude) - noise**2, 0.0))
    flat = amplitude[:, ::2, ::2].reshape(len(amplitude), -1)
    rank = int(_REFERENCE_QUANTILE * (flat.shape[1] - 1))
    reference = np.partition(flat, rank, axis=1)[:, rank]
    # A reflection that stands out of its noise in hardly any place has no amplitude of its own.
    floor = np.maximum(noise[:, 0, 0], np.finfo(np.float32).tiny)
    reference = np.maximum(reference, floor)
    return amplitude / reference[:, None, None], reference


def joint_score(shares: NDArray[np.float32], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leading component (N,) of how the reflections' shares of the common amplitude vary.

    Separations of single reflections are no good start: where one domain takes a twentieth of the
    frame, half of the lower law is boundary.
    """
    centred = shares - shares.mean(axis=1, keepdims=True)
    centred *= (1.0 / (_SOFT_NOISE + noise)).astype(np.float32)[:, None]
    _, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    score: NDArray[np.float64] = (vectors[:, -1].astype(np.float32) @ centred).astype(np.float64)
    return score


def sharpen(
    relative: NDArray[np.float32], score: NDArray[np.float64]
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Which reflections belong to one domain only, and which places to which domain.

    Parameters
    ----------
    relative : (R, N)
        Of `relative_amplitudes`, at places with a lattice.
    score : (N,)
        A first guess: any number that is higher in one domain.

    Returns
    -------
    (R,) int8, (N,)
        1 and -1 for reflections of the higher and of the lower domain, 0 for shared ones; the
        logarithm of the higher group's amplitude over the lower one's, each in units of its own
        domain, so that zero is half-way. All zero unless both have a reflection of their own.
    """
    sample = relative[:, ::_SAMPLE_EVERY]
    law = split(score)
    level = score - 0.5 * (law[1] + law[3])
    nothing = np.zeros(len(relative), np.int8), np.zeros(len(score))
    for _ in range(_SHARPENINGS):
        upper = level[::_SAMPLE_EVERY] > 0
        if upper.all() or not upper.any():
            return nothing
        above, below = np.median(sample[:, upper], axis=1), np.median(sample[:, ~upper], axis=1)
        of_upper, of_lower = below < _LARGEST_RATIO * above, above < _LARGEST_RATIO * below
        if not (of_upper.any() and of_lower.any()):
            return nothing
        higher = (relative[of_upper] / above[of_upper][:, None]).mean(axis=0)
        lower = (relative[of_lower] / below[of_lower][:, None]).mean(axis=0)
        level = np.log((higher + _FLOOR) / (lower + _FLOOR)).astype(np.float64)
    return of_upper.astype(np.int8) - of_lower.astype(np.int8), level


def without_holes(lattice: NDArray[np.bool_], maps: BraggMaps) -> NDArray[np.bool_]:
    """Fill gaps of a lattice that are smaller than the maps resolve, as on a boundary."""
    if lattice.all():
        return lattice
    depth = ndimage.distance_transform_edt(~lattice, sampling=maps.step_px_yx)
    gaps, n_gaps = ndimage.label(~lattice)
    deepest = np.zeros(n_gaps + 1)
    np.maximum.at(deepest, gaps.ravel(), depth.ravel())
    filled: NDArray[np.bool_] = lattice | (deepest < maps.resolution_px)[gaps]
    return filled


def without_islands(
    level: NDArray[np.float64], lattice: NDArray[np.bool_], maps: BraggMaps
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Give patches of either domain that are too thin to be resolved to the other one.

    A stacking fault is a twin of one or two layers: the shared rows cancel there, and what is
    left looks like a domain as wide as the maps resolve.

    Returns
    -------
    (h, w) bool, (h, w)
        Places of the domain with the higher level; distance of each place from the other domain
        and from what is no lattice, pixels.
    """
    upper = (level > 0) & lattice
    strength = np.where(lattice, np.abs(level), 0.0)
    distance = distance_inside(upper, lattice, maps)
    for of in (True, False):
        held = (upper == of) & lattice
        patches, n_patches = ndimage.label(held)
        if n_patches < 1:
            continue
        usual = np.quantile(strength[held], _CLEAREST)
        clear = strength > min(CLEAR_LEVEL, _CLEAR_SHARE * usual)
        deepest = np.zeros(n_patches + 1)
        np.maximum.at(deepest, patches[held], distance[held])
        n_places = np.bincount(patches[held], minlength=n_patches + 1)
        n_clear = np.bincount(patches[held & clear], minlength=n_patches + 1)
        lost = (deepest < _THINNEST * maps.resolution_px) | (n_clear < _LEAST_CLEAR * n_places)
        lost[0] = False
        if lost.any():
            upper[lost[patches]] = not of
            distance = distance_inside(upper, lattice, maps)
    return upper, distance


def distance_inside(
    upper: NDArray[np.bool_], lattice: NDArray[np.bool_], maps: BraggMaps
) -> NDArray[np.float64]:
    """Distance (h, w) in pixels of each place from the other domain and from what is no lattice."""
    border = ~lattice
    for axis in range(2):
        step = np.diff(upper, axis=axis)
        first, second = [slice(None)] * 2, [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        border[tuple(first)] |= step
        border[tuple(second)] |= step
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(
        ~border, sampling=maps.step_px_yx
    )
    return distance


def grey_share(
    level: NDArray[np.float64], distance_px: NDArray[np.float64], maps: BraggMaps
) -> float:
    """Part of the places far from the boundary that belong to neither domain clearly."""
    far = distance_px > _NEAR_BOUNDARY * maps.resolution_px
    if not far.any():
        return 0.0
    return float((np.abs(level[far]) < _GREY_LEVEL).mean())
