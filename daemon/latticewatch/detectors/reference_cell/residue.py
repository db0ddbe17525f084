"""What a frame shows beyond its own mean cell: model, residual, and the law of its noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.reference_cell.cell import Columns, find_columns, low_pass, mean_cell
from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.kernels.cells import CELL_BINS, add_to_cell, cell_index, predict
from latticewatch.kernels.columns import N_MATCHES, match_columns
from latticewatch.kernels.grids import N_MOMENTS, apply_gain, block_moments
from latticewatch.kernels.residue import row_moments, spread_by_level, unshift_rows
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

_MOMENT_BLOCK = 0.5  # of a period: a fifth of the window of the local fit
_GAIN_RANGE = (0.3, 3.0)  # a cell that says less, or more, is not this cell
_LEVELS = 256  # fine bins of predicted brightness, gathered into groups of equal size
_LEVEL_GROUPS = 32
_LEAST_VARIANCE = 0.25  # of the median: the line may not reach zero
_STIFF_ROWS = 0.02  # of the mean curvature: rows without structure stay where they are
_FEWEST_AT_EDGE = 20
# Statistics at the edge have a heavier tail than a normal law: the error of phase and gain grows
# towards the corners.
_EDGE_TAIL = 1.3
_EDGE_PX = (2, 3)  # sites nearer to the first, to the last pixel are not looked at
Law = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Residue:
    """A frame explained by its cell. Arrays belong to the maker and live until its next frame.

    Attributes
    ----------
    columns
        Of the mean cell.
    places_yx : (N, 2)
        Sites, pixels.
    label : (N,)
        Sublattice: row of `columns`.
    addresses : (N, 2)
        Lattice address (i, j).
    gain : (N,)
        Local gain at the sites.
    residual, precision, weighted : (H, W)
        Frame less predicted frame, 1 / variance, and their product.
    scale : (3,)
        Standard deviation of the three statistics of `match_columns` over all sites.
    centre, width : (N, 3)
        What is normal for each site: median and width, at least 1, of the statistics of its like
        in units of `scale`.
    """

    columns: Columns
    places_yx: NDArray[np.float64]
    label: NDArray[np.intp]
    addresses: NDArray[np.int64]
    gain: NDArray[np.float64]
    residual: NDArray[np.float32]
    precision: NDArray[np.float32]
    weighted: NDArray[np.float32]
    scale: NDArray[np.float64]
    centre: NDArray[np.float64]
    width: NDArray[np.float64]

    def statistics(self, sites: NDArray[np.intp]) -> NDArray[np.float64]:
        """Intensity, y and x statistics (M, 3) of sites: standard normal where nothing is wrong."""
        z = self.matches(self.places_yx[sites]) / self.scale
        normal: NDArray[np.float64] = (z - self.centre[sites]) / self.width[sites]
        return normal

    def matches(self, places_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw statistics (M, 3) at any places (M, 2)."""
        return _matches(self.weighted, self.precision, places_yx, self.columns.sigma_px)


def _matches(
    weighted: NDArray[np.float32],
    precision: NDArray[np.float32],
    places_yx: NDArray[np.float64],
    sigma_px: float,
) -> NDArray[np.float64]:
    sums = np.empty((len(places_yx), N_MATCHES))
    match_columns(weighted, precision, places_yx, sigma_px, sums)
    raw: NDArray[np.float64] = sums[:, :3] / np.sqrt(np.maximum(sums[:, 3:], 1e-30))
    return raw


