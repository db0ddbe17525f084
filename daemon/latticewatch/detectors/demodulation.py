"""Two reflections of a lattice from place to place: amplitude, phase, noise, where they hold."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.gaps import fill_gaps
from latticewatch.kernels.grids import block_means, halve, thin
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights
from latticewatch.kernels.waves import block_wave, subtract_level

Grid = NDArray[np.float32]
Waves = NDArray[np.complex64]
_Value = TypeVar("_Value", bound=np.generic)

# Lengths in lattice periods.
# Over which a wave is averaged first. What the blocks alias to zero is what they average away.
_BLOCK = 0.5
LOW_PASS_PERIODS = 1.5
"""Standard deviation of the low-pass: wide enough for 28 cells, narrow enough for the scan."""
_BACKGROUND = 2.0
_FEWEST_BLOCKS = 9
# From so many on along the shorter side, every second block says as much: the low-pass is three
# blocks wide. With fewer the edges of the frame would suffer, and little time is gained.
_MANY_BLOCKS = 100
_THIN_VARIANCE = 0.75  # of `thin`, blocks
# Between the reflections, in no simple ratio, where a superlattice has none of its own either.
_BETWEEN = np.array([0.382, 0.433])
_SIGNS = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)])
_CALM = 0.2
_NONE = np.empty((0, 2), np.int64)
NOWHERE = np.zeros((1, 1), bool)
"""No place is taken by another domain."""
# A crystal's border lies where its wave is half as high as inside.
_LEAST_AMPLITUDE = 0.5
# The gain may fall by this much, and the wave with it.
_LEAST_BRIGHTNESS = 0.5
# Times the noise of a wave: chance gets there at 3 blocks in 1000, as the geometric mean of two
# amplitudes, which follows Rayleigh's law each, does.
_OVER_NOISE = 1.9
_ROUNDS = 3
# Such a period loses nothing in bins of 2 x 2 pixels, which leave a quarter of the arithmetic: what
# they fold lies beyond |g| = 0.28, where no reflection is looked for.
_COARSE_PX = 10.0


@dataclass(frozen=True, slots=True)
class Demodulated:
    """Two reflections at the blocks of a frame.

    Attributes
    ----------
    waves : (2, h, w)
        Complex amplitudes against the phase of the lattice given.
    noise
        Root mean square of what noise alone gives.
    brightness : (h, w)
        Mean of the frame over a few periods, over its median.
    step_px
        Side of a block: that asked for, or twice that.
    others : (h, w) each
        Further reflections, not low-passed.
    free : (h, w) bool
        Where no other domain is: there the noise was measured, and there the wave is as high as
        inside. None where there is no other.
    """

    waves: Waves
    noise: float
    brightness: Grid
    step_px: int
    others: tuple[Waves, ...]
    free: NDArray[np.bool_] | None

    @property
    def amplitude(self) -> Grid:
        """Geometric mean of both amplitudes, (h, w): high only where both reflections are."""
        product = np.abs(self.waves[0]) * np.abs(self.waves[1])
        mean: Grid = np.sqrt(product).astype(np.float32)
        return mean


def block_side(period_px: float) -> int:
    """Side of the blocks for a lattice of this period, pixels: a multiple of the bins'."""
    bin_px = _bin_side(period_px)
    return max(2, bin_px * round(_BLOCK * period_px / bin_px))


def _bin_side(period_px: float) -> int:
    return 2 if period_px >= _COARSE_PX else 1


def has_blocks(shape_yx: tuple[int, ...], step_px: int) -> bool:
    """Tell whether a frame has enough blocks to say anything."""
    return min(shape_yx) // step_px >= _FEWEST_BLOCKS


