"""Labelled tiles for a gate, from masks and from places: arrays in, arrays out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate_input import LEAST_SIDE_PX, SIDE_PX

# Values of a mask. Two-valued masks hold the first and the last.
LATTICE, SECOND_DOMAIN, AMORPHOUS = 0, 127, 255
# Label rule of Dennler et al.: below the first share clean, above the second a defect.
CLEAN_SHARE, DEFECT_SHARE = 0.01, 0.10


@dataclass(frozen=True, slots=True)
class PlacedLabel:
    """What a person says of one place.

    Attributes
    ----------
    frame
        Number of the frame.
    middle_px_yx
        Middle of the tile; None where the frame is the tile.
    is_defect
        Whether it holds a defect.
    """

    frame: int
    middle_px_yx: tuple[int, int] | None
    is_defect: bool


@dataclass(frozen=True, slots=True)
class LabelledTiles:
    """Tiles and what they hold.

    Attributes
    ----------
    tiles : (N, S, S)
        Raw pixels.
    is_defect : (N,) bool
    n_dropped
        Tiles that are neither clean nor clearly a defect, and were left out.
    """

    tiles: NDArray[np.float32]
    is_defect: NDArray[np.bool_]
    n_dropped: int = 0


def tiles_of_mask(
    frame: NDArray[np.generic],
    mask: NDArray[np.generic],
    *,
    tile_px: int = SIDE_PX,
    name: str = "mask",
) -> LabelledTiles:
    """Cut a frame into tiles side by side, labelled by a mask of what they show.

    A tile holds a defect if more than a tenth of it is amorphous or blurred (255), or if its share
    of the second domain (127) is between a tenth and nine tenths: it then holds the boundary. It is
    clean if less than a hundredth is amorphous, and less than a hundredth or more than 99 of the
    second domain: a tile wholly inside the other domain is clean. What is between is dropped.

    Parameters
    ----------
    frame : (H, W)
        Raw pixels.
    mask : (H, W)
        0 lattice, 127 second domain, 255 amorphous, blurred or a defect; or only 0 and 255; or
        bool, True being 255.
    tile_px
        Side, 32 to 128. What is left over at the right and at the bottom is not used.
    name
        Of the mask, for messages.

    Raises
    ------
    FitError
        The mask has another size or other values, or the frame is smaller than a tile.
    """
    if frame.ndim != 2 or mask.shape != frame.shape:
        raise FitError(
            f"{name}: {_sides(mask)} for a frame of {_sides(frame)}, expected a mask of one "
            "channel and of the frame's size"
        )
    values = np.unique(mask)
    allowed = (False, True) if mask.dtype == np.bool_ else (LATTICE, SECOND_DOMAIN, AMORPHOUS)
    if odd := values[~np.isin(values, allowed)][:5].tolist():
        told = ", ".join(f"{value:g}" for value in odd)
        raise FitError(
            f"{name}: holds {told}, expected 0 (lattice), 127 (second domain) and 255 "
            "(amorphous or a defect) alone: save it without smoothing or compression losses"
        )
    _refuse_side(tile_px, frame, name)
    amorphous = mask if mask.dtype == np.bool_ else mask == AMORPHOUS
    defect_share = _blocks(amorphous, tile_px).mean(axis=(1, 2))
    domain_share = _blocks(mask == SECOND_DOMAIN, tile_px).mean(axis=(1, 2))
    is_defect, is_clean = _judged(defect_share, domain_share)
    tiles = _blocks(frame, tile_px).astype(np.float32)
    kept = is_defect | is_clean
    return LabelledTiles(tiles[kept], is_defect[kept], int((~kept).sum()))


def tiles_of_rows(
    frames: Mapping[int, NDArray[np.generic]],
    rows: Sequence[PlacedLabel],
    *,
    names: Mapping[int, str] | None = None,
) -> LabelledTiles:
    """Cut tiles out of frames round the places of a table.

    Parameters
    ----------
    frames
        (H, W) each, by number.
    rows
        Of the table. Tiles are of 128 px; one near an edge is moved inwards until it lies in its
        frame.
    names
        What messages call the frames; None: their numbers.

    Raises
    ------
    FitError
        No rows, one that lies outside of its frame, or tiles of several sides.
    """
    tiles = [_tile_of(frames[row.frame], row, (names or {}).get(row.frame)) for row in rows]
    if not tiles:
        raise FitError("no labels: expected rows that name a place and what it shows")
    return together(
        [
            LabelledTiles(tile[None], np.array([row.is_defect]))
            for tile, row in zip(tiles, rows, strict=True)
        ]
    )


def _tile_of(frame: NDArray[np.generic], row: PlacedLabel, name: str | None) -> NDArray[np.float32]:
    where = name or f"frame {row.frame}"
    if row.middle_px_yx is None:
        if frame.ndim != 2 or frame.shape[0] != frame.shape[1] or len(frame) > SIDE_PX:
            raise FitError(
                f"{where}: labelled as a whole, but is {_sides(frame)}, expected a square tile of "
                f"{LEAST_SIDE_PX} to {SIDE_PX} px: name places in it by y_px and x_px"
            )
        _refuse_side(len(frame), frame, where)
        return frame.astype(np.float32)
    _refuse_side(SIDE_PX, frame, where)
    if not all(0 <= at < n for at, n in zip(row.middle_px_yx, frame.shape, strict=True)):
        raise FitError(
            f"{where}: the label at y_px, x_px = {row.middle_px_yx} is outside of the frame of "
            f"{_sides(frame)}"
        )
    top, left = (
        min(max(at - SIDE_PX // 2, 0), n - SIDE_PX)
        for at, n in zip(row.middle_px_yx, frame.shape, strict=True)
    )
    return frame[top : top + SIDE_PX, left : left + SIDE_PX].astype(np.float32)


def together(parts: Sequence[LabelledTiles]) -> LabelledTiles:
    """Put tiles of several frames together.

    Raises
    ------
    FitError
        Their sides differ, or there is no tile.
    """
    parts = [part for part in parts if len(part.tiles) or part.n_dropped]
    sides = sorted({part.tiles.shape[1] for part in parts if len(part.tiles)})
    if len(sides) != 1:
        told = ", ".join(map(str, sides)) or "no tiles"
        raise FitError(f"labels give {told}, expected tiles of one side")
    shown = [part for part in parts if len(part.tiles)]
    return LabelledTiles(
        np.concatenate([part.tiles for part in shown]),
        np.concatenate([part.is_defect for part in shown]),
        sum(part.n_dropped for part in parts),
    )


def _judged(
    defect: NDArray[np.float64], domain: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tiles hold a defect and which are clean, from shares (N,) of their area."""
    crossed = (domain > DEFECT_SHARE) & (domain < 1.0 - DEFECT_SHARE)
    whole = (domain < CLEAN_SHARE) | (domain > 1.0 - CLEAN_SHARE)
    return (defect > DEFECT_SHARE) | crossed, (defect < CLEAN_SHARE) & whole


def _blocks(image: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    """Tiles (N, S, S) side by side, in row-major order."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.transpose(0, 2, 1, 3).reshape(-1, side, side)


def _refuse_side(tile_px: int, frame: NDArray[np.generic], where: str) -> None:
    if not LEAST_SIDE_PX <= tile_px <= SIDE_PX:
        raise FitError(f"tiles of {tile_px} px, expected {LEAST_SIDE_PX} to {SIDE_PX}")
    if frame.ndim != 2 or min(frame.shape) < tile_px:
        raise FitError(f"{where}: the frame of {_sides(frame)} holds no tile of {tile_px} px")


def _sides(image: NDArray[np.generic]) -> str:
    return " x ".join(map(str, image.shape))
