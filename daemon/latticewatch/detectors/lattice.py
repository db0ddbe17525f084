"""The crystal lattice of a frame, found without parameters from its power spectrum.

Slow path only (about 40 ms for 1024 x 1024): fitting, and naming what is wrong with a frame whose
sites do not link up. The hot loop follows known vectors, see `sites.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

# Spectral ranges and limits of the hypothesis search, from the prototype of the reference-cell
# method, where one setting served every simulated and real image tried.
_LOWEST_CYCLES_PX = 0.008  # slower than this is background, not lattice
_HIGHEST_CYCLES_PX = 0.22
_PEAK_POWER = 25.0  # of a noise level that is Exp(1): one noise bin in 7e10 gets there
_MOST_PEAKS = 40
_SEED_PEAKS = 14  # strongest peaks that may span a hypothesis by themselves
_SEED_PAIRS = 8  # strongest peaks whose sums and differences may, too
_TOLERANCE_BINS = 1.6
_HIGHEST_INDEX = 6
# Each step shortens a vector by a third or more; vectors on one line would go on for ever.
_MOST_REDUCTIONS = 64
_FEWEST_SITES_ALONG = 5  # a "period" that fits fewer times across the frame is background


@dataclass(frozen=True, slots=True)
class Lattice:
    """Two shortest primitive vectors of the crystal in the frame.

    Attributes
    ----------
    basis_px_yx : (2, 2)
        Rows are the vectors a and b, [y, x] in pixels, |a| <= |b|, Gauss reduced.
    reflections : (R, 2)
        Indices of the peaks of the spectrum that the lattice indexes, one of each Friedel pair.
    power : (R,)
        Of these peaks, over the noise.
    """

    basis_px_yx: NDArray[np.float64]
    reflections: NDArray[np.int64]
    power: NDArray[np.float64]

    @property
    def n_reflections(self) -> int:
        """How many peaks the lattice indexes."""
        return len(self.reflections)

    @property
    def strength(self) -> float:
        """Their summed log power: how sure the lattice is."""
        return float(np.log1p(self.power).sum())

    @property
    def reciprocal_per_px(self) -> NDArray[np.float64]:
        """Reciprocal vectors (2, 2), rows [gy, gx], cycles per pixel: dual to the basis."""
        return np.linalg.inv(self.basis_px_yx).T.astype(np.float64)

    @property
    def cell_px(self) -> float:
        """Square root of the area of the cell, pixels."""
        return float(np.sqrt(self.cell_area_px2))

    @property
    def cell_area_px2(self) -> float:
        """Area of the primitive cell in square pixels."""
        return float(abs(np.linalg.det(self.basis_px_yx)))

    @property
    def period_px(self) -> float:
        """Geometric mean of both vector lengths in pixels: `a` for square and hexagonal nets."""
        return float(np.sqrt(np.prod(np.linalg.norm(self.basis_px_yx, axis=1))))


def find_lattice(frame: NDArray[np.float32]) -> Lattice | None:
    """Lattice vectors of the strongest crystal in a frame, or None where there is none.

    Every pair of strong spectral peaks is a hypothesis; it scores the log power of the peaks that
    it indexes, less what a random pair of that density would index.

    Parameters
    ----------
    frame : (H, W)
        Finite pixels. A frame of noise, vacuum or a constant has no lattice.
    """
    spectrum = _relative_power(frame)
    if spectrum is None:
        return None
    peaks, strength = _spectral_peaks(spectrum, frame.shape)
    if len(peaks) < 3:
        return None
    weight = np.log1p(strength)
    tolerance = _TOLERANCE_BINS / min(frame.shape)
    reciprocal = _best_hypothesis(peaks, weight, tolerance)
    if reciprocal is None:
        return None
    reciprocal, hit = _refine(reciprocal, peaks, weight, tolerance)
    if hit.sum() < 3 or abs(np.linalg.det(reciprocal)) < 1e-9:
        return None
    direct = reduce_basis(np.linalg.inv(reciprocal).T.astype(np.float64))
    if np.linalg.norm(direct, axis=1).max() * _FEWEST_SITES_ALONG > min(frame.shape):
        return None
    # h = a.g: whole numbers but for the errors of the peaks.
    indices = np.round(peaks[hit] @ direct.T).astype(np.int64)
    return Lattice(direct, indices, strength[hit])


def reduce_basis(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two shortest vectors of the same net, rows, shorter first (Gauss reduction).

    Examples
    --------
    >>> reduce_basis(np.array([[5.0, 1.0], [1.0, 0.0]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    first, second = basis
    for _ in range(_MOST_REDUCTIONS):
        if first @ first > second @ second:
            first, second = second, first
        steps = np.round((first @ second) / (first @ first))
        if steps == 0:
            break
        second = second - steps * first
    return np.array([first, second])


def _relative_power(frame: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Half-plane power spectrum in units of the local noise level: noise is Exp(1)."""
    height, width = frame.shape
    side = min(height, width)
    # Squares of the largest floats would overflow; the scale means nothing here.
    frame = frame / np.maximum(np.abs(frame).max(), np.finfo(np.float32).tiny)
    flat = frame - ndimage.uniform_filter(frame, max(3, side // 6), mode="reflect")
    if not np.ptp(flat) > 0:
        return None
    window = np.hanning(height).astype(np.float32)[:, None] * np.hanning(width).astype(np.float32)
    spectrum = fft.rfft2(flat * window)
    relative = np.zeros(spectrum.shape, np.float32)
    gy, gx = _frequencies(frame.shape)
    # Only where reflections are looked for: a fifth of the half plane.
    rows = np.flatnonzero(np.abs(gy[:, 0]) <= _HIGHEST_CYCLES_PX)
    n_columns = int(np.searchsorted(gx[0], _HIGHEST_CYCLES_PX, side="right"))
    power = np.square(np.abs(spectrum[rows, :n_columns]))
    radius = np.hypot(gy[rows], gx[:, :n_columns])
    # Rings one bin wide; the median of an exponential law is ln 2 of its mean.
    ring = np.minimum((radius * side).astype(np.int32), side)
    level = _ring_medians(power, ring)
    noise = np.maximum(level[ring] / np.float32(np.log(2)), np.finfo(np.float32).tiny)
    outside = (radius < _LOWEST_CYCLES_PX) | (radius > _HIGHEST_CYCLES_PX)
    relative[rows, :n_columns] = np.where(outside, np.float32(0.0), power / noise)
    return relative


def _ring_medians(power: NDArray[np.float32], ring: NDArray[np.int32]) -> NDArray[np.float32]:
    order = np.argsort(ring, axis=None, kind="stable")
    counts = np.bincount(ring.ravel())
    ends = np.cumsum(counts)
    sorted_power = power.ravel()[order]
    return np.array(
        [
            np.median(sorted_power[end - count : end]) if count else 0.0
            for end, count in zip(ends, counts, strict=True)
        ],
        np.float32,
    )


def _frequencies(shape: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    gy = np.fft.fftfreq(shape[0])[:, None].astype(np.float64)
    gx = np.fft.rfftfreq(shape[1])[None].astype(np.float64)
    return gy, gx


def _spectral_peaks(
    relative: NDArray[np.float32], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centroids (N, 2) in cycles/px, one of each Friedel pair, strongest first, and their power."""
    top = (relative == ndimage.maximum_filter(relative, 7, mode=("wrap", "nearest"))) & (
        relative > _PEAK_POWER
    )
    places = np.argwhere(top)
    # The column gx = 0 holds both members of a pair: keep one.
    places = places[(places[:, 1] > 0) | (places[:, 0] < shape[0] // 2)]
    places = places[np.argsort(-relative[places[:, 0], places[:, 1]])][:_MOST_PEAKS]
    rows, columns = relative.shape
    reach = np.arange(-2, 3)
    found, strength = [], []
    for y, x in places:
        box = relative[np.ix_((y + reach) % rows, np.clip(x + reach, 0, columns - 1))]
        # At gx = 0, 1 the box would count the mirrored spot; the row profile stays right.
        total = float(box.sum())
        fy = (float(y) if y < rows / 2 else float(y) - rows) + float(box.sum(1) @ reach) / total
        fx = float(x) + (float(box.sum(0) @ reach) / total if x >= 2 else 0.0)
        found.append((fy / shape[0], fx / shape[1]))
        strength.append(min(float(relative[y, x]), 1e5))
    return np.array(found).reshape(-1, 2), np.array(strength)


def _best_hypothesis(
    peaks: NDArray[np.float64], weight: NDArray[np.float64], tolerance: float
) -> NDArray[np.float64] | None:
    """Reciprocal vectors (2, 2), rows, that index most log power beyond chance."""
    candidates = list(peaks[:_SEED_PEAKS])
    for one in range(min(_SEED_PAIRS, len(peaks))):
        for other in range(one):
            pair = (peaks[one] - peaks[other], peaks[one] + peaks[other])
            candidates += [g for g in pair if np.hypot(*g) > 1.5 * _LOWEST_CYCLES_PX]
    vectors = np.array(candidates)
    first, second = np.triu_indices(len(vectors), 1)
    bases = np.stack([vectors[first], vectors[second]], 1)  # (hypotheses, 2, 2)
    area = np.abs(np.linalg.det(bases))
    # A cell of the reciprocal net smaller than a few tolerance discs indexes anything.
    bases, area = bases[area > 12 * tolerance**2], area[area > 12 * tolerance**2]
    if not len(bases):
        return None
    index = peaks @ np.linalg.inv(bases)
    whole = np.round(index)
    miss = np.linalg.norm((index - whole) @ bases, axis=2)
    hit = (miss < tolerance) & (np.abs(whole).max(2) <= _HIGHEST_INDEX)
    chance = np.minimum(0.95, np.pi * tolerance**2 / area)
    density = 0.02 * np.pi * _HIGHEST_CYCLES_PX**2 / area / 2
    score = hit @ weight - 1.5 * chance * weight.sum() - density
    best: NDArray[np.float64] = bases[int(np.argmax(score))]
    return best


def _refine(
    reciprocal: NDArray[np.float64],
    peaks: NDArray[np.float64],
    weight: NDArray[np.float64],
    tolerance: float,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Weighted least squares over every indexed peak, three rounds."""
    hit = np.zeros(len(peaks), bool)
    for _ in range(3):
        index = peaks @ np.linalg.inv(reciprocal)
        whole = np.round(index)
        miss = np.linalg.norm((index - whole) @ reciprocal, axis=1)
        hit = (miss < tolerance) & (np.abs(whole).sum(1) > 0)
        if np.linalg.matrix_rank(whole[hit]) < 2:
            return reciprocal, np.zeros(len(peaks), bool)
        root = np.sqrt(weight[hit])[:, None]
        reciprocal = np.linalg.lstsq(whole[hit] * root, peaks[hit] * root, rcond=None)[0]
    return reciprocal, hit
