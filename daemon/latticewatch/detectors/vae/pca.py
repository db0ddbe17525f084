"""Dense residual of principal components: what 40 waves round each pixel leave of it.

A window of a crystal, wherever it is cut, is nearly a sum of few components. What they leave of the
pixel in the middle, for a window round every pixel, is one linear filter of the frame
(methods/vae.md 3.4): r(y) = x(y) - mu(c) - <h, window(y) - mu> with h = sum_k V_k(c) V_k.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg

Image = NDArray[np.float32]

WINDOW_PERIODS = 2.7
_FEWEST_WINDOWS = 200


@dataclass(frozen=True, slots=True)
class DenseParameters:
    """How a dense residual is fitted. Lengths are fractions of the lattice period.

    Attributes
    ----------
    window
        Side of the window: 64 px at a period of 23.5. At 1.4 it sees half as much of a defect.
    rank
        Components, at least 1: 20 find less, 80 redraw the defects as well.
    n_windows
        Windows drawn at random places, of all images together.
    trim
        Share of the windows that are worst redrawn, left out of the second fit. A window holds
        seven cells: with 5 % of the columns damaged a share of 0.05 lost 6 points of what is found
        at one false in a hundred, 0.2 none.
    seed
        Of the places.
    """

    window: float = WINDOW_PERIODS
    rank: int = 40
    n_windows: int = 800
    trim: float = 0.2
    seed: int = 1


@dataclass(frozen=True, slots=True)
class DensePca:
    """A filter that leaves of a frame what is strange. Its array is read-only.

    Attributes
    ----------
    weights : (C, C) float32
        The residual in the middle of a window is their sum of products with it; C is odd, their sum
        is zero: a change of offset leaves nothing, and a ramp nothing but rounding.
    bias
        Added to each residual; in the unit of the images.
    basis_px_yx : (2, 2)
        Lattice vectors in the images of the fit, rows, reduced.
    rank
        Components.
    n_windows
        Windows in the last fit.
    """

    weights: NDArray[np.float32]
    bias: float
    basis_px_yx: NDArray[np.float64]
    rank: int
    n_windows: int

    @property
    def period_px(self) -> float:
        """Geometric mean of both vector lengths."""
        return mean_period(self.basis_px_yx)

    @property
    def margin_px(self) -> int:
        """Pixels at each edge of a frame that have no residual."""
        return len(self.weights) // 2


def window_side(period_px: float, periods: float = WINDOW_PERIODS) -> int:
    """Side of a window, pixels: odd, so that one pixel is its middle.

    Examples
    --------
    >>> window_side(23.5)
    63
    """
    return 2 * int(periods * period_px / 2) + 1


def mean_period(basis_px_yx: NDArray[np.float64]) -> float:
    """Geometric mean of the lengths of two lattice vectors (2, 2), rows."""
    return float(np.sqrt(np.prod(np.linalg.norm(basis_px_yx, axis=1))))


def fit_dense(
    images: Sequence[Image],
    basis_px_yx: NDArray[np.float64],
    parameters: DenseParameters | None = None,
) -> DensePca:
    """Learn the components of bulk, and the filter that takes them out.

    Parameters
    ----------
    images : each (H, W)
        Blurred by 0.085 of a period, all on the same scale, as `View.image` is. NaN marks what is
        no bulk: no window holds it.
    basis_px_yx : (2, 2)
        Reduced lattice vectors in them, rows, pixels.
    parameters
        The defaults if None.

    Raises
    ------
    ValueError
        Fewer than 200 different windows fit into what is bulk.

    Notes
    -----
    Through the n x n matrix of products of n windows: 0.5 s for 800 of them. The mean level of a
    window is always among the components.
    """
    settings = parameters or DenseParameters()
    side = window_side(mean_period(basis_px_yx), settings.window)
    rows = draw_windows(images, side, settings)
    # Twice: a window with a defect in it would make that defect ordinary.
    kept = rows
    mean, basis = _components(rows, settings.rank)
    if settings.trim > 0:
        left = _left_over(rows, mean, basis)
        kept = rows[left <= np.quantile(left, 1.0 - settings.trim)]
        mean, basis = _components(kept, settings.rank)
    middle = side * side // 2
    taken = basis[:, middle] @ basis
    weights = -taken
    weights[middle] += 1.0
    bias = -float(weights @ mean)
    kernel: NDArray[np.float32] = weights.reshape(side, side).astype(np.float32)
    vectors = np.array(basis_px_yx, np.float64)
    kernel.flags.writeable = vectors.flags.writeable = False
    return DensePca(kernel, bias, vectors, len(basis) - 1, len(kept))


def draw_windows(
    images: Sequence[Image], side: int, parameters: DenseParameters
) -> NDArray[np.float32]:
    """Cut windows (N, side * side) at random places where all of them is finite."""
    rng = np.random.default_rng(parameters.seed)
    corners = [_whole_windows(image, side) for image in images]
    counts = np.array([len(one) for one in corners])
    n_all = int(counts.sum())
    if n_all < _FEWEST_WINDOWS:
        raise ValueError(f"{n_all} windows of {side} px fit into the bulk; at least 200 are needed")
    chosen = np.sort(rng.choice(n_all, min(parameters.n_windows, n_all), replace=False))
    owner = np.searchsorted(np.cumsum(counts), chosen, side="right")
    first = np.cumsum(counts) - counts
    rows = np.empty((len(chosen), side * side), np.float32)
    for row, (image, number) in enumerate(zip(owner, chosen - first[owner], strict=True)):
        y, x = corners[image][number]
        rows[row] = images[image][y : y + side, x : x + side].ravel()
    return rows


def _whole_windows(image: Image, side: int) -> NDArray[np.intp]:
    """Top left corners (N, 2) of all windows without a NaN."""
    height, width = image.shape
    if height < side or width < side:
        return np.empty((0, 2), np.intp)
    spoilt = np.zeros((height + 1, width + 1), np.int64)
    np.cumsum(np.cumsum(~np.isfinite(image), axis=0), axis=1, out=spoilt[1:, 1:])
    inside = spoilt[side:, side:] - spoilt[:-side, side:]
    inside += spoilt[:-side, :-side] - spoilt[side:, :-side]
    return np.argwhere(inside == 0)


def _components(
    rows: NDArray[np.float32], rank: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (P,), and as rows (k + 1, P) the constant and the leading components beside it."""
    mean = rows.mean(axis=0, dtype=np.float64)
    off = rows - mean.astype(np.float32)
    # Without their own level, so that no component spends itself on it.
    off -= off.mean(axis=1, keepdims=True)
    most = min(rank, len(rows) - 1)
    products = off.astype(np.float64) @ off.T.astype(np.float64)
    beyond = len(rows) - most
    power, combined = linalg.eigh(products, subset_by_index=(beyond, len(rows) - 1))
    there = power > 1e-9 * max(float(power[-1]), np.finfo(np.float64).tiny)
    basis = (combined[:, there] / np.sqrt(power[there])).T @ off
    level = np.full((1, rows.shape[1]), 1.0 / np.sqrt(rows.shape[1]))
    return mean, np.concatenate([level, basis[::-1]])


