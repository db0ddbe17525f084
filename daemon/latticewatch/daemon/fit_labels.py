"""What a person says of reference frames: masks drawn over them, or rows of a table."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded import expand_inputs, open_recording
from latticewatch.daemon.reference_frames import Reference, gather_frames

COLUMNS = ("frame", "y_px", "x_px", "label")
WORDS = ("clean", "defect")
_LONGEST_FILE_BYTES = 64 * 2**20  # a million rows: more than anybody draws


@dataclass(frozen=True, slots=True)
class TileLabel:
    """One row of a table of labels.

    Attributes
    ----------
    frame
        Number of the frame among those of the fit.
    middle_px_yx
        Middle of the tile; None where the whole frame is meant.
    is_defect
        What the row says.
    """

    frame: int
    middle_px_yx: tuple[int, int] | None
    is_defect: bool


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of reference frames; one of the two is empty.

    Attributes
    ----------
    masks : list of (H, W) uint8
        One for each frame, in their order.
    rows
        Of a table.
    """

    masks: list[NDArray[np.uint8]] = field(default_factory=list)
    rows: list[TileLabel] = field(default_factory=list)


def gather_labels(files: Sequence[Path], reference: Reference) -> Labels:
    """Read the labels of the frames of a fit.

    Parameters
    ----------
    files
        One table (`.csv`) with the columns frame, y_px, x_px, label; or images of masks, one for
        each frame and in their order, stacks of masks for stacks of frames.
    reference
        The frames.

    Raises
    ------
    InputError
        A file cannot be read, or does not belong to these frames; one line.
    """
    tables = [path for path in files if path.suffix.lower() == ".csv"]
    if not tables:
        return Labels(masks=_masks(files, reference))
    if len(files) > 1:
        raise InputError(
            f"{files[0]} and {len(files) - 1} more: expected one table of labels, or masks alone"
        )
    return Labels(rows=_rows(tables[0], reference))


def _masks(files: Sequence[Path], reference: Reference) -> list[NDArray[np.uint8]]:
    """Masks in the order of the frames; thinned as these are, where they were too many."""
    masks = gather_frames(files)
    if len(masks.images) != len(reference.images):
        raise InputError(
            f"{files[0]}: {len(masks.images)} mask(s) for {len(reference.images)} frame(s): give "
            "one mask for each frame, in the order of the frames"
        )
    flat = [_flat(mask) for mask in masks.images]
    truths = [
        is_truth
        for recording in map(open_recording, expand_inputs(files))
        for is_truth in [recording.dtype == np.bool_] * recording.n_frames
    ]
    if len(truths) == len(flat):  # else they were thinned, and none is small enough to say so
        flat = [255 * mask if truth else mask for mask, truth in zip(flat, truths, strict=True)]
    for mask, name, frame, label in zip(
        flat, masks.labels, reference.images, reference.labels, strict=True
    ):
        if mask.shape != frame.shape:
            raise InputError(
                f"{name}: the mask is {_size(mask)}, its frame {label} is {_size(frame)}: a mask "
                "has the size of its frame"
            )
    return flat


def _flat(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a mask as bytes; what is no byte becomes 1, which no mask may hold."""
    whole = (mask >= 0) & (mask <= 255) & (mask == np.floor(mask))
    values: NDArray[np.uint8] = np.where(whole, mask, 1).astype(np.uint8)
    return values


def _size(image: NDArray[Any]) -> str:
    return f"{image.shape[0]} x {image.shape[1]}"


def _rows(path: Path, reference: Reference) -> list[TileLabel]:
    """Read a table; every mistake in it names its line."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > _LONGEST_FILE_BYTES:
        raise InputError(f"{path}: larger than {_LONGEST_FILE_BYTES} bytes, no table of labels is")
    numbers = _numbers(reference)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path}: no column {' and no column '.join(missing)}: the first line must "
                    f"name {', '.join(COLUMNS)}"
                )
            rows = [
                _row(
                    {name: row[name] or "" for name in COLUMNS}, numbers, f"{path}:{table.line_num}"
                )
                for row in table
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of text: {error}") from error
    if not rows:
        raise InputError(f"{path}: no rows below the first line")
    return rows


def _numbers(reference: Reference) -> dict[str, int]:
    """Frame by its number, and by its name where it is the only one of that name."""
    names = reference.labels
    by_name = {name: k for k, name in enumerate(names) if names.count(name) == 1}
    return {str(k): k for k in range(len(names))} | by_name


def _row(row: dict[str, str], numbers: dict[str, int], where: str) -> TileLabel:
    frame = numbers.get(row["frame"].strip())
    if frame is None:
        known = ", ".join(list(numbers)[len(numbers) // 2 :][:3])
        raise InputError(
            f"{where}: frame {row['frame']!r:.60} is none of those given: name one as messages do "
            f"({known}), or by its number from 0"
        )
    label = row["label"].strip().lower()
    if label not in WORDS:
        raise InputError(f"{where}: label {row['label']!r:.60}: expected {' or '.join(WORDS)}")
    middle = (row["y_px"].strip(), row["x_px"].strip())
    if middle == ("", ""):
        return TileLabel(frame, None, label == "defect")
    try:
        place = (int(middle[0]), int(middle[1]))
    except ValueError:
        raise InputError(
            f"{where}: y_px, x_px = {middle[0]!r:.40}, {middle[1]!r:.40}: expected whole pixels, "
            "or nothing for the whole frame"
        ) from None
    return TileLabel(frame, place, label == "defect")