def demodulate(
    image: Grid,
    reciprocal_per_px: NDArray[np.float64],
    chosen: NDArray[np.int64],
    step_px: int,
    others: NDArray[np.int64] = _NONE,
    taken: NDArray[np.bool_] = NOWHERE,
) -> Demodulated:
    """Amplitude and phase of two reflections, and of the noise between them.

    Parameters
    ----------
    image : (H, W)
        Finite.
    reciprocal_per_px : (2, 2)
        Rows [gy, gx], cycles per pixel.
    chosen : (2, 2)
        Indices of the reflections, rows.
    step_px
        From `block_side`.
    others : (N, 2)
        Indices of further reflections, of which the plain means of blocks are wanted.
    taken : (k, m)
        Where another domain is, on any grid over the frame. A large one with a reflection between
        those of this lattice would pass for noise.
    """
    period_px = float(1 / np.sqrt(abs(np.linalg.det(reciprocal_per_px))))
    image = np.ascontiguousarray(image)
    # A lattice that is followed keeps its blocks, whatever its period has become.
    bin_px = _bin_side(period_px) if step_px % 2 == 0 else 1
    binned = _halved(image) if bin_px > 1 else image
    side = step_px // bin_px
    means = _means(binned, side)
    slow = blurred(means, _BACKGROUND * period_px / step_px)
    passed = _LowPass(LOW_PASS_PERIODS * period_px / step_px, min(means.shape) >= _MANY_BLOCKS)
    between = chosen[0] + _BETWEEN * _SIGNS
    # Which vectors span the lattice is chance; the place that is farthest out does not depend on
    # it, and is farthest from the slow background.
    farthest = np.argmax(np.linalg.norm(between @ reciprocal_per_px, axis=1))
    g_per_px = np.concatenate([chosen, between[farthest, None]]) @ reciprocal_per_px
    three = [passed.wave(_block_wave(binned, g * bin_px, side, slow)) for g in g_per_px]
    # A bin's centre lies so far from that of its first pixel.
    late = np.exp(-1j * np.pi * (bin_px - 1) * g_per_px.sum(axis=1)).astype(np.complex64)
    free = _free(taken, (three[2].shape[0], three[2].shape[1]))
    # Quantile of Rayleigh's law. A low one, since another domain may have a reflection there.
    noise = _ranked(_where(np.abs(three[2]), free), _CALM) / float(np.sqrt(-np.log1p(-_CALM)))
    background, slow = slow, passed.thinned(slow)
    middle = _ranked(slow, 0.5)
    brightness = slow / np.float32(middle) if middle > 0 else np.ones_like(slow)
    waves = np.stack([late[0] * three[0], late[1] * three[1]])
    raw = [
        passed.plain(_block_wave(binned, g * bin_px, side, background))
        * np.complex64(np.exp(-1j * np.pi * (bin_px - 1) * g.sum()))
        for g in others @ reciprocal_per_px
    ]
    return Demodulated(waves, noise, brightness, step_px * passed.every, tuple(raw), free)


def resampled(grid: NDArray[_Value], shape: tuple[int, int]) -> NDArray[_Value]:
    """Values (h, w) of a grid (k, m) over the same frame, at the nearest of its blocks."""
    rows, columns = (
        ((np.arange(n) + 0.5) * m / n).astype(np.intp)
        for n, m in zip(shape, grid.shape, strict=True)
    )
    values: NDArray[_Value] = grid[rows[:, None], columns]
    return values


