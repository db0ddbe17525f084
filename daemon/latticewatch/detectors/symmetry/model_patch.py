"""Which tile of which reference frame becomes the model patch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError, label_of
from latticewatch.detectors.symmetry.best_patch import best_patch
from latticewatch.detectors.symmetry.gated_tiles import TileGate, gated, side_of_whole
from latticewatch.detectors.symmetry.preprocess import Preprocess, Preprocessor
from latticewatch.detectors.symmetry.typicality import flagged, tiles_of, typicality

Image = NDArray[np.float32]
Tiles = NDArray[np.bool_]
_SIDES_PX = (128, 96, 64)
_ENOUGH_TILES = 9
# Shorter tiles than so many periods have no spectrum to speak of.
_FEWEST_PERIODS = 3.0
# Widths, in periods, of the filter whose spectra are compared: sharper than that of the map, so
# that columns show their shape.
# Chosen on two real images, to give the tiles of methods/symmetry.md 3.3: at 0.12 of ZrO2 one
# more tile is flagged, and its neighbour is the patch.
_SIGMAS = (0.1, 0.15)
_LEAST_SIGMA_PX = 1.0
# Of the variance of the upper tiles: less is vacuum.
_EMPTY = 0.1
# Where fewer tiles are full, empty may be what is typical, and only full ones are compared.
_MOSTLY = 0.67
# Of single precision, over the brightest pixel: what a uniform frame has after a filter.
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class Patch:
    """The model patch, and what else is clean.

    Attributes
    ----------
    frame
        Number of its frame.
    tile
        Row and column among the tiles of that frame.
    side_px
        Of a tile, in pixels of the frame.
    clean
        (R, C) for each frame.
    """

    frame: int
    tile: tuple[int, int]
    side_px: int
    clean: list[Tiles]


def choose_patch(
    frames: Sequence[Image],
    period_px: float | None,
    tile_px: int,
    labels: Sequence[str] | None = None,
    gate: TileGate | None = None,
    clean_tiles: Sequence[Tiles] | None = None,
) -> Patch:
    """Choose the tile deepest inside the clean part of the reference.

    Parameters
    ----------
    frames
        (H, W) each.
    period_px
        Of the lattice; None where it is unknown.
    tile_px
        Side of a tile where frames are large enough.
    labels
        What messages call each frame.
    gate
        Tells which tiles are clean; those of a kind that it does not know are judged by
        typicality.
    clean_tiles
        What is clean, known already; overrules both.

    Raises
    ------
    FitError
        A frame is smaller than two tiles, or no tile is clean.
    """
    side_px = tile_px if clean_tiles is not None else _side_for(frames, period_px, tile_px)
    if clean_tiles is None and gate is not None:
        side_px = side_of_whole(side_px, gate.tile_px)
    _refuse_small(frames, side_px, labels)
    if clean_tiles is None:
        clean, full = _typical(frames, period_px, side_px)
        if gate is not None:
            # Its word holds for the tiles that it knows, but never for an empty one.
            clean = [
                gated(gate, frame, side_px, own) & crystal
                for frame, own, crystal in zip(frames, clean, full, strict=True)
            ]
    else:
        clean = [np.asarray(tiles, bool) for tiles in clean_tiles]
        _refuse_other_tiles(frames, clean, side_px, labels)
    frame = max(range(len(clean)), key=lambda number: int(clean[number].sum()))
    tile = best_patch(clean[frame])
    if tile is None:
        _refuse_all(len(clean), sum(one.size for one in clean), gate, clean_tiles)
    return Patch(frame, tile, side_px, clean)


def _refuse_all(
    n_frames: int, n_tiles: int, gate: TileGate | None, clean_tiles: Sequence[Tiles] | None
) -> NoReturn:
    what = f"every one of the {n_tiles} tiles of {n_frames} frames is"
    if clean_tiles is not None:
        raise FitError(
            f"{what} defective by its label, expected a clean one for the model patch: label "
            "frames with clean crystal, or fit without labels"
        )
    if gate is not None:
        raise FitError(
            f"{what} defective by the gate or empty, expected a clean one for the model patch: "
            "give frames with clean crystal, or fit without the gate"
        )
    raise FitError(
        f"{what} empty, expected crystal for the model patch: give frames that show some"
    )


def _side_for(frames: Sequence[Image], period_px: float | None, tile_px: int) -> int:
    height, width = min((frame.shape for frame in frames), key=lambda shape: shape[0] * shape[1])
    sides = [tile_px, *(side for side in _SIDES_PX if side < tile_px)]
    usable = [side for side in sides if side >= _FEWEST_PERIODS * (period_px or 0.0)] or sides[:1]
    for side in usable:
        if (height // side) * (width // side) >= _ENOUGH_TILES:
            return side
    return usable[-1]


def _refuse_small(frames: Sequence[Image], side_px: int, labels: Sequence[str] | None) -> None:
    for number, frame in enumerate(frames):
        height, width = frame.shape
        if (height // side_px) * (width // side_px) < 2:
            raise FitError(
                f"{label_of(number, labels)}: {height} x {width} pixels are fewer than two tiles "
                f"of {side_px} px: give larger frames"
            )


def _refuse_other_tiles(
    frames: Sequence[Image], clean: Sequence[Tiles], side_px: int, labels: Sequence[str] | None
) -> None:
    for number, (frame, tiles) in enumerate(zip(frames, clean, strict=True)):
        expected = (frame.shape[0] // side_px, frame.shape[1] // side_px)
        if tiles.shape != expected:
            raise FitError(
                f"{label_of(number, labels)}: labels of {tiles.shape} tiles, expected {expected} "
                f"of {side_px} px"
            )


def _typical(
    frames: Sequence[Image], period_px: float | None, side_px: int
) -> tuple[list[Tiles], list[Tiles]]:
    """Tell which tiles of each frame look like most of all, and which are not empty."""
    inner = 2.0 if period_px is None else max(_SIGMAS[0] * period_px, _LEAST_SIGMA_PX)
    ready = Preprocessor(Preprocess(1, inner, inner * _SIGMAS[1] / _SIGMAS[0]))
    grids = [tiles_of(ready.run(frame)[1], side_px).copy() for frame in frames]
    tiles = np.concatenate([grid.reshape(-1, 1, side_px, side_px) for grid in grids])
    variance = tiles.var(axis=(1, 2, 3))
    rounding = _ROUNDING * max(float(np.abs(frame).max()) for frame in frames)
    full = variance > max(_EMPTY * float(np.quantile(variance, 0.9)), rounding**2)
    clean = full.copy()
    asked = full if np.count_nonzero(full) < _MOSTLY * len(full) else np.ones_like(full)
    if asked.any():
        clean[asked] &= ~flagged(typicality(tiles[asked]))[:, 0]
    bounds = np.cumsum([grid.shape[0] * grid.shape[1] for grid in grids])[:-1]
    shapes = [grid.shape[:2] for grid in grids]
    return _apart(clean, bounds, shapes), _apart(full, bounds, shapes)


def _apart(flat: Tiles, bounds: NDArray[np.intp], shapes: Sequence[tuple[int, ...]]) -> list[Tiles]:
    parts = np.split(flat, bounds)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
