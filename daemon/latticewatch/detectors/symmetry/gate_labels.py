"""Labelled tiles for a gate, from masks, from tables, and from stacks: arrays in, arrays out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate_input import LEAST_SIDE_PX, SIDE_PX

# Values of a mask. Two-valued masks hold the first and the last.
LATTICE, SECOND_DOMAIN, AMORPHOUS = 0, 127, 255
# Label rule of Dennler et al.: below the first share clean, above the second a defect.
CLEAN_SHARE, DEFECT_SHARE = 0.01, 0.10
LABELS = ("clean", "defect")
COLUMNS = ("frame", "y_px", "x_px", "label")


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
    frames: Mapping[str, NDArray[np.generic]],
    rows: Iterable[Mapping[str, object]],
    *,
    tile_px: int = SIDE_PX,
) -> LabelledTiles:
    """Cut tiles out of frames round places that a table names.

    Parameters
    ----------
    frames
        (H, W) each, by the name that the table calls them by.
    rows
        As `csv.DictReader` gives them: `frame`, its name, which may be left out if there is one
        frame; `y_px` and `x_px`, the pixel in the middle of the tile (near an edge the tile is
        moved inwards until it lies in the frame); `label`, clean or defect.
    tile_px
        Side, 32 to 128.

    Raises
    ------
    FitError
        No rows, or one that cannot be used: the message gives its number, counted from 1.
    """
    tiles, labels = [], []
    for number, row in enumerate(rows, start=1):
        frame = _frame_of(frames, row, number)
        _refuse_side(tile_px, frame, f"row {number}")
        middle = [_number(row, name, number) for name in ("y_px", "x_px")]
        if not all(0 <= at < n for at, n in zip(middle, frame.shape, strict=True)):
            raise FitError(
                f"row {number}: y_px = {middle[0]:g}, x_px = {middle[1]:g} is outside of the frame "
                f"of {_sides(frame)}"
            )
        label = str(row.get("label") or "").strip().lower()
        if label not in LABELS:
            raise FitError(f"row {number}: label {label!r:.40}, expected clean or defect")
        top, left = (
            min(max(round(at) - tile_px // 2, 0), n - tile_px)
            for at, n in zip(middle, frame.shape, strict=True)
        )
        tiles.append(frame[top : top + tile_px, left : left + tile_px].astype(np.float32))
        labels.append(label == "defect")
    if not tiles:
        raise FitError(f"no labels: expected rows with the columns {', '.join(COLUMNS)}")
    return LabelledTiles(np.stack(tiles), np.array(labels))


def tiles_of_stack(
    tiles: NDArray[np.generic], labels: NDArray[np.generic], *, clean: str = "clean"
) -> LabelledTiles:
    """Take a stack of tiles and as many labels.

    Parameters
    ----------
    tiles : (N, S, S)
        Raw pixels.
    labels : (N,)
        0 (clean) and 1 (defect), or names.
    clean
        Name of the clean tiles. If it is another than "clean", all other names are kinds of
        defects; else they must be "defect".

    Raises
    ------
    FitError
        Sizes or labels are others.
    """
    if tiles.ndim != 3 or tiles.shape[1] != tiles.shape[2] or labels.shape != tiles.shape[:1]:
        raise FitError(
            f"tiles of shape {tiles.shape} and labels of shape {labels.shape}, expected (N, S, S) "
            "and (N,)"
        )
    if labels.dtype.kind in "US":
        names = labels.astype(str)
        known = (clean, "defect") if clean == "clean" else tuple(np.unique(names))
        odd = sorted(set(np.unique(names)) - set(known))
        is_defect = names != clean
        expected = f"{clean} and defect"
    else:
        odd = [f"{value:g}" for value in np.unique(labels) if value not in (0, 1)]
        is_defect = labels.astype(np.bool_)
        expected = "0 (clean) and 1 (defect)"
    if odd:
        raise FitError(f"labels hold {', '.join(odd[:5])}, expected {expected}")
    return LabelledTiles(np.asarray(tiles, np.float32), np.asarray(is_defect))


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


def _frame_of(
    frames: Mapping[str, NDArray[np.generic]], row: Mapping[str, object], number: int
) -> NDArray[np.generic]:
    name = str(row.get("frame") or "").strip()
    if not name and len(frames) == 1:
        return next(iter(frames.values()))
    if name not in frames:
        told = ", ".join(list(frames)[:3])
        raise FitError(f"row {number}: frame {name!r:.60}, expected one of {told}")
    return frames[name]


def _number(row: Mapping[str, object], name: str, number: int) -> float:
    told = str(row.get(name, "") or "").strip() if row.get(name) != 0 else "0"
    try:
        value = float(told)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise FitError(f"row {number}: {name} = {told!r:.40}, expected a number of pixels")
    return value


def _sides(image: NDArray[np.generic]) -> str:
    return " x ".join(map(str, image.shape))
