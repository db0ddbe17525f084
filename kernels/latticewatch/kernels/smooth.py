"""Blur of a frame: a Gaussian, by itself or onto grey levels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


def gaussian_weights(sigma_px: float, truncate: float = 2.5) -> NDArray[np.float32]:
    """Sample a Gaussian on whole pixels out to `truncate` standard deviations, with sum one.

    >>> gaussian_weights(0.4).round(3).tolist() == np.float32([0.040, 0.919, 0.040]).tolist()
    True
    """
    radius_px = int(truncate * sigma_px + 0.5)
    offset_px = np.arange(-radius_px, radius_px + 1)
    # A width of zero is no blur, not a division by zero.
    weights = np.exp(-0.5 * (offset_px / max(sigma_px, 1e-6)) ** 2)
    normalised: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return normalised


def gaussian_scratch(width_px: int, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Allocate what `gaussian` needs for frames of this width."""
    return np.empty(width_px + len(weights) - 1, np.float32)


def difference_scratch(width_px: int, wide: NDArray[np.float32]) -> NDArray[np.float32]:
    """Allocate what `difference_of_gaussians` needs for frames of this width."""
    return np.empty((2, width_px + len(wide) - 1), np.float32)


@kernel
def mirrored(index: int, n: int) -> int:
    """Fold an index back into 0..n-1 as a mirror at the outer edge of the last pixel does."""
    folded = index % (2 * n)
    return folded if folded < n else 2 * n - 1 - folded


@kernel
def _start_row(
    weight: np.float32, row: NDArray[np.float32], bias: np.float32, out: NDArray[np.float32]
) -> None:
    for x in range(len(out)):
        out[x] = weight * row[x] + bias


