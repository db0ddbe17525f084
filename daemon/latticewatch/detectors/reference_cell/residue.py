"""What a frame shows beyond its own mean cell."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.reference_cell.cell import (
    Columns,
    column_heights,
    find_columns,
    low_pass,
    mean_cell,
    nearest_distance,
)
from latticewatch.detectors.reference_cell.noise import (
    how_strange,
    noise_law,
    normal_law,
    row_shifts,
)
from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.detectors.reference_cell.sites import Sites, at_blocks, find_sites, well_within
from latticewatch.kernels.cells import CELL_BINS, add_to_cell, cell_index, predict
from latticewatch.kernels.columns import N_MATCHES, correlate_columns, match_columns
from latticewatch.kernels.grids import N_MOMENTS, apply_gain, block_means, block_moments
from latticewatch.kernels.residue import unshift_rows
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

_MOMENT_BLOCK = 1.0  # of a period: a block holds a whole cell, and 2.5 of them the window
_GAIN_RANGE = (0.3, 3.0)  # a cell that says less, or more, is not this cell
_COARSE_ROWS, _FINE_ROWS = 4, 2  # of rows by which the law is learnt, one in so many
# Of the sites, so many may be strange that were not in the last frame before all is done twice.
_FEW_NEW = 0.0025
# Frames are binned until the columns are so wide: white noise hides 1.4 % more of a column's
# intensity and 2.7 % more of its displacement then.
_LEAST_BINNED_WIDTH_PX = 1.75
_FIRST_STRIDE = 2
_LEAST_BINNED_PERIOD_PX = 12.0
_MOST_STRIDE = 6


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
    normal : (N, 6)
        What is normal for each site: three medians and three widths of the statistics of its like.
    basis_px_yx : (2, 2)
        Lattice vectors, rows.
    nearest_px
        Distance between nearest columns of the crystal.
    within : (h, w)
        Blocks of `step_px` pixels that hold the lattice, and so do all within a period.
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
    basis_px_yx: NDArray[np.float64]
    nearest_px: float
    within: NDArray[np.bool_]
    step_px: float
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
        """Tell which places (M, 2) the lattice holds, and so do all within a period."""
        return at_blocks(self.within, self.step_px, places_yx)

    @property
    def expected(self) -> NDArray[np.float64]:
        """Intensity (N,) that each site should have."""
        heights: NDArray[np.float64] = self.height[self.label] * self.gain
        return heights


class ResidueMaker:
    """Explains frames by their own mean cells, in buffers that it keeps."""

    def __init__(self, parameters: ReferenceCellParameters) -> None:
        self._parameters = parameters
        self._bytes = np.empty(0, np.uint8)
        self._total = np.empty(CELL_BINS**2)
        self._count = np.empty(CELL_BINS**2, np.int64)
        self._reserve((0, 0))

    def explain(
        self, image: NDArray[np.float32], lock: LatticeLock, known: Strangers | None = None
    ) -> Residue | None:
        """Explain a frame by the mean of its cells, without the strange ones.

        Which are strange is known from the last frame, or found in a first round. Columns that are
        wide in pixels are looked at in a binned frame, which says as much.

        Parameters
        ----------
        image : (H, W)
            Finite.
        lock
            Of this frame.
        known
            Of the last frame, if it was of the same crystal.

        Returns
        -------
        Residue or None
            None where the mean cell holds no column, or a frame holds no site.
        """
        stride = _FIRST_STRIDE if lock.period_px >= _LEAST_BINNED_PERIOD_PX else 1
        columns = self._first_look(image, lock, stride, known)
        fitting = _stride_for(stride, columns)
        if columns is not None and fitting != stride:
            stride = fitting
            columns = self._first_look(image, lock, stride, known)
        if columns is None:
            return None
        fine = _binned(lock, stride)
        sites = find_sites(fine, columns.fraction, self._shape)
        if not len(sites.label):
            return None
        gain, sums = self._judge(fine, sites, columns, is_last=known is not None)
        if known is None or self._has_news(sites, sums):
            if self._leave_out_strange(fine, sites, sums, columns.sigma_px):
                self._mean_cell()
            gain, sums = self._judge(fine, sites, columns, is_last=True, norms=sums)
        scale, normal = normal_law(sums, sites)
        return Residue(
            stride=stride,
            columns=columns,
            height=column_heights(self._cell, fine, columns.fraction, columns.sigma_px),
            sites=sites,
            gain=gain.at(sites.places_yx),
            residual=self._residual,
            precision=self._precision,
            weighted=self._weighted,
            bins=self._bins,
            sums=sums,
            scale=scale,
            normal=normal,
            basis_px_yx=fine.basis_px_yx,
            nearest_px=nearest_distance(columns.fraction, fine.basis_px_yx),
            within=well_within(fine),
            step_px=fine.step_px,
            strangers=self._strangers(sites, sums, columns, stride),
        )

    def _first_look(
        self, image: NDArray[np.float32], lock: LatticeLock, stride: int, known: Strangers | None
    ) -> Columns | None:
        """Bin the frame, fold it into a cell, and find the columns of the cell."""
        self._reserve((image.shape[0] // stride, image.shape[1] // stride))
        if stride == 1:
            self._image[:] = image
        else:
            block_means(image, stride, self._image)
        # Near zero, so that squares keep their digits.
        self._image -= np.float32(self._image.mean(dtype=np.float64))
        fine = _binned(lock, stride)
        cell_index(fine.reciprocal_per_px, fine.phase, fine.step_px, self._bins)
        self._transfer = low_pass(fine, self._parameters.cell_blur_px)
        self._hold(fine)
        if known is not None:
            places = fine.places(np.zeros((1, 2), np.int64), known.coordinates)
            self._leave_out(fine, places, known.reach_px / stride)
        self._mean_cell()
        return find_columns(self._cell, fine, self._parameters.least_column)

    def _hold(self, lock: LatticeLock) -> None:
        """Use the parts of the frame that hold the lattice, and no other."""
        self._used[:] = 1
        if lock.holds.all():
            return
        last = np.array(lock.holds.shape) - 1
        rows, columns = (
            np.minimum((np.arange(size) + 0.5) / lock.step_px, end).astype(np.intp)
            for size, end in zip(self._shape, last, strict=True)
        )
        self._used[:] = lock.holds[rows[:, None], columns]

    def _reserve(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        n_pixels = shape[0] * shape[1]
        if n_pixels >= len(self._bytes):
            self._floats = np.empty((5, n_pixels), np.float32)
            self._places = np.empty(n_pixels, np.uint16)
            self._bytes = np.empty(n_pixels, np.uint8)
        views = (row[:n_pixels].reshape(shape) for row in self._floats)
        self._image, self._model, self._residual, self._precision, self._weighted = views
        self._bins = self._places[:n_pixels].reshape(shape)
        self._used = self._bytes[:n_pixels].reshape(shape)

    def _mean_cell(self) -> None:
        self._total[:], self._count[:] = 0.0, 0
        add_to_cell(self._image, self._bins, self._used, self._total, self._count)
        self._cell = mean_cell(self._total, self._count, self._transfer)

    def _judge(
        self,
        lock: LatticeLock,
        sites: Sites,
        columns: Columns,
        *,
        is_last: bool,
        norms: NDArray[np.float64] | None = None,
    ) -> tuple["_BlockGrid", NDArray[np.float64]]:
        """Predict the frame, weigh what is left, and match it; only the last time with all care.

        Squared norms (N, 6) of an earlier match are taken over: a changed law of the noise changes
        all of them alike.
        """
        gain = self._fit_model(lock)
        model, residual, used = self._model, self._residual, self._used
        law = noise_law(model, residual, used, _FINE_ROWS if is_last else _COARSE_ROWS)
        shift_px = np.zeros((self._shape[0], 2), np.float32)
        if is_last:
            shift_px = row_shifts(model, residual, used, law)
        unshift_rows(model, shift_px, law, residual, self._precision, self._weighted)
        places, sigma_px = sites.places_yx, columns.sigma_px
        if norms is not None:
            correlate_columns(self._weighted, places, sigma_px, norms)
            return gain, norms
        sums = np.empty((len(places), N_MATCHES))
        match_columns(self._weighted, self._precision, places, sigma_px, sums)
        return gain, sums

    def _fit_model(self, lock: LatticeLock) -> "_BlockGrid":
        """Fill model and residual; return the local gain."""
        predict(self._bins, self._cell.ravel(), self._model)
        step = max(2, round(_MOMENT_BLOCK * lock.period_px))
        height, width = self._shape
        moments = np.empty((N_MOMENTS, height // step, width // step), np.float32)
        block_moments(self._image, self._model, self._used, step, moments)
        gain, offset = _local_fit(moments, self._parameters.local_periods * lock.period_px / step)
        apply_gain(gain, offset, step, self._image, self._model, self._residual)
        return _BlockGrid(gain, step)

    def _is_strange(self, sites: Sites, sums: NDArray[np.float64]) -> NDArray[np.bool_]:
        strange: NDArray[np.bool_] = how_strange(sums, sites) > self._parameters.mask_sigmas**2
        return strange

    def _has_news(self, sites: Sites, sums: NDArray[np.float64]) -> bool:
        """Tell whether more than a few sites are strange that were used."""
        pixel = sites.places_yx[self._is_strange(sites, sums)].astype(np.intp)
        news = np.count_nonzero(self._used[pixel[:, 0], pixel[:, 1]])
        return news > _FEW_NEW * len(sites.label)

    def _leave_out_strange(
        self, lock: LatticeLock, sites: Sites, sums: NDArray[np.float64], sigma_px: float
    ) -> bool:
        """Leave what is strange out of the next mean cell; tell whether anything is."""
        strange = sites.places_yx[self._is_strange(sites, sums)]
        if not len(strange):
            return False
        self._hold(lock)
        return self._leave_out(lock, strange, self._parameters.mask_widths * sigma_px)

    def _leave_out(
        self, lock: LatticeLock, places_yx: NDArray[np.float64], reach_px: float
    ) -> bool:
        """Leave squares round places out of the next mean cell, unless hardly any is left."""
        n_held = np.count_nonzero(self._used)
        for y, x in places_yx:
            rows = slice(max(0, int(y - reach_px)), max(0, int(y + reach_px) + 1))
            self._used[rows, max(0, int(x - reach_px)) : max(0, int(x + reach_px) + 1)] = 0
        # A frame that is strange all over has no other to be compared with.
        if 2 * np.count_nonzero(self._used) < n_held:
            self._hold(lock)
            return False
        return True

    def _strangers(
        self, sites: Sites, sums: NDArray[np.float64], columns: Columns, stride: int
    ) -> Strangers:
        strange = self._is_strange(sites, sums)
        coordinates = sites.addresses[strange] + columns.fraction[sites.label[strange]]
        reach_px = self._parameters.mask_widths * columns.sigma_px * stride
        return Strangers(coordinates, reach_px)


def _stride_for(stride: int, columns: Columns | None) -> int:
    """Bin as far as columns stay wide enough to be told apart and placed."""
    if columns is None:
        return stride
    width_px = columns.sigma_px * stride
    return int(np.clip(width_px / _LEAST_BINNED_WIDTH_PX, 1, _MOST_STRIDE))


def _binned(lock: LatticeLock, stride: int) -> LatticeLock:
    """Lock of a frame of which blocks of pixels are averaged."""
    if stride == 1:
        return lock
    # The centre of a binned pixel lies half of what was added from the first pixel's.
    shift = lock.reciprocal_per_px.sum(axis=1) * (0.5 * (stride - 1))
    return replace(
        lock,
        reciprocal_per_px=lock.reciprocal_per_px * stride,
        basis_px_yx=lock.basis_px_yx / stride,
        phase=(lock.phase + shift[:, None, None]).astype(np.float32),
        step_px=lock.step_px / stride,
    )


@dataclass(frozen=True, slots=True)
class _BlockGrid:
    """Values at the centres of blocks of `step` pixels."""

    values: NDArray[np.float32]
    step: int

    def at(self, places_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Value of the block that each place lies in."""
        block = np.clip((places_yx / self.step).astype(np.intp), 0, np.array(self.values.shape) - 1)
        return self.values[block[:, 0], block[:, 1]].astype(np.float64)


def _local_fit(
    moments: NDArray[np.float32], sigma_blocks: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and offset (h, w) of the regression of frame on model round each block."""
    weights = gaussian_weights(sigma_blocks)
    blurred = np.empty_like(moments)
    scratch = gaussian_scratch(moments.shape[2], weights)
    for moment, out in zip(moments, blurred, strict=True):
        gaussian(np.ascontiguousarray(moment), weights, scratch, out)
    count, model, image, square, product = blurred.astype(np.float64)
    count = np.maximum(count, 1e-3)
    model, image = model / count, image / count
    variance = np.maximum(square / count - model**2, 1e-9)
    gain = np.clip((product / count - model * image) / variance, *_GAIN_RANGE)
    return gain.astype(np.float32), (image - gain * model).astype(np.float32)
