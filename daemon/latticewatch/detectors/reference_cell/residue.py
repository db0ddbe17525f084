"""What a frame shows beyond its own mean cell: model, residual, and the law of its noise."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.reference_cell.cell import (
    Columns,
    column_heights,
    find_columns,
    low_pass,
    mean_cell,
    nearest_distance,
)
from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.kernels.cells import CELL_BINS, add_to_cell, cell_index, predict
from latticewatch.kernels.columns import N_MATCHES, correlate_columns, match_columns
from latticewatch.kernels.grids import N_MOMENTS, apply_gain, block_means, block_moments
from latticewatch.kernels.residue import row_moments, spread_by_level, unshift_rows
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

_MOMENT_BLOCK = 1.0  # of a period: a block holds a whole cell, and 2.5 of them the window
_GAIN_RANGE = (0.3, 3.0)  # a cell that says less, or more, is not this cell
_LEVELS = 256  # fine bins of predicted brightness, gathered into groups of equal size
_LEVEL_GROUPS = 32
_COARSE_ROWS, _FINE_ROWS = 4, 2  # of rows by which the law is learnt, one in so many
_LEAST_VARIANCE = 0.25  # of the median: the line may not reach zero
_STIFF_ROWS = 0.02  # of the mean curvature: rows without structure stay where they are
_RIM = 1.0  # of a period: columns nearer to where the lattice ends have other neighbours
_FEWEST_AT_EDGE = 20
# Statistics at the edge have a heavier tail than a normal law: the error of phase and gain grows
# towards the corners.
_EDGE_TAIL = 1.3
# Frames are binned until the columns are so wide: white noise hides 1.4 % more of a column's
# intensity and 2.7 % more of its displacement then.
_LEAST_BINNED_WIDTH_PX = 1.75
_FIRST_STRIDE = 2
_LEAST_BINNED_PERIOD_PX = 12.0
_MOST_STRIDE = 6
_EDGE_PX = (2, 3)  # sites nearer to the first, to the last pixel are not looked at
Law = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Residue:
    """A frame explained by its cell. Arrays belong to the maker and live until its next frame.

    Lengths are in pixels of a frame that is binned by `stride`; `place` brings them back.

    Attributes
    ----------
    stride
        So many pixels of the frame, both ways, are one pixel here.
    columns
        Of the mean cell.
    height : (S,)
        Intensity of each above the ground: the height of its Gaussian.
    places_yx : (N, 2)
        Sites.
    label : (N,)
        Sublattice: row of `columns`.
    addresses : (N, 2)
        Lattice address (i, j).
    gain : (N,)
        Local gain at the sites.
    residual, precision, weighted : (H, W)
        Frame less predicted frame, 1 / variance, and their product.
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
    n_beyond
        Places of the lattice in the frame where it does not hold: nobody looks at them.
    within : (h, w)
        Blocks of `step_px` pixels that hold the lattice, and so do all within a period.
    """

    stride: int
    columns: Columns
    height: NDArray[np.float64]
    places_yx: NDArray[np.float64]
    label: NDArray[np.intp]
    addresses: NDArray[np.int64]
    gain: NDArray[np.float64]
    residual: NDArray[np.float32]
    precision: NDArray[np.float32]
    weighted: NDArray[np.float32]
    sums: NDArray[np.float64]
    scale: NDArray[np.float64]
    normal: NDArray[np.float64]
    basis_px_yx: NDArray[np.float64]
    nearest_px: float
    n_beyond: int
    within: NDArray[np.bool_]
    step_px: float

    def is_within(self, places_yx: NDArray[np.number]) -> NDArray[np.bool_]:
        """Tell which places (M, 2) the lattice holds, and so do all within a period."""
        return _at_blocks(self.within, self.step_px, places_yx)

    @property
    def expected(self) -> NDArray[np.float64]:
        """Intensity (N,) that each site should have."""
        heights: NDArray[np.float64] = self.height[self.label] * self.gain
        return heights


def _matches(
    weighted: NDArray[np.float32],
    precision: NDArray[np.float32],
    places_yx: NDArray[np.float64],
    sigma_px: float,
) -> NDArray[np.float64]:
    sums = np.empty((len(places_yx), N_MATCHES))
    match_columns(weighted, precision, places_yx, sigma_px, sums)
    return sums


def _raw(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Three statistics (3, N) of matches (N, 6)."""
    raw: NDArray[np.float64] = (sums[:, :3] / np.sqrt(np.maximum(sums[:, 3:], 1e-30))).T
    return np.ascontiguousarray(raw)


