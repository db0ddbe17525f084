"""Dense residual of principal components: what 40 waves round each pixel leave of it.

A window of a crystal, wherever it is cut, is nearly a sum of few components. What they leave of the
pixel in the middle, for a window round every pixel, is one linear filter of the frame
(methods/vae.md 3.4): r(y) = x(y) - mu(c) - <h, window(y) - mu> with h = sum_k V_k(c) V_k.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from latticewatch.detectors.vae.components import (
    MOST_COMPONENTS,
    choose_rank,
    lattice_waves,
    learn_components,
)
from latticewatch.detectors.vae.quiet import choose_quiet, draw_candidates

Image = NDArray[np.float32]

WINDOW_PERIODS = 2.7
_ROUNDS = 2
_FIRST_LOOK = 3.2


@dataclass(frozen=True, slots=True)
class DenseParameters:
    """How a dense residual is fitted. Lengths are fractions of the lattice period.

    Attributes
    ----------
    window
        Side of the window: 64 px at a period of 23.5. At 1.4 it sees half as much of a defect.
    waves
        Waves of the lattice up to here, in turns per period, are taken out before any component is
        learned: of a blur of 0.085 of a period an eighth is left there. Defects in the images
        cannot spoil them. 0 for components alone.
    rank
        Components learned beside them; None for as many as make a column stand out most, see
        `choose_rank`. Without waves, 40 on the image of methods/vae.md, where 80 redraw the defects
        as well; on simulated images 12 to 24, where 40 cost a third of the contrast.
    n_windows
        Windows drawn at random places, of all images together.
    strange
        A window is not learned from if a part of it is stranger than this, in standard deviations
        of its image. A window holds seven cells: to leave out the worst twentieth of them instead
        lost 6 points of what is found where 5 % of the columns were damaged.
    seed
        Of the places.
    """

    window: float = WINDOW_PERIODS
    waves: float = 3.2
    rank: int | None = None
    n_windows: int = 800
    strange: float = 3.5
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
        Waves and components.
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
    0.7 s of processor time for an image of 512x512. The mean level of a window is always among the
    components.
    """
    settings = parameters or DenseParameters()
    period_px = mean_period(basis_px_yx)
    side = window_side(period_px, settings.window)
    candidates = draw_candidates(images, side, settings.n_windows, settings.seed)
    # 1. The waves of the lattice leave of a defect what it is, whatever the images hold.
    # 2. Components of the windows that were quiet then leave less of bulk: who is quiet, once more.
    waves = lattice_waves(basis_px_yx, side, settings.waves)
    mean, basis = np.zeros(side * side), lattice_waves(basis_px_yx, side, _FIRST_LOOK)
    learned = np.arange(0)
    for _ in range(_ROUNDS):
        filter_ = DenseResidual(_model(mean, basis, basis_px_yx, len(learned)))
        residuals = [filter_.residual(np.nan_to_num(image)) for image in images]
        chosen = choose_quiet(
            candidates, residuals, period_px, settings.strange, 2 * settings.n_windows
        )
        learned, held_out = chosen[::2], chosen[1::2]
        most = MOST_COMPONENTS if settings.rank is None else settings.rank
        mean, basis = learn_components(candidates.cut(images, learned), waves, most)
        if settings.rank is None:
            cut_out = candidates.cut(images, held_out)
            rank = choose_rank(mean, basis, len(waves), cut_out, period_px)
            basis = basis[: len(waves) + rank]
    return _model(mean, basis, basis_px_yx, len(learned))


def _model(
    mean: NDArray[np.float64],
    basis: NDArray[np.float64],
    basis_px_yx: NDArray[np.float64],
    n_windows: int,
) -> DensePca:
    """Filter that takes out some orthonormal rows, the first of which is constant."""
    side = round(np.sqrt(len(mean)))
    middle = len(mean) // 2
    weights = -(basis[:, middle] @ basis)
    weights[middle] += 1.0
    bias = -float(weights @ mean)
    kernel: NDArray[np.float32] = weights.reshape(side, side).astype(np.float32)
    vectors = np.array(basis_px_yx, np.float64)
    kernel.flags.writeable = vectors.flags.writeable = False
    return DensePca(kernel, bias, vectors, len(basis) - 1, n_windows)


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
        # One direction after the other, in place: rfft2 and irfft2 each take one more array of the
        # frame's size (56 ms at 2048 x 2048, now 43).
        waves = fft.rfft(image, n=self._padded[1], axis=1, workers=1)
        waves = fft.fft(waves, n=self._padded[0], axis=0, overwrite_x=True, workers=1)
        waves *= self._transform
        # The bias as the mean of all pixels: adding it to each takes 0.3 ms.
        waves[0, 0] += np.float32(self.model.bias * self._padded[0] * self._padded[1])
        waves = fft.ifft(waves, axis=0, overwrite_x=True, workers=1)
        left: Image = fft.irfft(waves, n=self._padded[1], axis=1, overwrite_x=True, workers=1)
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
