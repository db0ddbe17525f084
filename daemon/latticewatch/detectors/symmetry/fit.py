"""Fits a symmetry model: the model patch, its filters, and what clean cells look like."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError, label_of
from latticewatch.detectors.symmetry.bank import learn_bank
from latticewatch.detectors.symmetry.calibrate import Calibrated, calibrate
from latticewatch.detectors.symmetry.cells import CellMaker
from latticewatch.detectors.symmetry.gated_tiles import TileGate
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.symmetry.model_patch import Patch, choose_patch
from latticewatch.detectors.symmetry.own_lattice import clearest_lattices, lattice_of_patch
from latticewatch.detectors.symmetry.parameters import KERNEL_PX, SymmetryParameters
from latticewatch.detectors.symmetry.preprocess import Preprocess, Preprocessor, scaled_to
from latticewatch.detectors.symmetry.region import ENOUGH_CELLS, moments_in, region_round

Image = NDArray[np.float32]
# Fewer cells than this at one position of the grid tell nothing of 55 moments.
_FEWEST_CELLS = 36
_POSITIONS = 16


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
        Says which tiles are clean, and goes into the model; None: typicality does.
    clean_tiles
        The same, known already: (R, C) for each frame, of `parameters.tile_px`.

    Raises
    ------
    FitError
        Nothing to learn from; the message says why and what would help.
    """
    frames = _readable(frames, labels)
    notes: list[str] = []
    clearest = clearest_lattices(frames)
    period_px = None if clearest is None else clearest.lattices[0].cell_px
    patch = choose_patch(frames, period_px, parameters.tile_px, labels, gate, clean_tiles)
    lattice = lattice_of_patch(frames, clearest, patch)
    if lattice is None:
        notes.append("no lattice found: lengths are those of 12 px, and no turn is noticed")
    rule = _rule(frames, None if lattice is None else lattice.cell_px, parameters)
    filtered = Preprocessor(rule).run(frames[patch.frame])[1]
    place, rule = _levelled(filtered, rule, patch, parameters, labels)
    filtered = filtered / np.float32(rule.high - rule.low)
    bank = learn_bank(filtered[place], parameters.n_filters, KERNEL_PX)
    moments = _moments_round(filtered, bank, rule, patch, label_of(patch.frame, labels))
    if len(moments) < ENOUGH_CELLS * _POSITIONS:
        notes.append("few clean tiles lie together: what is usual is known roughly")
    known = calibrate(frames, patch, CellMaker(rule, bank), moments, parameters)
    model = replace(
        _model(known, rule, bank, filtered[place], parameters),
        patch_corner_px_yx=np.array(patch.tile, np.int64) * patch.side_px,
        patch_frame=patch.frame,
        basis_px_yx=None if lattice is None else lattice.basis_px_yx,
        gate=_network_of(gate),
    )
    return model, _report(model, patch, notes)


def _readable(frames: Sequence[Image], labels: Sequence[str] | None) -> list[Image]:
    if not frames:
        raise FitError("no frame to learn from: give at least one")
    for number, frame in enumerate(frames):
        n_bad = int(np.count_nonzero(~np.isfinite(frame)))
        if n_bad:
            raise FitError(
                f"{label_of(number, labels)}: {n_bad} pixels are not finite, expected numbers: "
                "repair the frame or leave it out"
            )
    return [np.ascontiguousarray(frame, np.float32) for frame in frames]


def _network_of(gate: TileGate | None) -> bytes:
    return b"" if gate is None else gate.network


def _moments_round(
    filtered: Image, bank: Image, rule: Preprocess, patch: Patch, label: str
) -> NDArray[np.float32]:
    """Moments (N, D) of the cells of the model patch and of clean tiles round it."""
    clean = patch.clean[patch.frame]
    region = region_round(clean, patch.tile, patch.side_px, rule.binning, filtered.shape)
    moments, _ = moments_in(filtered, bank, region)
    if len(moments) < _FEWEST_CELLS * _POSITIONS:
        raise FitError(
            f"{label}: the clean tiles round the model patch hold {len(moments) // _POSITIONS} "
            f"cells, at least {_FEWEST_CELLS} needed: give larger or cleaner frames"
        )
    return moments


def _report(model: SymmetryModel, patch: Patch, notes: list[str]) -> SymmetryReport:
    return SymmetryReport(
        n_tiles=sum(one.size for one in patch.clean),
        n_clean=int(sum(one.sum() for one in patch.clean)),
        model_tile=patch.tile,
        model_frame=patch.frame,
        tile_px=patch.side_px,
        n_cells=model.law.n_cells,
        binning=model.preprocess.binning,
        period_px=model.period_px,
        limit=model.limit,
        warnings=notes,
    )


def _rule(
    frames: Sequence[Image], period_px: float | None, parameters: SymmetryParameters
) -> Preprocess:
    if period_px is None or not parameters.scale_to_lattice:
        return Preprocess(1, *parameters.unscaled_sigmas_px)
    smallest = min((frame.shape for frame in frames), key=lambda shape: shape[0] * shape[1])
    return scaled_to(period_px, (smallest[0], smallest[1]), parameters)


def _levelled(
    filtered: Image,
    rule: Preprocess,
    patch: Patch,
    parameters: SymmetryParameters,
    labels: Sequence[str] | None,
) -> tuple[tuple[slice, slice], Preprocess]:
    """Where the model patch is in the filtered frame, and its levels."""
    rows, columns = (
        slice(-(-one * patch.side_px // rule.binning), (one + 1) * patch.side_px // rule.binning)
        for one in patch.tile
    )
    tile = filtered[rows, columns]
    low, high = (
        float(np.quantile(tile, share)) for share in (parameters.level_low, parameters.level_high)
    )
    if not high > low:
        raise FitError(
            f"{label_of(patch.frame, labels)}: the model patch is flat, there is nothing to learn"
        )
    return (rows, columns), replace(rule, low=low, high=high)


def _model(
    known: Calibrated,
    rule: Preprocess,
    bank: Image,
    tile: Image,
    parameters: SymmetryParameters,
) -> SymmetryModel:
    return SymmetryModel(
        preprocess=rule,
        bank=bank,
        reference=known.reference,
        law=known.law,
        usual_trace=known.usual_trace,
        usual_nearest=known.usual_nearest,
        least_variance=known.least_variance,
        limit=known.law.distance_at(parameters.limit_p),
        limit_p=parameters.limit_p,
        patch=np.ascontiguousarray(tile),
        patch_corner_px_yx=np.zeros(2, np.int64),
    )