def _free(taken: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Blocks (h, w) that lie in no place taken; None where that is all of them, or none."""
    if not taken.any():
        return None
    free = ~resampled(taken, shape)
    return free if free.any() else None


def _where(values: Grid, chosen: NDArray[np.bool_] | None) -> Grid:
    return values if chosen is None else values[chosen]


def _ranked(values: Grid, share: float) -> float:
    """Value that a share of the others do not reach; np.median takes five times as long."""
    rank = int(share * (values.size - 1))
    return float(np.partition(values.ravel(), rank)[rank])


def _halved(image: Grid) -> Grid:
    out = np.empty((image.shape[0] // 2, image.shape[1] // 2), np.float32)
    halve(image, out)
    return out


def _means(image: Grid, step: int) -> Grid:
    means = np.empty((image.shape[0] // step, image.shape[1] // step), np.float32)
    block_means(image, step, means)
    return means


def where_it_holds(found: Demodulated) -> tuple[Grid, NDArray[np.bool_]]:
    """Relative amplitude (h, w), one where the lattice is, and whether it is there (h, w)."""
    amplitude = found.amplitude
    dim = np.clip(found.brightness, _LEAST_BRIGHTNESS, 1.0)
    inside = _ranked(_where(amplitude, found.free), 0.9)
    holds = np.zeros(amplitude.shape, bool)
    for _ in range(_ROUNDS):
        least = np.maximum(_LEAST_AMPLITUDE * inside * dim, _OVER_NOISE * found.noise)
        before, holds = holds, amplitude > least
        if not holds.any() or (holds == before).all():
            break
        inside = _ranked(amplitude[holds], 0.5)
    return amplitude / np.float32(max(inside, 1e-30)), holds


def extended(waves: Waves, holds: NDArray[np.bool_]) -> Waves:
    """Phase factors (2, h, w) of the waves; where they do not hold, those of their surroundings."""
    factors = waves / np.maximum(np.abs(waves), np.finfo(np.float32).tiny)
    if not holds.all() and holds.any():
        for factor in factors:
            parts = np.stack([factor.real, factor.imag]).astype(np.float32)
            fill_gaps(parts, holds)
            factor[~holds] = (parts[0] + np.complex64(1j) * parts[1])[~holds]
    return factors.astype(np.complex64)


@dataclass(frozen=True, slots=True)
class _LowPass:
    """Gaussian low-pass of grids; of many blocks every second one is kept.

    Attributes
    ----------
    sigma
        Standard deviation, blocks.
    is_thinned
        Whether a quarter of the blocks is left.
    """

    sigma: float
    is_thinned: bool

    @property
    def every(self) -> int:
        """Blocks along a side that become one."""
        return 2 if self.is_thinned else 1

    def thinned(self, grid: Grid) -> Grid:
        """Grid as it is, or a quarter of it."""
        if not self.is_thinned:
            return grid
        out = np.empty((grid.shape[0] // 2, grid.shape[1] // 2), np.float32)
        thin(grid, out)
        return out

    def plain(self, parts: Grid) -> Waves:
        """Wave of these parts (2, h, w) as it is, or a quarter of it."""
        return self.thinned(parts[0]) + np.complex64(1j) * self.thinned(parts[1])

    def wave(self, parts: Grid) -> Waves:
        """Low-passed wave of these parts (2, h, w)."""
        sigma = self.sigma
        if self.is_thinned:
            sigma = float(np.sqrt(sigma**2 - _THIN_VARIANCE)) / 2
        real, imaginary = (blurred(self.thinned(part), sigma) for part in parts)
        return real + np.complex64(1j) * imaginary


def _block_wave(image: Grid, g: NDArray[np.float64], step: int, slow: Grid) -> Grid:
    """Wave (2, h, w) of the frame less its background, which a block takes as constant."""
    parts = np.empty((2, *slow.shape), np.float32)
    block_wave(image, (float(g[0]), float(g[1])), step, parts)
    rows, columns = (_mean_carrier(float(p), step, n) for p, n in zip(g, slow.shape, strict=True))
    subtract_level(slow, rows, columns, parts)
    return parts


def _mean_carrier(g: float, step: int, n_blocks: int) -> Grid:
    """Mean of exp(-2 pi i g x) over each of n blocks of `step` pixels: (2, n), its two parts."""
    inside = np.exp(-2j * np.pi * g * np.arange(step)).mean()
    carrier = inside * np.exp(-2j * np.pi * ((g * step * np.arange(n_blocks)) % 1.0))
    return np.stack([carrier.real, carrier.imag]).astype(np.float32)


def blurred(grid: Grid, sigma: float) -> Grid:
    """Gaussian blur of a small grid (h, w), mirrored at its border."""
    weights, out = gaussian_weights(sigma), np.empty_like(grid)
    gaussian(grid, weights, gaussian_scratch(grid.shape[1], weights), out)
    return out
