"""What a frame shows beyond its own mean cell, as one step of the detector hands it to the next."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.cell_sites import Sites
from latticewatch.detectors.held import at_blocks
from latticewatch.detectors.mean_cell import Columns


@dataclass(frozen=True, slots=True)
class Strangers:
    """Columns of a frame that are left out of the next one's mean cell, too.

    Attributes
    ----------
    coordinates : (M, 2)
        Cell coordinates, address and fraction.
    reach_px
        What is left out round each, pixels of the frame.
    """

    coordinates: NDArray[np.float64]
    reach_px: float

    @classmethod
    def among(
        cls, sites: Sites, is_strange: NDArray[np.bool_], columns: Columns, widths: float
    ) -> "Strangers":
        """Those of the sites that are strange; so many widths of a column are left out."""
        coordinates = sites.addresses[is_strange] + columns.fraction[sites.label[is_strange]]
        return cls(coordinates, widths * columns.sigma_px)


@dataclass(frozen=True, slots=True)
class Residue:
    """A frame explained by its cell. Arrays belong to the maker and live until its next frame.

    Lengths are in pixels of a frame that is binned by `stride`.

    Attributes
    ----------
    stride
        So many pixels of the frame, both ways, are one pixel here.
    columns
        Of the mean cell.
    height : (S,)
        Intensity of each above the ground: the height of its Gaussian.
    sites
        Columns of the crystal in the frame.
    gain : (N,)
        Local gain at the sites.
    residual, precision, weighted : (H, W)
        Frame less predicted frame, 1 / variance, and their product.
    bins : (H, W)
        Bin of the cell that each pixel lies in.
    sums : (N, 6)
        Of `match_columns` at the sites.
    scale : (3,)
        Standard deviation of the three statistics over all sites.
    normal : (N, 7)
        What is normal for each site: three centres and three widths of its statistics, and the
        skewness of the first.
    scatter : (N, 2)
        Widths of both displacement statistics, the error of the lattice included.
    basis_px_yx : (2, 2)
        Lattice vectors, rows.
    nearest_px
        Distance between nearest columns of the crystal.
    within : (h, w)
        Blocks of `step_px` pixels that hold the lattice, and so do all within three periods.
    flawed : (H, W) or None
        Pixels near bad ones; None where there are none.
    strangers
        For the next frame of this crystal.
    """

    stride: int
    columns: Columns
    height: NDArray[np.float64]
    sites: Sites
    gain: NDArray[np.float64]
    residual: NDArray[np.float32]
    precision: NDArray[np.float32]
    weighted: NDArray[np.float32]
    bins: NDArray[np.uint16]
    sums: NDArray[np.float64]
    scale: NDArray[np.float64]
    normal: NDArray[np.float64]
    scatter: NDArray[np.float64]
    basis_px_yx: NDArray[np.float64]
    nearest_px: float
    within: NDArray[np.bool_]
    step_px: float
    flawed: NDArray[np.bool_] | None
    strangers: Strangers

    @property
    def places_yx(self) -> NDArray[np.float64]:
        """Of the sites, (N, 2)."""
        return self.sites.places_yx

    @property
    def label(self) -> NDArray[np.intp]:
        """Sublattice of the sites (N,): row of `columns`."""
        return self.sites.label

    def is_within(self, places_yx: NDArray[np.number]) -> NDArray[np.bool_]:
        """Tell which places (M, 2) the lattice holds, as it does three periods round."""
        return at_blocks(self.within, self.step_px, places_yx)

    @property
    def expected(self) -> NDArray[np.float64]:
        """Intensity (N,) that each site should have."""
        heights: NDArray[np.float64] = self.height[self.label] * self.gain
        return heights
