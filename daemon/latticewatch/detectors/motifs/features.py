"""From a frame and places in it to Zernike moments, and to what a turn leaves of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.motifs.background import Background, background_of
from latticewatch.detectors.motifs.columns import CellColumns
from latticewatch.detectors.motifs.parameters import MotifParameters
from latticewatch.kernels.grids import block_means, halve
from latticewatch.kernels.projection import (
    BLOCK_SITES,
    fold_basis,
    project_discs,
    projection_scratch,
)
from latticewatch.kernels.zernike import crop_discs, disc_basis, invariants, n_invariants

# Radius in pixels of a patch that is as good as a finer one: frames that have more are binned,
# unless columns become so narrow that patches depend on where between the pixels they are cut.
_ENOUGH_PX = 12.0
_LEAST_WIDTH_PX = 1.5
LEAST_RADIUS_PX = 3.0
"""Below, a column is a pixel or two, and its neighbours cannot be told from it."""


@dataclass(frozen=True, slots=True)
class PatchShape:
    """Disc round a site.

    Attributes
    ----------
    stride
        Pixels of the frame, along each axis, in one of the binned frame that is looked at.
    radius_px
        Of the disc, in binned pixels.
    n_max
        Highest radial order.
    """

    stride: int
    radius_px: float
    n_max: int

    @property
    def side(self) -> int:
        """Of the square round the disc, binned pixels; odd."""
        return 2 * int(np.ceil(self.radius_px)) + 1

    @property
    def reach_px(self) -> float:
        """Of the disc, in pixels of the frame."""
        return self.stride * self.radius_px


def shape_for(columns: CellColumns, parameters: MotifParameters) -> PatchShape:
    """Choose the disc: the first shell inside it, the second one and its tails outside."""
    radius = parameters.radius_of_nearest * columns.nearest_px
    end = columns.second_px - parameters.widths_to_second * columns.sigma_px
    # Where shells follow each other closely the nearest columns are inside at the least.
    radius = max(min(radius, end), columns.nearest_px)
    stride = max(1, min(round(radius / _ENOUGH_PX), int(columns.sigma_px / _LEAST_WIDTH_PX)))
    return PatchShape(stride, float(round(radius / stride)), parameters.n_max)


def binned_places(shape: PatchShape, places_yx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places of the frame in pixels of the binned one."""
    return np.ascontiguousarray((places_yx - 0.5 * (shape.stride - 1)) / shape.stride, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A frame as patches are cut from it; lives until the next one is taken.

    Attributes
    ----------
    pixels : (h, w)
        Binned, columns bright; the frame itself where nothing was to be done.
    background
        What is taken off each patch: its value and slope at the middle. None: nothing.
    """

    pixels: NDArray[np.float32]
    background: Background | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What was measured at places; lives until the next call.

    Attributes
    ----------
    moments : (N, T) float32
        In the unit of the frame; zero where not scored.
    scored : (N,)
        The disc lies inside the frame and all of its pixels are finite.
    """

    moments: NDArray[np.float32]
    scored: NDArray[np.bool_]


class FeatureMaker:
    """Takes moments at sites, in buffers that it keeps; belongs to one thread."""

    def __init__(self, shape: PatchShape) -> None:
        self.shape = shape
        self._basis = disc_basis(shape.side, n_max=shape.n_max, radius_px=shape.radius_px)
        self._folded = fold_basis(self._basis)
        self._scratch = projection_scratch(self._folded)
        self.constant = self._basis.values.sum(axis=1, dtype=np.float64)
        """Moments (T,) of a patch that is 1 everywhere."""
        self._slopes = (self._basis.values @ self._basis.offsets_yx.astype(np.float64)).T
        n_pixels = len(self._basis.offsets_yx)
        self._patches = np.empty((BLOCK_SITES, n_pixels), np.float32)
        self._binned = np.empty((0, 0), np.float32)

    def column_features(self, sigma_px: float) -> NDArray[np.float64]:
        """Features (F,) of a Gaussian column of height 1 in the middle of an empty patch.

        Parameters
        ----------
        sigma_px
            Its width, pixels of the binned frame.
        """
        radius2 = np.square(self._basis.offsets_yx).sum(axis=1)
        column = np.exp(-0.5 * radius2 / sigma_px**2)
        moments = (self._basis.values.astype(np.float64) @ column)[None]
        features: NDArray[np.float64] = self.features(moments.astype(np.float32))[0].astype(float)
        return features

    @property
    def terms(self) -> NDArray[np.int64]:
        """Rows (n, m) of the moments."""
        return self._basis.terms

    @property
    def n_features(self) -> int:
        """Numbers that a turn leaves."""
        return n_invariants(len(self._basis.terms))

    def take(
        self,
        image: NDArray[np.float32],
        contrast: int = 1,
        lock: LatticeLock | None = None,
    ) -> Taken:
        """Bin a frame as the patches want it, and make its columns bright.

        Parameters
        ----------
        image : (H, W)
            Finite. Not changed.
        contrast
            -1: columns are dark.
        lock
            Of the frame, where a slow background is to be taken off.
        """
        pixels = self._pixels(image, contrast)
        if lock is None:
            return Taken(pixels)
        return Taken(pixels, background_of(pixels, self.shape.stride, lock))

    def _pixels(self, image: NDArray[np.float32], contrast: int) -> NDArray[np.float32]:
        stride = self.shape.stride
        if stride == 1 and contrast > 0:
            return image
        wanted = (image.shape[0] // stride, image.shape[1] // stride)
        if self._binned.shape != wanted:
            self._binned = np.empty(wanted, np.float32)
        if stride == 1:
            self._binned[:] = image
        elif stride == 2:
            halve(image, self._binned)
        else:
            block_means(image, stride, self._binned)
        if contrast < 0:
            np.negative(self._binned, out=self._binned)
        return self._binned

    def binned_places(self, places_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places of the frame in pixels of the binned one."""
        return binned_places(self.shape, places_yx)

    def describe(self, taken: Taken, places_yx: NDArray[np.float64]) -> Described:
        """Measure moments round places.

        Parameters
        ----------
        taken
            From `take`.
        places_yx : (N, 2)
            Pixels of the frame.
        """
        places = self.binned_places(places_yx)
        n_sites = len(places)
        moments = np.empty((n_sites, len(self._basis.terms)), np.float32)
        scored = np.empty(n_sites, np.bool_)
        for first in range(0, n_sites, BLOCK_SITES):
            part = slice(first, min(n_sites, first + BLOCK_SITES))
            patches = self._patches[: part.stop - part.start]
            crop_discs(taken.pixels, places[part], self._basis.offsets_yx, patches, scored[part])
            project_discs(patches, self._folded, self._scratch, moments[part])
        if taken.background is not None:
            value, slope = taken.background.at(places)
            ground = np.outer(value, self.constant) + slope @ self._slopes
            moments -= (ground * scored[:, None]).astype(np.float32)
        return Described(moments, scored)

    def features(self, moments: NDArray[np.float32]) -> NDArray[np.float32]:
        """Keep what a turn does not change: (N, F) of moments (N, T)."""
        out = np.empty((len(moments), self.n_features), np.float32)
        invariants(np.ascontiguousarray(moments, np.float32), out)
        return out

    def squares(
        self, taken: Taken, places_yx: NDArray[np.float64], turn_rad: float
    ) -> NDArray[np.float32]:
        """Cut square patches (N, side, side), turned back by an angle; NaN beyond the frame."""
        side, half = self.shape.side, self.shape.side // 2
        grid = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1)
        cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
        y, x = grid[0] * cosine + grid[1] * sine, grid[1] * cosine - grid[0] * sine
        places = self.binned_places(places_yx)
        patches = np.empty((len(places), side**2), np.float32)
        # A block at a time: what is between takes some twenty times as much as the patches.
        for first in range(0, len(places), BLOCK_SITES):
            part = slice(first, first + BLOCK_SITES)
            some = places[part]
            patches[part] = _bilinear(taken.pixels, some[:, :1] + y, some[:, 1:] + x)
            if taken.background is not None:
                value, slope = taken.background.at(some)
                patches[part] -= (value[:, None] + slope @ np.stack([y, x])).astype(np.float32)
        return patches.reshape(len(places), side, side)


def _bilinear(
    image: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float32]:
    last_y, last_x = image.shape[0] - 1, image.shape[1] - 1
    inside = (y >= 0) & (y <= last_y) & (x >= 0) & (x <= last_x)
    row = np.clip(y.astype(np.intp), 0, last_y - 1)
    column = np.clip(x.astype(np.intp), 0, last_x - 1)
    down, right = y - row, x - column
    upper = image[row, column] * (1 - right) + image[row, column + 1] * right
    lower = image[row + 1, column] * (1 - right) + image[row + 1, column + 1] * right
    values: NDArray[np.float32] = np.where(inside, upper * (1 - down) + lower * down, np.nan)
    return values.astype(np.float32)
