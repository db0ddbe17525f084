"""Fits a symmetry model: the model patch, its filters, and what clean cells look like."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.detectors.reference_rule import FitError, label_of
from latticewatch.detectors.symmetry.bank import learn_bank
from latticewatch.detectors.symmetry.best_patch import best_patch
from latticewatch.detectors.symmetry.cells import CellMaker, gain_of
from latticewatch.detectors.symmetry.law import fit_law
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.symmetry.parameters import BLOCK_PX, KERNEL_PX, SymmetryParameters
from latticewatch.detectors.symmetry.preprocess import Preprocess, Preprocessor, scaled_to
from latticewatch.detectors.symmetry.reference import moments_of_patch, reference_of
from latticewatch.detectors.symmetry.typicality import flagged, tiles_of, typicality

Image = NDArray[np.float32]
_TILES_PX = (128, 96, 64)
_ENOUGH_TILES = 9


class Verdicts(Protocol):
    """What a gate says of some tiles."""

    @property
    def p_defect(self) -> NDArray[np.floating]:
        """Chance (N,) that a tile holds a defect."""
        ...

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether (N,) it is of a kind that the gate learned."""
        ...


class TileGate(Protocol):
    """Judges tiles of raw pixels."""

    def judge(self, tiles: Image) -> Verdicts:
        """Judge tiles (N, 128, 128)."""
        ...


@dataclass(frozen=True, slots=True)
class SymmetryReport:
    """What a fit found out.

    Attributes
    ----------
    n_tiles, n_clean
        Of all frames, and those that are not flagged.
    model_tile
        Row and column of the model patch among the tiles of its frame.
    model_frame
        Number of that frame.
    tile_px
        Side of a tile in pixels of the frame.
    n_cells
        Clean cells that the p-values were calibrated on.
    binning, period_px, limit
        As in the model.
    warnings
        What the user should know.
    """

    n_tiles: int
    n_clean: int
    model_tile: tuple[int, int]
    model_frame: int
    tile_px: int
    n_cells: int
    binning: int
    period_px: float | None
    limit: float
    warnings: list[str] = field(default_factory=list)


def fit(
    frames: Sequence[Image],
    parameters: SymmetryParameters,
    labels: Sequence[str] | None = None,
    gate: TileGate | None = None,
    clean_tiles: Sequence[NDArray[np.bool_]] | None = None,
) -> tuple[SymmetryModel, SymmetryReport]:
    """Fit a model on frames of one crystal.

    Parameters
    ----------
    frames
        (H, W) each, finite.
    parameters
        Settings.
    labels
        What messages call each frame; None for its number.
    gate
        Says which tiles are clean; None: typicality does.
    clean_tiles
        The same, known already: (R, C) for each frame.

    Raises
    ------
    FitError
        Nothing to learn from; the message says why and what would help.
    """
    notes: list[str] = []
    lattice = _clearest(frames)
    if lattice is None:
        notes.append("no lattice found: lengths are not scaled, staleness is told by the map alone")
    period_px = lattice.cell_px if lattice is not None and parameters.scale_to_lattice else None
    rule = scaled_to(
        period_px, parameters.nominal_period_px, (parameters.inner_sigma, parameters.outer_sigma)
    )
    filtered = [Preprocessor(rule).run(frame)[1] for frame in frames]
    side = _tile_side(filtered, parameters, rule, labels)
    grids = [tiles_of(image, side) for image in filtered]
    clean = list(clean_tiles) if clean_tiles is not None else _clean(grids)
    number, tile = _choose(clean)
    patch = np.ascontiguousarray(grids[number][tile])
    low, high = (
        float(np.quantile(patch, s)) for s in (parameters.level_low, parameters.level_high)
    )
    if not high > low:
        raise FitError(
            f"{label_of(number, labels)}: the model patch is flat: nothing to learn from"
        )
    rule = Preprocess(rule.binning, rule.inner_sigma_px, rule.outer_sigma_px, low, high)
    patch = patch / np.float32(high - low)
    bank = learn_bank(patch, parameters.n_filters, KERNEL_PX)
    maker = CellMaker(rule, bank)
    corner = (tile[0] * side, tile[1] * side)
    start = moments_of_patch(frames[number], corner, side, maker)
    diagonal = np.flatnonzero(np.equal(*np.triu_indices(len(bank))))
    usual_trace = float(np.median(start[:, diagonal].sum(axis=1)))
    reference = reference_of(start, parameters.ridge)
    least_variance, distances, levels = None, [], []
    for frame, good in zip(frames, clean, strict=True):
        cells = maker.run(frame)
        inside = _cells_of_tiles(good, side, cells.judgeable.shape) & cells.judgeable
        if least_variance is None:
            least_variance = float(np.quantile(cells.variance[inside], 0.001))
        gain = gain_of(cells, usual_trace, least_variance)
        distances.append(reference.distances(cells.moments[inside] / gain))
        levels.append(cells.level[inside])
    assert least_variance is not None
    law = fit_law(np.concatenate(distances))
    model = SymmetryModel(
        preprocess=rule,
        bank=bank,
        reference=reference,
        law=law,
        usual_trace=usual_trace,
        usual_distance=float(np.median(np.concatenate(distances))),
        usual_level=float(np.mean(np.concatenate(levels))),
        least_variance=least_variance,
        limit=law.distance_at(parameters.limit_p),
        limit_p=parameters.limit_p,
        patch=patch,
        patch_corner_px_yx=np.array(corner, np.int64) * rule.binning,
        patch_frame=number,
        basis_px_yx=None if lattice is None else lattice.basis_px_yx,
    )
    report = SymmetryReport(
        n_tiles=sum(one.size for one in clean),
        n_clean=int(sum(one.sum() for one in clean)),
        model_tile=tile,
        model_frame=number,
        tile_px=side * rule.binning,
        n_cells=law.n_cells,
        binning=rule.binning,
        period_px=None if lattice is None else lattice.cell_px,
        limit=model.limit,
        warnings=notes,
    )
    return model, report


