"""The rule by which sites of a crystal are found, and the view that every detector receives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Share of lattice neighbours that are where they should be: 0.19-0.22 in pure noise, 0.61-0.99
# on every real and simulated crystal tried, two domains included.
LEAST_LINKED = 0.45
_FEWEST_SITES = 20


@dataclass(frozen=True, slots=True)
class SiteRule:
    """How the sites of one crystal are found in a frame; part of a fitted model.

    Attributes
    ----------
    smooth_sigma_px
        Width of the Gaussian blur.
    polarity
        +1: sites are bright in the view, -1: they are dark.
    floor
        Least polarity * level of a site, on the scale where the 2nd and 98th percentile of the
        blurred frame are 0 and 1.
    min_distance_px
        Half width of the window in which an extremum must be the strongest.
    basis_px_yx : (2, 2)
        Lattice vectors, rows, pixels.
    levels
        Shares of the pixels of the blurred frame that lie below level 0 and below level 1.
    contrast
        +1: columns are bright; -1: dark, as in bright field, and the levels are turned round, so
        that columns are bright in the view of every frame.
    """

    smooth_sigma_px: float
    polarity: int
    floor: float
    min_distance_px: int
    basis_px_yx: NDArray[np.float64]
    levels: tuple[float, float] = (0.02, 0.98)
    contrast: int = 1

    @property
    def period_px(self) -> float:
        """Geometric mean of both vector lengths."""
        return float(np.sqrt(np.prod(np.linalg.norm(self.basis_px_yx, axis=1))))


@dataclass(frozen=True, slots=True)
class View:
    """What preparation made of a frame. Arrays belong to the finder and live until its next frame.

    Attributes
    ----------
    image : (H, W) float32
        Blurred frame on the scale of its own percentiles: 2 % -> 0, 98 % -> 1.
    places_yx : (N, 2) float64
        Site positions, pixels.
    predicted : (N,) bool
        Placed by the lattice or by its neighbours: there was no extremum where a site should be.
    rim : (N,) bool
        Where the frame shows no lattice, or beside such a place: its window is not ordinary.
    links : (N, 4) int32
        Neighbours at both lattice vectors and their opposites: row, `NOBODY` or `OUTSIDE`.
    linked : float
        Share of lattice neighbours found at their place, 0..1.
    basis_px_yx : (2, 2)
        Lattice vectors measured in this frame.
    rms_px
        Scatter of neighbour distances about these vectors, or of the sites about the lattice that
        predicted them; per axis.
    address : (N, 2) int64 or None
        Lattice address of each site, in the vectors of the lock that predicted it; None where
        the sites are extrema of the frame.
    period_px
        Geometric mean of their lengths.
    """

    image: NDArray[np.float32]
    places_yx: NDArray[np.float64]
    predicted: NDArray[np.bool_]
    rim: NDArray[np.bool_]
    links: NDArray[np.int32]
    linked: float
    basis_px_yx: NDArray[np.float64]
    rms_px: float
    address: NDArray[np.int64] | None = None

    @property
    def is_periodic(self) -> bool:
        """Enough neighbours are in place to call this a crystal."""
        return self.linked >= LEAST_LINKED and len(self.places_yx) >= _FEWEST_SITES

    @property
    def period_px(self) -> float:
        """Geometric mean of both measured vector lengths."""
        return float(np.sqrt(np.prod(np.linalg.norm(self.basis_px_yx, axis=1))))


def expected_places(view: View, sites: NDArray[np.intp]) -> NDArray[np.float64]:
    """Where the neighbours of some sites want them to be.

    A displaced column drags its own extremum along; its neighbours know better.

    Parameters
    ----------
    view
        With at least one site.
    sites : (M,)
        Rows of its sites.

    Returns
    -------
    (M, 2)
        Median over the neighbours in place, or the site's own place where there is none. Pixels.
    """
    own = view.places_yx[sites]
    vectors = np.concatenate([view.basis_px_yx, -view.basis_px_yx])
    links = view.links[sites]
    found = links >= 0
    wanted = np.where(found[..., None], view.places_yx[links] - vectors, np.inf)
    n_found = found.sum(axis=1)
    wanted[n_found == 0] = own[n_found == 0, None]
    n_found[n_found == 0] = len(vectors)
    # The median of the first n of four; nanmedian would take 50 times as long for few sites.
    wanted.sort(axis=1)
    row = np.arange(len(sites))
    expected: NDArray[np.float64] = (
        wanted[row, (n_found - 1) // 2] / 2 + wanted[row, n_found // 2] / 2
    )
    return expected
