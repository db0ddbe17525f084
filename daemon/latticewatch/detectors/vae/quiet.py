"""Windows of bulk to learn from: drawn at random, without what is strange even to a first look."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.vae.null import deviations

Image = NDArray[np.float32]

_CANDIDATES = 6  # per window that is wanted
_LEAST_SHARE = 0.25  # of the candidates are taken, however strange the images are


@dataclass(frozen=True, slots=True)
class Candidates:
    """Places of windows in some images.

    Attributes
    ----------
    image : (N,)
        Index of the image that each is in.
    corner_yx : (N, 2)
        Top left pixel.
    side
        Pixels.
    """

    image: NDArray[np.intp]
    corner_yx: NDArray[np.intp]
    side: int

    def cut(self, images: Sequence[Image], chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """Copy some of the windows (M, side * side)."""
        rows = np.empty((len(chosen), self.side * self.side), np.float32)
        for row, number in enumerate(chosen):
            y, x = self.corner_yx[number]
            part = images[self.image[number]][y : y + self.side, x : x + self.side]
            rows[row] = part.ravel()
        return rows


def draw_candidates(images: Sequence[Image], side: int, n_windows: int, seed: int) -> Candidates:
    """Draw places of windows without a NaN, more than are wanted.

    Raises
    ------
    ValueError
        Fewer than 200 different windows fit.
    """
    corners = [_whole_windows(image, side) for image in images]
    counts = np.array([len(one) for one in corners])
    n_all = int(counts.sum())
    if n_all < 200:
        raise ValueError(f"{n_all} windows of {side} px fit into the bulk; at least 200 are needed")
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.choice(n_all, min(_CANDIDATES * n_windows, n_all), replace=False))
    owner = np.searchsorted(np.cumsum(counts), drawn, side="right")
    places = np.concatenate(corners)[drawn]
    order = rng.permutation(len(drawn))
    return Candidates(owner[order], places[order], side)


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


def choose_quiet(
    candidates: Candidates, residuals: Sequence[Image], period_px: float, strange: float, n: int
) -> NDArray[np.intp]:
    """Choose windows (n,) that hold nothing stranger than ordinary noise is.

    Parameters
    ----------
    candidates
        In random order.
    residuals
        What a filter leaves of each image. Nothing is known, and nothing said, where it is NaN.
    period_px
        Of the lattice.
    strange
        Most that a block of one period may deviate from the others of its image, in their standard
        deviations, see `null.deviations`.
    n
        At most so many.
    """
    worst = np.empty(len(candidates.image))
    for index, residual in enumerate(residuals):
        own = candidates.image == index
        worst[own] = _worst_inside(
            _strangeness(residual, round(period_px)),
            round(period_px),
            candidates.corner_yx[own],
            candidates.side,
        )
    limit = max(strange, float(np.quantile(worst, _LEAST_SHARE)))
    return np.flatnonzero(worst <= limit)[:n]


def _strangeness(residual: Image, step: int) -> NDArray[np.float64]:
    """How far the energy of each block (h, w) is beyond that of the others; -inf where unknown."""
    known = np.isfinite(residual)
    squares = np.where(known, np.square(residual), 0.0)
    energy = ndimage.gaussian_filter(squares, 0.128 * step, mode="nearest")
    height, width = (side // step for side in residual.shape)
    blocks = (height, step, width, step)
    inner = energy[: height * step, : width * step].reshape(blocks).max(axis=(1, 3))
    whole = known[: height * step, : width * step].reshape(blocks).all(axis=(1, 3))
    away = deviations(np.where(whole, inner, np.nan).ravel()).reshape(height, width)
    return np.where(np.isnan(away), -np.inf, away)


def _worst_inside(
    strangeness: NDArray[np.float64], step: int, corners: NDArray[np.intp], side: int
) -> NDArray[np.float64]:
    """Strangeness of the worst block that each window (N,) touches."""
    last = np.array(strangeness.shape) - 1
    first = np.minimum(corners // step, last)
    beyond = np.minimum((corners + side - 1) // step, last) + 1
    return np.array(
        [
            strangeness[top:bottom, left:right].max()
            for (top, left), (bottom, right) in zip(first, beyond, strict=True)
        ]
    )
