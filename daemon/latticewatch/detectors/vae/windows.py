"""Windows locked to the lattice: what the network is shown of each site, and where it is scored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.turned import net_change
from latticewatch.detectors.vae.parameters import CELL_SHARE
from latticewatch.detectors.view import SiteRule, View, expected_places
from latticewatch.detectors.windows import judgeable
from latticewatch.kernels.gather import compare_windows, sample_windows

Stack = NDArray[np.float32]

_SAME_NET = 0.1  # nets whose vectors differ by more are not the model's crystal


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How windows are cut and compared; part of a fitted model.

    Attributes
    ----------
    step_px
        Between points of a window, pixels of the frame: fixed, so that a magnified frame looks
        magnified.
    usual : (S, S) float32
        Median window of the reference, levels.
    weights : (S, S) float32
        By which the level of a window is taken from what surrounds its cell; sum 1.
    scale
        Spread of the windows about the usual one, levels: differences are divided by it.
    drawn_px
        Side of the middle that is drawn and scored, points.
    """

    step_px: float
    usual: NDArray[np.float32]
    weights: NDArray[np.float32]
    scale: float
    drawn_px: int

    @property
    def size(self) -> int:
        """Points along a side of a window."""
        return len(self.usual)

    @property
    def span_px(self) -> int:
        """Side of the square of frame pixels that a window needs, odd."""
        return 2 * int(np.ceil((self.size - 1) / 2 * self.step_px)) + 1

    @property
    def middle(self) -> slice:
        """Rows, or columns, of a window that are drawn."""
        rim = (self.size - self.drawn_px) // 2
        return slice(rim, rim + self.drawn_px)


def matching_lock(rule: SiteRule, lock: LatticeLock | None) -> LatticeLock | None:
    """Return the lock if it is of the model's net, else None: then sites are looked for.

    In a small field a perovskite's lock may take both kinds of columns for one.
    """
    if lock is None:
        return None
    change = net_change(rule.basis_px_yx, lock.basis_px_yx)
    return lock if change is not None and abs(change[0] - 1.0) < _SAME_NET else None


def window_places(view: View, sites: NDArray[np.intp]) -> NDArray[np.float64]:
    """Where windows are cut (M, 2): where the neighbours want each site, pixels.

    A displaced column would take its own window along, and look at its place.
    """
    return expected_places(view, sites) if len(sites) else np.empty((0, 2))


def judgeable_sites(view: View, rule: SiteRule, windows: WindowRule) -> NDArray[np.bool_]:
    """Which sites (N,) have a whole window that no edge disturbs."""
    return judgeable(view, windows.span_px + 2, rule.smooth_sigma_px)


def cut_windows(
    image: NDArray[np.float32], places_yx: NDArray[np.float64], step_px: float, size: int
) -> tuple[Stack, NDArray[np.bool_]]:
    """Windows (N, size, size) as they are, and whether each is whole."""
    out = np.empty((len(places_yx), size, size), np.float32)
    inside = np.empty(len(places_yx), np.bool_)
    sample_windows(image, np.ascontiguousarray(places_yx), step_px, out, inside)
    return out, inside


def compared(windows: Stack, rule: WindowRule) -> Stack:
    """Change windows (N, S, S) in place into their differences from the usual one; return them."""
    compare_windows(windows, rule.usual, rule.weights, rule.scale)
    return windows


def cell_points(basis_px_yx: NDArray[np.float64], step_px: float, size: int) -> NDArray[np.bool_]:
    """Points (size, size) that belong to the cell of the middle site, and a little more.

    Parameters
    ----------
    basis_px_yx : (2, 2)
        Lattice vectors, rows, pixels.
    step_px
        Between points.
    size
        Odd.

    Returns
    -------
    (size, size) bool
        The Wigner-Seitz cell, a tenth larger, cut off at the edge of the square.

    Examples
    --------
    >>> cell_points(np.array([[4.0, 0.0], [0.0, 4.0]]), 1.0, 7)[3].tolist()
    [False, True, True, True, True, True, False]
    """
    first, second = basis_px_yx
    offsets = (np.arange(size) - (size - 1) / 2) * step_px
    y, x = np.meshgrid(offsets, offsets, indexing="ij")
    inside = np.ones((size, size), bool)
    for step in (first, second, first + second, first - second):
        inside &= np.abs(y * step[0] + x * step[1]) <= CELL_SHARE * (step @ step) / 2
    return inside


def level_weights(
    basis_px_yx: NDArray[np.float64], step_px: float, size: int
) -> NDArray[np.float32]:
    """Weights (size, size) of the points outside the cell, sum 1."""
    outside = ~cell_points(basis_px_yx, step_px, size)
    if not outside.any():
        raise ValueError("the cell of a site fills its window")
    weights: NDArray[np.float32] = (outside / outside.sum()).astype(np.float32)
    return weights
