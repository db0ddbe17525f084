"""Explains a frame by its own mean cell: the slow arithmetic of the detector, in kernels."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.binning import (
    binned,
    first_stride,
    fitting_stride,
    to_unit_scale,
)
from latticewatch.detectors.cell_sites import Sites, find_sites, without
from latticewatch.detectors.dead_pixels import near_pixels
from latticewatch.detectors.held import usable_pixels, well_within
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.mean_cell import (
    Columns,
    column_heights,
    find_columns,
    low_pass,
    mean_cell,
    nearest_distance,
)
from latticewatch.detectors.reference_cell.flaws import NO_FLAWS, Flaws, flawed_pixels
from latticewatch.detectors.reference_cell.local_fit import BlockGrid, local_fit
from latticewatch.detectors.reference_cell.noise import (
    Normal,
    intensity_skewness,
    noise_law,
    normal_law,
    row_shifts,
)
from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.detectors.reference_cell.residue import Residue, Strangers
from latticewatch.kernels.cells import CELL_BINS, add_to_cell, cell_index, leave_out, predict
from latticewatch.kernels.columns import N_MATCHES, correlate_columns, match_columns
from latticewatch.kernels.grids import N_MOMENTS, apply_gain, block_means, block_moments, halve
from latticewatch.kernels.residue import unshift_rows

_MOMENT_BLOCK = 1.0  # of a period: a block holds a whole cell, and 1.5 of them the window
_N_PIXELS = (2**15, 2**16)  # that the law of the noise is learnt from, the first and the last time
# Of the sites, so many may be strange that were not in the last frame before all is done twice.
_FEW_NEW = 0.0025
_WINDOW_WIDTHS = 3.0  # of a column, from its middle to the edge of its window


class ResidueMaker:
    """Explains frames by their own mean cells, in buffers that it keeps."""

    def __init__(self, parameters: ReferenceCellParameters) -> None:
        self._parameters, self._mask_widths = parameters, parameters.mask_widths
        self._floats = np.empty((5, 0), np.float32)
        self._places = np.empty(0, np.uint16)
        self._bytes = np.empty(0, np.uint8)
        self._total = np.empty(CELL_BINS**2)
        self._count = np.empty(CELL_BINS**2, np.int64)
        self._flaws, self._bad_yx = NO_FLAWS, NO_FLAWS.bad_yx
        self._third = 0.0
        self._mute: NDArray[np.bool_] | None = None
        self._reserve((0, 0))

    def explain(
        self,
        image: NDArray[np.float32],
        lock: LatticeLock,
        known: Strangers | None = None,
        flaws: Flaws = NO_FLAWS,
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
        flaws
            What must not be taken for the crystal.

        Returns
        -------
        Residue or None
            None where the mean cell holds no column, or a frame holds no site.
        """
        self._flaws, self._mute = flaws, None
        stride, columns = self._look(image, lock, known)
        if columns is None:
            return None
        fine = binned(lock, stride)
        sites = find_sites(fine, columns.fraction, columns.sigma_px, self._shape)
        sites, flawed = self._without_flaws(sites, columns.sigma_px)
        if not len(sites.label):
            return None
        gain, sums = self._judge(fine, sites, columns, is_last=known is not None)
        height, normal, strange = self._normal(fine, sites, columns, sums)
        if known is None or self._has_news(sites, strange):
            self._leave_out_strange(fine, sites.places_yx[strange], columns.sigma_px, known)
            gain, sums = self._judge(fine, sites, columns, is_last=True, norms=sums)
            height, normal, strange = self._normal(fine, sites, columns, sums)
        return Residue(
            stride=stride,
            columns=columns,
            height=height,
            sites=sites,
            gain=gain.at(sites.places_yx),
            residual=self._residual,
            precision=self._precision,
            weighted=self._weighted,
            bins=self._bins,
            sums=sums,
            scale=normal.scale,
            normal=normal.law,
            scatter=normal.scatter,
            basis_px_yx=fine.basis_px_yx,
            nearest_px=nearest_distance(columns.fraction, fine.basis_px_yx),
            within=well_within(fine),
            step_px=fine.step_px,
            flawed=flawed,
            strangers=Strangers.among(sites, strange, columns, self._mask_widths * stride),
        )

    def _look(
        self, image: NDArray[np.float32], lock: LatticeLock, known: Strangers | None
    ) -> tuple[int, Columns | None]:
        """Find the columns of the mean cell, and so how far the frame is binned."""
        stride = first_stride(lock.period_px)
        columns = self._first_look(image, lock, stride, known)
        if columns is not None and fitting_stride(columns.sigma_px * stride) != stride:
            stride = fitting_stride(columns.sigma_px * stride)
            columns = self._first_look(image, lock, stride, known)
        return stride, columns

    def _first_look(
        self, image: NDArray[np.float32], lock: LatticeLock, stride: int, known: Strangers | None
    ) -> Columns | None:
        """Bin the frame, fold it into a cell, and find the columns of the cell."""
        self._reserve((image.shape[0] // stride, image.shape[1] // stride))
        if stride == 1:
            self._image[:] = image
        elif stride == 2:
            halve(image, self._image)
        else:
            block_means(image, stride, self._image)
        if self._flaws.contrast < 0:
            np.negative(self._image, out=self._image)
        self._bad_yx = flawed_pixels(self._flaws.bad_yx, stride, self._shape)
        to_unit_scale(self._image)
        fine = binned(lock, stride)
        cell_index(fine.reciprocal_per_px, fine.phase, fine.step_px, self._bins)
        self._transfer = low_pass(fine, self._parameters.cell_blur_px)
        self._hold(fine)
        self._fold()
        if known is not None:
            places = fine.places(np.zeros(2, np.int64), known.coordinates)
            self._leave_out(fine, places, known.reach_px / stride)
        if not self._count.any():
            return None
        self._cell = mean_cell(self._total, self._count, self._transfer)
        return find_columns(self._cell, fine, self._parameters.least_column)

    def _without_flaws(
        self, sites: Sites, sigma_px: float
    ) -> tuple[Sites, NDArray[np.bool_] | None]:
        """Mute what stands at bad pixels; the sites left, and the pixels (H, W) near bad ones."""
        if not len(self._bad_yx):
            return sites, None
        reach_px = round(_WINDOW_WIDTHS * sigma_px) + 1
        # Nobody explains what stands there, so it may not speak to the windows of others.
        self._mute = near_pixels(self._bad_yx, self._shape, reach_px)
        self._used[self._mute] = 0
        # A column of which the site is not looked at may stand as far away again.
        flawed = near_pixels(self._bad_yx, self._shape, 2 * reach_px)
        return without(sites, self._mute), flawed

    def _hold(self, lock: LatticeLock) -> None:
        """Use the parts of the frame that hold the lattice, and no other; nor dead pixels."""
        self._used[:] = 1
        self._used[self._bad_yx[:, 0], self._bad_yx[:, 1]] = 0
        if self._mute is not None:
            self._used[self._mute] = 0
        if not lock.holds.all():
            self._used *= usable_pixels(lock, self._shape)

    def _reserve(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        n_pixels = shape[0] * shape[1]
        if n_pixels > len(self._bytes):
            self._floats = np.empty((5, n_pixels), np.float32)
            self._places = np.empty(n_pixels, np.uint16)
            self._bytes = np.empty(n_pixels, np.uint8)
        views = (row[:n_pixels].reshape(shape) for row in self._floats)
        self._image, self._model, self._residual, self._precision, self._weighted = views
        self._bins = self._places[:n_pixels].reshape(shape)
        self._used = self._bytes[:n_pixels].reshape(shape)

    def _fold(self) -> None:
        """Add the frame up in the bins of its cell."""
        self._total[:], self._count[:] = 0.0, 0
        add_to_cell(self._image, self._bins, self._used, self._total, self._count)

    def _judge(
        self,
        lock: LatticeLock,
        sites: Sites,
        columns: Columns,
        *,
        is_last: bool,
        norms: NDArray[np.float64] | None = None,
    ) -> tuple[BlockGrid, NDArray[np.float64]]:
        """Predict the frame, weigh what is left, match it; only the last time with all care.

        Squared norms (N, 6) of an earlier match are taken over: a changed law of the noise changes
        all of them alike.
        """
        gain = self._fit_model(lock)
        model, residual, used = self._model, self._residual, self._used
        law, self._third = noise_law(model, residual, used, _N_PIXELS[is_last])
        shift_px = np.zeros((self._shape[0], 2), np.float32)
        if is_last:
            shift_px = row_shifts(model, residual, used, law)
        unshift_rows(model, shift_px, law, residual, self._precision, self._weighted)
        if self._mute is not None:  # a pixel without weight says nothing
            self._precision[self._mute], self._weighted[self._mute] = 0.0, 0.0
        places, sigma_px = sites.places_yx, columns.sigma_px
        if norms is not None:
            correlate_columns(self._weighted, places, sigma_px, norms)
            return gain, norms
        sums = np.empty((len(places), N_MATCHES))
        match_columns(self._weighted, self._precision, places, sigma_px, sums)
        return gain, sums

    def _normal(
        self, lock: LatticeLock, sites: Sites, columns: Columns, sums: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], Normal, NDArray[np.bool_]]:
        """Heights (S,) of the columns of the cell, what is normal, and which sites are strange."""
        height = column_heights(self._cell, lock, columns.fraction, columns.sigma_px)
        skewness = intensity_skewness(sums, self._third, columns.sigma_px)
        window = lock.period_px, self._parameters.local_periods
        normal = normal_law(sums, sites, height, skewness, window)
        return height, normal, normal.strangeness > self._parameters.mask_sigmas**2

    def _fit_model(self, lock: LatticeLock) -> BlockGrid:
        """Fill model and residual; return the local gain."""
        predict(self._bins, self._cell.ravel(), self._model)
        step = max(2, round(_MOMENT_BLOCK * lock.period_px))
        height, width = self._shape
        moments = np.empty((N_MOMENTS, height // step, width // step), np.float32)
        block_moments(self._image, self._model, self._used, step, moments)
        gain, offset = local_fit(moments, self._parameters.local_periods * lock.period_px / step)
        apply_gain(gain, offset, step, self._image, self._model, self._residual)
        return BlockGrid(gain, step)

    def _has_news(self, sites: Sites, strange: NDArray[np.bool_]) -> bool:
        """Tell whether more than a few sites are strange that were used."""
        pixel = sites.places_yx[strange].astype(np.intp)
        return bool(self._used[pixel[:, 0], pixel[:, 1]].sum() > _FEW_NEW * len(sites.label))

    def _leave_out_strange(
        self,
        lock: LatticeLock,
        places_yx: NDArray[np.float64],
        sigma_px: float,
        known: Strangers | None,
    ) -> None:
        """Make the mean cell anew without what is strange, if anything is."""
        if known is not None or self._mute is not None:
            # What is known to be strange, or mute now, was left out, or was not.
            self._hold(lock)
            self._fold()
        if self._leave_out(lock, places_yx, self._mask_widths * sigma_px):
            self._cell = mean_cell(self._total, self._count, self._transfer)

    def _leave_out(
        self, lock: LatticeLock, places_yx: NDArray[np.float64], reach_px: float
    ) -> bool:
        """Leave squares round places out of the cell, unless hardly any of it is left."""
        if not len(places_yx):
            return False
        n_held = int(self._count.sum())
        first, last = places_yx - reach_px, places_yx + reach_px + 1
        boxes = np.stack([first[:, 0], last[:, 0], first[:, 1], last[:, 1]], axis=1)
        n_left_out = leave_out(
            self._image,
            self._bins,
            self._used,
            np.maximum(boxes, 0.0).astype(np.int64),
            self._total,
            self._count,
        )
        # A frame that is strange all over has no other to be compared with.
        if 2 * n_left_out > n_held:
            self._hold(lock)
            self._fold()
            return False
        return True
