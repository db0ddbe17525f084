"""Fits the symmetry maps with a gate, where a person has said what some tiles show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.fit import SymmetryReport, fit
from latticewatch.detectors.symmetry.gate_fit import GateFit, GateFitSettings, fit_gate
from latticewatch.detectors.symmetry.gate_input import SIDE_PX
from latticewatch.detectors.symmetry.gate_labels import (
    LabelledTiles,
    PlacedLabel,
    tiles_of_mask,
    tiles_of_rows,
    together,
)
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.symmetry.parameters import SymmetryParameters

# Of frames smaller than twice the usual side, masks give tiles of half of it: one tile a frame
# would learn nothing of what lies beside a boundary.
_SMALL_TILE_PX = SIDE_PX // 2  # as long as the gate takes tiles of this side


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a person says of frames; one of the two is empty.

    Attributes
    ----------
    masks
        (H, W) by number of the frame.
    rows
        Places.
    """

    masks: Mapping[int, NDArray[np.generic]] = field(default_factory=dict)
    rows: Sequence[PlacedLabel] = ()


@dataclass(frozen=True, slots=True)
class GateOptions:
    """How the gate is fitted.

    Attributes
    ----------
    seed
        Of all random numbers.
    weights
        Of the published network; None: the small one that ships.
    """

    seed: int = 0
    weights: Path | None = None


def fit_labelled(
    frames: Mapping[int, NDArray[np.float32]],
    names: Mapping[int, str],
    labelled: Labelled,
    parameters: SymmetryParameters,
    options: GateOptions,
) -> tuple[SymmetryModel, SymmetryReport, GateFit]:
    """Fit a gate on the labelled tiles, and with its word on which tiles are clean the model.

    Parameters
    ----------
    frames, names
        (H, W) each, finite, and what messages call them; by number. Those that are tiles
        themselves teach the gate alone.
    labelled
        At least five tiles of a kind.
    parameters
        Of the maps.
    options
        Of the gate.

    Raises
    ------
    FitError
        Labels or frames cannot be learned from; the message says why.
    """
    tiles = _tiles_of(frames, names, labelled)
    whole = {row.frame for row in labelled.rows if row.middle_px_yx is None}
    shown = [number for number in frames if number not in whole]
    if not shown:
        raise FitError(
            f"all {len(frames)} frame(s) are labelled tiles: the maps learn from frames of at "
            "least two tiles, so give one or more beside the tiles"
        )
    made = _gate_of(tiles, options)
    model, report = fit(
        [frames[number] for number in shown],
        parameters,
        [names[number] for number in shown],
        gate=made.gate,
    )
    return model, report, made


def _tiles_of(
    frames: Mapping[int, NDArray[np.float32]], names: Mapping[int, str], labelled: Labelled
) -> LabelledTiles:
    if not labelled.masks:
        lost = sorted({row.frame for row in labelled.rows} - set(frames))
        if lost:
            raise FitError(
                f"labels for frame {lost[0]} of those given, which holds nothing: leave its "
                "rows out, or the frame"
            )
        return tiles_of_rows(frames, labelled.rows, names=names)
    smallest = min(min(frame.shape) for frame in frames.values())
    side = SIDE_PX if smallest >= 2 * SIDE_PX else _SMALL_TILE_PX
    return together(
        [
            tiles_of_mask(
                frame, labelled.masks[number], tile_px=side, name=f"mask of {names[number]}"
            )
            for number, frame in frames.items()
        ]
    )


def _gate_of(tiles: LabelledTiles, options: GateOptions) -> GateFit:
    if options.weights is None:
        usual = GateFitSettings(seed=options.seed)
        return fit_gate(tiles.tiles, tiles.is_defect, usual, n_dropped=tiles.n_dropped)
    try:
        # Here, for it needs torch.
        from latticewatch.detectors.symmetry.training import (
            PublishedGateSettings,
            fit_published_gate,
        )
    except ImportError as error:
        raise FitError(
            f"the published gate needs the package {error.name}: pip install 'latticewatch[train]'"
        ) from error
    settings = PublishedGateSettings(seed=options.seed)
    made = fit_published_gate(tiles.tiles, tiles.is_defect, options.weights, settings)
    return replace(made, report=replace(made.report, n_dropped=tiles.n_dropped))