@dataclass(frozen=True, slots=True)
class _Sites:
    """Columns of the crystal in the frame; see `Residue`."""

    places_yx: NDArray[np.float64]
    label: NDArray[np.intp]
    addresses: NDArray[np.int64]
    near_edge: NDArray[np.bool_]
    n_beyond: int


class ResidueMaker:
    """Explains frames by their own mean cells, in buffers that it keeps."""

    def __init__(self, parameters: ReferenceCellParameters) -> None:
        self._parameters = parameters
        self._bytes = np.empty(0, np.uint8)
        self._total = np.empty(CELL_BINS**2)
        self._count = np.empty(CELL_BINS**2, np.int64)
        self._reserve((0, 0))

    @property
    def bins(self) -> NDArray[np.uint16]:
        """Bin of the cell (H, W) that each pixel of the last residue lies in."""
        return self._index

    def explain(self, image: NDArray[np.float32], lock: LatticeLock) -> Residue | None:
        """Explain a frame by the mean of its cells, twice: the second time without the strange.

        Columns that are wide in pixels are looked at in a binned frame, which says as much.

        Parameters
        ----------
        image : (H, W)
            Finite.
        lock
            Of this frame.

        Returns
        -------
        Residue or None
            None where the mean cell holds no column, or a frame holds no site.
        """
        stride = _FIRST_STRIDE if lock.period_px >= _LEAST_BINNED_PERIOD_PX else 1
        columns = self._first_look(image, lock, stride)
        fitting = _stride_for(stride, columns)
        if columns is not None and fitting != stride:
            stride = fitting
            columns = self._first_look(image, lock, stride)
        if columns is None:
            return None
        fine = _binned(lock, stride)
        sites = _sites(fine, columns, self._shape)
        if not len(sites.label):
            return None
        gain = self._fit_model(fine)
        law = self._noise_law(_COARSE_ROWS)
        self._weigh(np.zeros((self._shape[0], 2), np.float32), law)
        sums = _matches(self._weighted, self._precision, sites.places_yx, columns.sigma_px)
        if self._mask(fine, sites, sums, columns.sigma_px):
            self._mean_cell()
            gain = self._fit_model(fine)
        law = self._noise_law(_FINE_ROWS)
        self._weigh(self._row_shifts(law), law)
        # The squared norms are those of the first look but for a change of the law, alike for all.
        correlate_columns(self._weighted, sites.places_yx, columns.sigma_px, sums)
        height = column_heights(self._cell, fine, columns.fraction, columns.sigma_px)
        scale, normal = _normal_law(sums, sites)
        return Residue(
            stride=stride,
            columns=columns,
            height=height,
            places_yx=sites.places_yx,
            label=sites.label,
            addresses=sites.addresses,
            gain=gain.at(sites.places_yx),
            residual=self._residual,
            precision=self._precision,
            weighted=self._weighted,
            sums=sums,
            scale=scale,
            normal=normal,
            basis_px_yx=fine.basis_px_yx,
            nearest_px=nearest_distance(columns.fraction, fine.basis_px_yx),
            n_beyond=sites.n_beyond,
            within=_well_within(fine),
            step_px=fine.step_px,
        )

    def _first_look(
        self, image: NDArray[np.float32], lock: LatticeLock, stride: int
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
        cell_index(fine.reciprocal_per_px, fine.phase, fine.step_px, self._index)
        self._transfer = low_pass(fine, self._parameters.cell_blur_px)
        self._hold(fine)
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
        self._index = self._places[:n_pixels].reshape(shape)
        self._used = self._bytes[:n_pixels].reshape(shape)

    def _mean_cell(self) -> None:
        self._total[:], self._count[:] = 0.0, 0
        add_to_cell(self._image, self._index, self._used, self._total, self._count)
        self._cell = mean_cell(self._total, self._count, self._transfer)

    def _fit_model(self, lock: LatticeLock) -> "_BlockGrid":
        """Fill model, residual and weighted residual; return the local gain."""
        predict(self._index, self._cell.ravel(), self._model)
        step = max(2, round(_MOMENT_BLOCK * lock.period_px))
        height, width = self._shape
        moments = np.empty((N_MOMENTS, height // step, width // step), np.float32)
        block_moments(self._image, self._model, self._used, step, moments)
        gain, offset = _local_fit(moments, self._parameters.local_periods * lock.period_px / step)
        apply_gain(gain, offset, step, self._image, self._model, self._residual)
        return _BlockGrid(gain, step)

    def _row_shifts(self, law: Law) -> NDArray[np.float32]:
        """Displacement (H, 2) of each row, pixels."""
        moments = np.empty((self._shape[0], 5))
        row_moments(self._model, self._residual, self._used, law, moments)
        return _row_shifts(moments)

    def _weigh(self, shift_px: NDArray[np.float32], law: Law) -> None:
        """Take out the shifts of rows, fill precision and weighted residual."""
        unshift_rows(self._model, shift_px, law, self._residual, self._precision, self._weighted)

    def _noise_law(self, row_step: int) -> Law:
        """Fit the variance as a line over predicted brightness: gain of the counts, readout."""
        low, high = float(self._model.min()), float(self._model.max())
        sums = np.empty((3, _LEVELS))
        rows = slice(None, None, row_step)
        spread_by_level(
            self._model[rows], self._residual[rows], self._used[rows], (low, high), sums
        )
        groups = _equal_groups(sums, _LEVEL_GROUPS)
        count, level, square = groups[0], groups[1] / groups[0], groups[2] / groups[0]
        typical = max(float(np.median(square)), 1e-12)
        if len(count) < 3 or not np.ptp(level) > 0:
            return 0.0, typical, _LEAST_VARIANCE * typical
        weight = np.sqrt(count) / np.maximum(square, 1e-3 * typical)
        root = np.stack([weight * level, weight], axis=1)
        slope, intercept = np.linalg.lstsq(root, weight * square, rcond=None)[0]
        return float(slope), float(intercept), _LEAST_VARIANCE * typical

    def _mask(
        self, lock: LatticeLock, sites: _Sites, sums: NDArray[np.float64], sigma_px: float
    ) -> bool:
        """Leave what is strange out of the next mean cell; tell whether anything is."""
        raw = _raw(sums)
        distance = np.zeros(len(sites.label))
        for column in range(int(sites.label.max()) + 1):
            same = sites.label == column
            for part in raw:
                centre, width = _centre_and_spread(part[same])
                distance[same] += np.square((part[same] - centre) / width)
        strange = distance > self._parameters.mask_sigmas**2
        if not strange.any():
            return False
        n_used = np.count_nonzero(self._used)
        reach = self._parameters.mask_widths * sigma_px
        for y, x in sites.places_yx[strange]:
            rows = slice(max(0, int(y - reach)), int(y + reach) + 1)
            self._used[rows, max(0, int(x - reach)) : int(x + reach) + 1] = 0
        # A frame that is strange all over has no other to be compared with.
        if 2 * np.count_nonzero(self._used) < n_used:
            self._hold(lock)
            return False
        return True


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


def _equal_groups(sums: NDArray[np.float64], n_groups: int) -> NDArray[np.float64]:
    """Gather fine bins, rows of sums over bins, into groups of about equal count; none is empty."""
    running = np.cumsum(sums[0])
    middle = (running - 0.5 * sums[0]) / max(float(running[-1]), 1.0)
    group = np.minimum((n_groups * middle).astype(np.intp), n_groups - 1)
    gathered = np.stack([np.bincount(group, row, n_groups) for row in sums])
    return gathered[:, gathered[0] > 0].astype(np.float64)


def _row_shifts(moments: NDArray[np.float64]) -> NDArray[np.float32]:
    """Solve the least squares of each row (H, 5) for its displacement (H, 2), y and x, pixels."""
    yy, yx, xx, y, x = moments.T
    yy = yy + _STIFF_ROWS * max(float(yy.mean()), 1e-30)
    xx = xx + _STIFF_ROWS * max(float(xx.mean()), 1e-30)
    determinant = yy * xx - yx * yx
    shift = np.stack([(xx * y - yx * x) / determinant, (yy * x - yx * y) / determinant], axis=1)
    return shift.astype(np.float32)


def _sites(lock: LatticeLock, columns: Columns, shape: tuple[int, int]) -> _Sites:
    """Places, sublattices and addresses of all sites inside the frame."""
    addresses = lock.addresses_in(shape)
    first, beyond = _EDGE_PX[0], np.array(shape) - _EDGE_PX[1]
    within = _well_within(lock)
    n_beyond = 0
    found = []
    for column, fraction in enumerate(columns.fraction):
        places = lock.places(addresses, fraction)
        inside = ((places >= first) & (places < beyond)).all(axis=1)
        if not within.all():
            held = _at_blocks(within, lock.step_px, places)
            n_beyond += int(np.count_nonzero(inside & ~held))
            inside &= held
        label = np.full(np.count_nonzero(inside), column, np.intp)
        found.append((places[inside], label, addresses[inside]))
    places, label, addresses = (np.concatenate(part) for part in zip(*found, strict=True))
    near_edge = _near_edge(places, shape, lock.period_px)
    return _Sites(places, label, addresses, near_edge, n_beyond)


def _well_within(lock: LatticeLock) -> NDArray[np.bool_]:
    """Blocks (h, w) that hold the lattice, and so do all within a period."""
    if lock.holds.all():
        return lock.holds
    n_blocks = round(_RIM * lock.period_px / lock.step_px)
    within: NDArray[np.bool_] = ndimage.binary_erosion(
        lock.holds, np.ones((3, 3), bool), iterations=max(1, n_blocks), border_value=1
    )
    return within


def _at_blocks(
    blocks: NDArray[np.bool_], step_px: float, places_yx: NDArray[np.number]
) -> NDArray[np.bool_]:
    """Value of the block that each place (N, 2) lies in; beyond the last, that of the last."""
    block = np.clip((places_yx + 0.5) / step_px, 0, np.array(blocks.shape) - 1).astype(np.intp)
    values: NDArray[np.bool_] = blocks[block[:, 0], block[:, 1]]
    return values


def _near_edge(
    places_yx: NDArray[np.float64], shape: tuple[int, int], reach_px: float
) -> NDArray[np.bool_]:
    """Tell which places are so near to the edge that phase and gain are known from one side."""
    last = np.array(shape) - 1 - reach_px
    outside = (places_yx < reach_px) | (places_yx > last)
    return outside[:, 0] | outside[:, 1]


def _normal_law(
    sums: NDArray[np.float64], sites: _Sites
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Learn the standard deviations (3,) of the statistics, and what is normal for sites (N, 6).

    Normal are the median and the width of a site's like: its sublattice, at the edge or inside.
    Nothing is believed to be quieter than all sites together, nor the edge than the inside.
    """
    raw = _raw(sums)
    scale = np.array([max(_centre_and_spread(part)[1], 1e-12) for part in raw])
    normal = np.empty((len(sites.label), 6))
    for column in range(int(sites.label.max()) + 1):
        of_column = sites.label == column
        inside, edge = of_column & ~sites.near_edge, of_column & sites.near_edge
        at_edge = np.count_nonzero(edge) >= _FEWEST_AT_EDGE
        if not inside.any():
            inside = edge
        if not inside.any():
            continue
        for part, least in enumerate(scale):
            centre, width = _centre_and_spread(raw[part, inside])
            width = max(width, least)
            normal[of_column, part], normal[of_column, 3 + part] = centre, width
            if at_edge:
                centre, spread = _centre_and_spread(raw[part, edge])
                normal[edge, part] = centre
                normal[edge, 3 + part] = max(width, _EDGE_TAIL * spread)
    return scale, normal


def _centre_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median of some values and robust standard deviation about it."""
    centre = _median(values)
    return centre, MAD_TO_SIGMA * _median(np.abs(values - centre))


def _median(values: NDArray[np.float64]) -> float:
    # np.median looks for NaN and for axes: three times as long on a thousand numbers.
    half = len(values) // 2
    parts = np.partition(values, (max(half - 1, 0), half))
    return float(parts[half] if len(values) % 2 else 0.5 * (parts[half - 1] + parts[half]))