class ResidueMaker:
    """Explains frames by their own mean cells, in buffers that it keeps."""

    def __init__(self, parameters: ReferenceCellParameters) -> None:
        self._parameters = parameters
        self._shape = (0, 0)

    def explain(self, image: NDArray[np.float32], lock: LatticeLock) -> Residue | None:
        """Explain a frame by the mean of its cells, twice: the second time without the strange.

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
        self._reserve(image.shape)
        np.subtract(image, np.float32(image.mean(dtype=np.float64)), out=self._image)
        cell_index(lock.reciprocal_per_px, lock.phase, lock.step_px, self._index)
        transfer = low_pass(lock, self._parameters.cell_blur_px)
        self._used[:] = 1
        for round_ in range(self._parameters.rounds):
            columns, gain = self._predict(lock, transfer)
            if columns is None:
                return None
            self._weigh()
            residue = self._judge(lock, columns, gain)
            if residue is None:
                return None
            if round_ + 1 < self._parameters.rounds:
                self._mask(residue)
        return residue

    def _reserve(self, shape: tuple[int, ...]) -> None:
        if shape == self._shape:
            return
        height, width = shape
        self._shape = (height, width)
        self._image, self._model, self._residual, self._precision, self._weighted = (
            np.empty(shape, np.float32) for _ in range(5)
        )
        self._index = np.empty(shape, np.uint16)
        self._used = np.empty(shape, np.uint8)
        self._total = np.empty(CELL_BINS**2)
        self._count = np.empty(CELL_BINS**2, np.int64)

    def _predict(
        self, lock: LatticeLock, transfer: NDArray[np.float64]
    ) -> tuple[Columns | None, "_BlockGrid"]:
        """Fill model and residual; return the columns of the cell and the local gain."""
        self._total[:], self._count[:] = 0.0, 0
        add_to_cell(self._image, self._index, self._used, self._total, self._count)
        cell = mean_cell(self._total, self._count, transfer)
        predict(self._index, cell.ravel(), self._model)
        step = max(2, round(_MOMENT_BLOCK * lock.period_px))
        height, width = self._shape
        moments = np.empty((N_MOMENTS, height // step, width // step), np.float32)
        block_moments(self._image, self._model, self._used, step, moments)
        gain, offset = _local_fit(moments, self._parameters.local_periods * lock.period_px / step)
        apply_gain(gain, offset, step, self._image, self._model, self._residual)
        columns = find_columns(cell, lock, self._parameters.least_column)
        return columns, _BlockGrid(gain, step)

    def _weigh(self) -> None:
        """Find the law of the noise, take out the shifts of rows, fill the weighted residual."""
        law = self._noise_law()
        moments = np.empty((self._shape[0], 5))
        row_moments(self._model, self._residual, self._used, law, moments)
        shift_px = _row_shifts(moments)
        unshift_rows(self._model, shift_px, law, self._residual, self._precision, self._weighted)

    def _noise_law(self) -> Law:
        """Fit the variance as a line over predicted brightness: gain of the counts, readout."""
        low, high = float(self._model.min()), float(self._model.max())
        sums = np.empty((3, _LEVELS))
        spread_by_level(self._model, self._residual, self._used, (low, high), sums)
        groups = _equal_groups(sums, _LEVEL_GROUPS)
        count, level, square = groups[0], groups[1] / groups[0], groups[2] / groups[0]
        typical = max(float(np.median(square)), 1e-12)
        if len(count) < 3 or not np.ptp(level) > 0:
            return 0.0, typical, _LEAST_VARIANCE * typical
        weight = np.sqrt(count) / np.maximum(square, 1e-3 * typical)
        slope, intercept = np.polyfit(level, square, 1, w=weight)
        return float(slope), float(intercept), _LEAST_VARIANCE * typical

    def _judge(self, lock: LatticeLock, columns: Columns, gain: "_BlockGrid") -> Residue | None:
        """Place the sites, and learn how their statistics scatter."""
        places, label, addresses = _sites(lock, columns, self._shape)
        if not len(places):
            return None
        raw = _matches(self._weighted, self._precision, places, columns.sigma_px)
        scale = np.maximum(_spread(raw, np.median(raw, axis=0)), 1e-12)
        z = raw / scale
        if not len(label):
            return None
        centre, width = _normals(z, label, _near_edge(places, self._shape, lock.period_px))
        return Residue(
            columns=columns,
            places_yx=places,
            label=label,
            addresses=addresses,
            gain=gain.at(places),
            residual=self._residual,
            precision=self._precision,
            weighted=self._weighted,
            scale=scale,
            centre=centre,
            width=width,
        )

    def _mask(self, residue: Residue) -> None:
        """Leave the surroundings of strange sites out of the next mean cell."""
        z = residue.statistics(np.arange(len(residue.label)))
        strange = np.square(z).sum(axis=1) > self._parameters.mask_sigmas**2
        reach = self._parameters.mask_widths * residue.columns.sigma_px
        self._used[:] = 1
        for y, x in residue.places_yx[strange]:
            rows = slice(max(0, int(y - reach)), int(y + reach) + 1)
            self._used[rows, max(0, int(x - reach)) : int(x + reach) + 1] = 0
        # A frame that is strange all over has no other to be compared with.
        if 2 * np.count_nonzero(self._used) < self._used.size:
            self._used[:] = 1


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


def _sites(
    lock: LatticeLock, columns: Columns, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.int64]]:
    """Places, sublattices and addresses of all sites inside the frame."""
    addresses = lock.addresses_in(shape)
    first, beyond = _EDGE_PX[0], np.array(shape) - _EDGE_PX[1]
    found = []
    for column, fraction in enumerate(columns.fraction):
        places = lock.places(addresses, fraction)
        inside = ((places >= first) & (places < beyond)).all(axis=1)
        label = np.full(np.count_nonzero(inside), column, np.intp)
        found.append((places[inside], label, addresses[inside]))
    places, label, addresses = (np.concatenate(part) for part in zip(*found, strict=True))
    return places, label, addresses


def _near_edge(
    places_yx: NDArray[np.float64], shape: tuple[int, int], reach_px: float
) -> NDArray[np.bool_]:
    """Tell which places are so near to the edge that phase and gain are known from one side."""
    last = np.array(shape) - 1 - reach_px
    outside = (places_yx < reach_px) | (places_yx > last)
    return outside[:, 0] | outside[:, 1]


def _normals(
    z: NDArray[np.float64], label: NDArray[np.intp], near_edge: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and width (N, 3) of the statistics of a site's like: its sublattice, edge or inside.

    The edge is never believed to be quieter than the inside.
    """
    centre, width = np.zeros_like(z), np.ones_like(z)
    for column in range(int(label.max()) + 1):
        inside = (label == column) & ~near_edge
        edge = (label == column) & near_edge
        if not inside.any():
            inside = edge
        middle = np.median(z[inside], axis=0)
        spread = np.maximum(1.0, _spread(z[inside], middle))
        centre[label == column], width[label == column] = middle, spread
        if np.count_nonzero(edge) >= _FEWEST_AT_EDGE:
            centre[edge] = np.median(z[edge], axis=0)
            width[edge] = np.maximum(spread, _EDGE_TAIL * _spread(z[edge], centre[edge][0]))
    return centre, width


def _spread(values: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Robust standard deviation of each column of values about its centre."""
    spread: NDArray[np.float64] = MAD_TO_SIGMA * np.median(np.abs(values - centre), axis=0)
    return spread