def _clearest(frames: Sequence[Image]) -> Lattice | None:
    found = [lattice for frame in frames if (lattice := find_lattice(frame)) is not None]
    return max(found, key=lambda lattice: lattice.strength) if found else None


def _tile_side(
    filtered: Sequence[Image],
    parameters: SymmetryParameters,
    rule: Preprocess,
    labels: Sequence[str] | None,
) -> int:
    least = min(range(len(filtered)), key=lambda number: filtered[number].size)
    height, width = filtered[least].shape
    for side in (parameters.tile_px, *(one for one in _TILES_PX if one < parameters.tile_px)):
        if (height // side) * (width // side) >= _ENOUGH_TILES:
            return side
    smallest = min(parameters.tile_px, _TILES_PX[-1])
    if (height // smallest) * (width // smallest) < 2:
        raise FitError(
            f"{label_of(least, labels)}: smaller than two tiles of {smallest * rule.binning} px: "
            "give larger frames"
        )
    return smallest


def _clean(grids: Sequence[NDArray[np.float32]]) -> list[NDArray[np.bool_]]:
    side = grids[0].shape[-1]
    likeness = typicality(np.concatenate([grid.reshape(-1, 1, side, side) for grid in grids]))
    strange = flagged(likeness)[:, 0]
    bounds = np.cumsum([grid.shape[0] * grid.shape[1] for grid in grids])[:-1]
    return [
        ~part.reshape(grid.shape[:2])
        for part, grid in zip(np.split(strange, bounds), grids, strict=True)
    ]


def _choose(clean: Sequence[NDArray[np.bool_]]) -> tuple[int, tuple[int, int]]:
    number = max(range(len(clean)), key=lambda one: int(clean[one].sum()))
    tile = best_patch(clean[number])
    if tile is None:
        raise FitError("every tile is defective: no model patch; give frames with clean crystal")
    return number, tile


def _cells_of_tiles(
    clean: NDArray[np.bool_], side: int, grid: tuple[int, int]
) -> NDArray[np.bool_]:
    """Cells (R, C) of which every pixel lies in a clean tile."""
    per_tile = side // BLOCK_PX
    blocks = np.zeros((grid[0] + 1, grid[1] + 1), bool)
    large = np.kron(clean, np.ones((per_tile, per_tile), bool)).astype(bool)
    large = large[: grid[0] + 1, : grid[1] + 1]
    blocks[: large.shape[0], : large.shape[1]] = large
    return np.asarray(blocks[:-1, :-1] & blocks[1:, :-1] & blocks[:-1, 1:] & blocks[1:, 1:])