def _left_over(
    rows: NDArray[np.float32], mean: NDArray[np.float64], basis: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of squares (N,) of what the components leave of each window."""
    off = rows - mean
    left: NDArray[np.float64] = np.square(off).sum(axis=1) - np.square(off @ basis.T).sum(axis=1)
    return left


class DenseResidual:
    """Takes the components out of frames, one shape after the other."""

    def __init__(self, model: DensePca) -> None:
        self.model = model
        self._shape = (0, 0)

    def residual(self, image: Image) -> Image:
        """Take the components out of a frame; what they leave of each pixel.

        Parameters
        ----------
        image : (H, W)
            Finite, blurred and levelled as the images of the fit were.

        Returns
        -------
        (H, W) float32
            In the unit of the image; positive where it is brighter than expected. NaN within
            `margin_px` of an edge, where no whole window fits. A new array each time.
        """
        height, width = image.shape
        margin = self.model.margin_px
        if min(height, width) <= 2 * margin:
            return np.full(image.shape, np.nan, np.float32)
        self._reserve((height, width))
        # Circular, so wrong where the window leaves the frame: there is no residual there.
        waves = fft.rfft2(image, s=self._padded, workers=1)
        waves *= self._transform
        # The bias as the mean of all pixels: adding it to each takes 0.3 ms.
        waves[0, 0] += np.float32(self.model.bias * self._padded[0] * self._padded[1])
        left: Image = fft.irfft2(waves, s=self._padded, workers=1, overwrite_x=True)
        left = np.ascontiguousarray(left[:height, :width])
        left[:margin] = left[height - margin :] = np.nan
        left[:, :margin] = left[:, width - margin :] = np.nan
        return left

    def _reserve(self, shape: tuple[int, int]) -> None:
        if shape == self._shape:
            return
        self._shape = shape
        self._padded = tuple(fft.next_fast_len(side, real=True) for side in shape)
        margin, weights = self.model.margin_px, self.model.weights
        around = np.zeros(self._padded, np.float64)
        around[: len(weights), : len(weights)] = weights
        # The middle at the origin; conjugate, for a correlation is a convolution turned round.
        centred = np.roll(around, (-margin, -margin), axis=(0, 1))
        self._transform = np.conj(fft.rfft2(centred)).astype(np.complex64)