@kernel
def _add_pair(
    weight: np.float32, one: NDArray[np.float32], two: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Add two rows of equal weight to a third."""
    # Whole rows, so that the index starts at 0: with an offset numba checks its sign at each
    # pixel and the loop stays scalar (7.4 ms a frame of 1024x1024 and 17 taps, now 1.9).
    for x in range(len(out)):
        out[x] += weight * (one[x] + two[x])


@kernel
def _add_two_pairs(
    weights: NDArray[np.float32],
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    three: NDArray[np.float32],
    four: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Add two such pairs of rows in one pass: fewer stores, 2.3 ms, now 2.0."""
    # Four pairs are too many arrays for the compiler to prove apart, and the loop stays scalar.
    weight, further = weights[0], weights[1]
    for x in range(len(out)):
        out[x] += weight * (one[x] + two[x]) + further * (three[x] + four[x])


@kernel
def _subtract_row(row: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for x in range(len(out)):
        out[x] -= row[x]


@kernel
def _blur_down(
    image: NDArray[np.float32], y: int, weights: NDArray[np.float32], scratch: NDArray[np.float32]
) -> None:
    """Blur row y along y, into the middle of the scratch, and mirror it at both its ends."""
    height, width = image.shape
    radius = len(weights) // 2
    middle = scratch[radius : radius + width]
    _start_row(weights[radius], image[y], np.float32(0.0), middle)
    for tap in range(1, radius, 2):
        one, two = image[mirrored(y - tap, height)], image[mirrored(y + tap, height)]
        three = image[mirrored(y - tap - 1, height)]
        four = image[mirrored(y + tap + 1, height)]
        _add_two_pairs(weights[radius + tap :], one, two, three, four, middle)
    if radius % 2 == 1:
        above = image[mirrored(y - radius, height)]
        _add_pair(weights[2 * radius], above, image[mirrored(y + radius, height)], middle)
    for x in range(radius):
        scratch[radius - 1 - x] = middle[mirrored(-1 - x, width)]
        scratch[radius + width + x] = middle[mirrored(width + x, width)]


@kernel
def _blur_across(
    scratch: NDArray[np.float32],
    weights: NDArray[np.float32],
    bias: np.float32,
    out: NDArray[np.float32],
) -> None:
    """Blur along x what the scratch holds, and add a constant."""
    # A row goes straight from the first direction into the second while it is in the nearest
    # cache; a whole frame between the two would be written and read once more.
    width, radius = len(out), len(weights) // 2
    _start_row(weights[radius], scratch[radius : radius + width], bias, out)
    for tap in range(1, radius, 2):
        left, right = radius - tap, radius + tap
        one, two = scratch[left : left + width], scratch[right : right + width]
        three = scratch[left - 1 : left - 1 + width]
        four = scratch[right + 1 : right + 1 + width]
        _add_two_pairs(weights[right:], one, two, three, four, out)
    if radius % 2 == 1:
        right = 2 * radius
        _add_pair(weights[right], scratch[:width], scratch[right : right + width], out)


@kernel
def gaussian(
    image: NDArray[np.float32],
    weights: NDArray[np.float32],
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Blur a frame with symmetric weights along y, then along x.

    Parameters
    ----------
    image : (H, W)
        Finite pixels: a NaN spreads over a square of the size of the weights.
    weights : (2 r + 1,)
        From `gaussian_weights`; symmetric, which is not checked. Beyond the edge the frame is
        mirrored, edge pixel included ("reflect" in SciPy), however small the frame is.
    scratch : (W + 2 r,)
        From `gaussian_scratch`; its content does not matter.
    out : (H, W)
        Receives the blurred frame; must not overlap `image`.
    """
    for y in range(len(image)):
        _blur_down(image, y, weights, scratch)
        _blur_across(scratch, weights, np.float32(0.0), out[y])


@kernel
def difference_of_gaussians(
    image: NDArray[np.float32],
    narrow: NDArray[np.float32],
    wide: NDArray[np.float32],
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Blur a frame twice and subtract the wider blur: a band of its waves.

    Parameters
    ----------
    image : (H, W)
        Finite pixels: a NaN spreads over a square of the size of the wider weights.
    narrow, wide : (2 r + 1,)
        As the weights of `gaussian`, of 4 standard deviations: what a blur cuts off of a large
        mean level would stay in the difference of two.
    scratch : (2, W + 2 r)
        From `difference_scratch`; its content does not matter.
    out : (H, W)
        Receives the difference; must not overlap `image`.
    """
    width = image.shape[1]
    line = scratch[1, :width]
    for y in range(len(image)):
        _blur_down(image, y, wide, scratch[0])
        _blur_across(scratch[0], wide, np.float32(0.0), line)
        _blur_down(image, y, narrow, scratch[0])
        _blur_across(scratch[0], narrow, np.float32(0.0), out[y])
        _subtract_row(line, out[y])


class SampledRows(NamedTuple):
    """Every so many rows of a frame, from the first on.

    Attributes
    ----------
    rows : (n, W) float32
        n = H / step, rounded up.
    step
        At least 1.
    """

    rows: NDArray[np.float32]
    step: int


def sampled_rows(shape: tuple[int, int], step: int) -> SampledRows:
    """Allocate every `step`-th row of a frame of this shape."""
    return SampledRows(np.empty((-(-shape[0] // step), shape[1]), np.float32), step)


@kernel
def gaussian_rows(
    image: NDArray[np.float32],
    weights: NDArray[np.float32],
    scratch: NDArray[np.float32],
    out: SampledRows,
) -> None:
    """Blur some rows of a frame, as `gaussian` does: enough to tell its levels.

    Parameters
    ----------
    image, weights, scratch
        As for `gaussian`.
    out
        From `sampled_rows`; receives the rows.
    """
    for row in range(len(out.rows)):
        _blur_down(image, row * out.step, weights, scratch)
        _blur_across(scratch, weights, np.float32(0.0), out.rows[row])


@kernel
def gaussian_levels(
    image: NDArray[np.float32],
    weights: NDArray[np.float32],
    levels: tuple[float, float],
    known: SampledRows,
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Blur a frame and map one level to 0 and another one to 1, without clipping.

    The same as `gaussian` and then `normalise`, but for rounding, in one pass over the frame.

    Parameters
    ----------
    image, weights, scratch
        As for `gaussian`.
    levels
        What becomes 0 and what becomes 1. If they are equal, the frame holds nothing, and `out`
        is zero; in the other order, dark becomes bright.
    known
        From `gaussian_rows`: these rows are not blurred again.
    out : (H, W)
        Receives the levelled frame; must not overlap `image`.
    """
    low, high = levels
    if low == high:
        out[:] = np.float32(0.0)
        return
    zero, gain = np.float32(low), np.float32(1.0 / (high - low))
    across = weights * gain
    for y in range(len(image)):
        if y % known.step == 0:
            source, target = known.rows[y // known.step], out[y]
            for x in range(len(target)):
                target[x] = (source[x] - zero) * gain
        else:
            _blur_down(image, y, weights, scratch)
            _blur_across(scratch, across, np.float32(-zero * gain), out[y])
