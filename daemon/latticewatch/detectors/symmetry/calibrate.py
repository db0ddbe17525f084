"""What is usual: mean and spread of clean cells, and how far clean cells are from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.cells import CellMaker, gain_of
from latticewatch.detectors.symmetry.distances import DistanceMeter, nearest_of
from latticewatch.detectors.symmetry.law import DistanceLaw, fit_law
from latticewatch.detectors.symmetry.model_patch import Patch
from latticewatch.detectors.symmetry.parameters import BLOCK_PX, SymmetryParameters
from latticewatch.detectors.symmetry.reference import Reference, reference_of, trimmed_reference
from latticewatch.detectors.symmetry.region import SOME_SHIFTS, cells_in, moments_in, pixels_of

Image = NDArray[np.float32]
# Of the variance in the clean region; the published program divides its least value by 1.2.
_LEAST_SHARE = 0.001
_TINY = 1e-12
_OTHER_CRYSTAL = 1.6
_MANY_TILES = 1 << 20  # more than a frame has rows of tiles
# Neighbouring cells share half of their pixels along each axis.
_CELLS_PER_BOX = 4


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a model knows of clean cells.

    Attributes
    ----------
    reference
        Mean and spread of their moments.
    law
        Of their distances, each by statistics that did not see it.
    usual_trace, least_variance
        As in the model.
    usual_nearest
        As `Distances.nearest`, of the reference.
    """

    reference: Reference
    law: DistanceLaw
    usual_trace: float
    least_variance: float
    usual_nearest: float


def calibrate(
    frames: Sequence[Image],
    patch: Patch,
    maker: CellMaker,
    moments: NDArray[np.float32],
    parameters: SymmetryParameters,
) -> Calibrated:
    """Learn the reference, and the law of the distances of every clean cell of every frame.

    Parameters
    ----------
    frames
        Of the reference.
    patch
        Its model patch and clean tiles.
    maker
        Of cells.
    moments : (N, D)
        Of the cells round the model patch, at all positions of the grid: what is clean is first
        told from them.
    parameters
        Settings.

    Raises
    ------
    FitError
        No frame has a clean cell.
    """
    cells = maker.run(frames[patch.frame])
    own = cells_in(_clean_pixels(patch, patch.frame, maker, frames[patch.frame]))
    own &= cells.judgeable
    if not own.any():
        raise FitError("no clean cell away from the border of the frame: give larger frames")
    least_variance = max(float(np.quantile(cells.variance[own], _LEAST_SHARE)), _TINY)
    start = float(np.median(cells.trace[own]))
    usual_trace = start * gain_of(cells, start, least_variance, own)
    ridge = parameters.ridge
    first = reference_of(moments, ridge)
    meter = DistanceMeter(first, usual_trace, least_variance)
    gathered, folds, tiles = [], [], []
    for number, frame in enumerate(frames):
        cells = maker.run(frame)
        clean = _clean_pixels(patch, number, maker, frame)
        found = meter.run(cells, cells_in(clean))
        if not found.gain > 0:
            continue
        some, corners = moments_in(maker.filtered, maker.bank, clean, SOME_SHIFTS)
        if len(some):
            gathered.append(some / np.float32(found.gain))
            folds.append(_quarters(corners))
            middle = (corners + BLOCK_PX) * maker.rule.binning // patch.side_px
            tiles.append(middle + np.array([number * _MANY_TILES, 0]))
    if not gathered:
        raise FitError("no clean cell in any frame: give frames with clean crystal")
    every, fold = np.concatenate(gathered), np.concatenate(folds)
    like_most = _like_most(trimmed_reference(every, first, ridge), every, np.concatenate(tiles))
    every, fold = every[like_most], fold[like_most]
    pooled = parameters.pooled
    reference = trimmed_reference(every, first, ridge) if pooled else first
    distances = _out_of_fold(every, fold, first, ridge) if pooled else first.distances(every)
    law = fit_law(distances, cells_per_observation=_CELLS_PER_BOX * len(SOME_SHIFTS) ** 2)
    return Calibrated(
        reference=reference,
        law=law,
        usual_trace=usual_trace,
        least_variance=least_variance,
        usual_nearest=nearest_of(distances),
    )


def _clean_pixels(patch: Patch, number: int, maker: CellMaker, frame: Image) -> NDArray[np.bool_]:
    """Binned pixels (H, W) of clean tiles, away from the border of the frame."""
    binning, (height, width) = maker.rule.binning, frame.shape
    shape = (height // binning, width // binning)
    clean = pixels_of(patch.clean[number], patch.side_px, binning, shape)
    # Windows of the outermost cells that are judged lie within; half a block keeps the grid of
    # cells the same from either side.
    border = maker.rule.border_cells * BLOCK_PX - BLOCK_PX // 2
    inner = np.zeros_like(clean)
    inner[border : shape[0] - border, border : shape[1] - border] = True
    return clean & inner


def _quarters(corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tell in which quarter (N,) of the frame each cell lies, from its first pixel (N, 2)."""
    below = corners >= np.median(corners, axis=0)
    quarter: NDArray[np.int64] = 2 * below[:, 0].astype(np.int64) + below[:, 1]
    return quarter


def _like_most(
    reference: Reference, moments: NDArray[np.float32], tiles: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which cells (N,) lie in tiles whose median distance is that of most tiles.

    A grain turned by a few degrees, and a twin at a low dose, have spectra that are hardly less
    typical; the map tells them apart. Tiles (N, 2) of one frame differ in brightness and strain by
    a factor of 1.5 at most, measured; those of another crystal by 1.5 to 20.
    """
    distance = reference.distances(moments)
    _, number = np.unique(tiles, axis=0, return_inverse=True)
    number = number.reshape(-1)
    medians = np.array([np.median(distance[number == one]) for one in range(number.max() + 1)])
    kept: NDArray[np.bool_] = (medians <= _OTHER_CRYSTAL * np.quantile(medians, 0.3))[number]
    return kept


def _out_of_fold(
    moments: NDArray[np.float32], fold: NDArray[np.int64], start: Reference, ridge: float
) -> NDArray[np.float64]:
    """Distances (N,) of cells from a reference that their quarter of the frame had no part in."""
    distance = start.distances(moments)
    for quarter in range(4):
        own = fold == quarter
        if own.any() and not own.all():
            reference = trimmed_reference(moments[~own], start, ridge)
            distance[own] = reference.distances(moments[own])
    return distance
