"""The frames of a fit: lattices, columns, and the one that the others are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock, own_lock
from latticewatch.detectors.motifs.columns import CellColumns, columns_of, sites_of
from latticewatch.detectors.motifs.features import (
    LEAST_RADIUS_PX,
    PatchShape,
    binned_places,
    shape_for,
)
from latticewatch.detectors.motifs.parameters import MotifParameters
from latticewatch.detectors.polarity import contrast_of_frame
from latticewatch.detectors.reference_rule import FitError, label_of

FEWEST_OF_FRAME = 8
"""Sites of each sublattice, else a frame does not know its own unit."""
_MOST_SCALE = 1.06  # as between a model and a frame

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FrameColumns:
    """A frame with its lattice and columns."""

    number: int
    frame: NDArray[np.float32]
    lock: LatticeLock
    columns: CellColumns


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What all frames are compared with: the one with the most sites that has room for patches.

    Attributes
    ----------
    frames
        All that show a lattice, the reference first.
    shape
        Of the patches.
    columns, basis_px_yx
        Of the reference.
    """

    frames: tuple[FrameColumns, ...]
    shape: PatchShape
    columns: CellColumns
    basis_px_yx: Values


def reference_of(
    frames: Sequence[NDArray[np.float32]],
    parameters: MotifParameters,
    notes: list[str],
    labels: Sequence[str] | None,
) -> Reference:
    """Find the columns of every frame, and the patch that fits them.

    Raises
    ------
    FitError
        No frame shows columns, frames show different crystals, columns are too near each other, or
        no frame has room for patches.
    """
    seen = _with_columns(frames, parameters, notes, labels)
    # The most signal: brightest columns against noise are not known yet, room is.
    seen.sort(key=lambda one: -one.frame.size * one.lock.share_held)
    _refuse_others(seen, labels)
    for number, one in enumerate(seen):
        shape = shape_for(one.columns, parameters)
        if shape.radius_px < LEAST_RADIUS_PX:
            raise FitError(
                f"nearest columns are {one.columns.nearest_px:.1f} px from each other: a patch of "
                f"{2 * shape.reach_px:.0f} px does not tell them apart, record at a finer pixel "
                "size"
            )
        if has_room(one, shape):
            others = [*seen[:number], *seen[number + 1 :]]
            return Reference((one, *others), shape, one.columns, one.lock.basis_px_yx)
    shape = shape_for(seen[0].columns, parameters)
    raise FitError(
        f"no frame has room for patches of {2 * shape.reach_px:.0f} px round "
        f"{FEWEST_OF_FRAME} sites of each kind: give larger frames"
    )


def has_room(one: FrameColumns, shape: PatchShape) -> bool:
    """Say whether eight sites of each sublattice have their disc inside the frame."""
    height, width = one.frame.shape
    sites = sites_of(one.lock, one.columns, (height, width))
    half = shape.side // 2
    last = np.array([height, width]) // shape.stride - 1 - half
    places = binned_places(shape, sites.places_yx)
    inside = ((places >= half) & (places <= last)).all(axis=1)
    counts = np.bincount(sites.sublattice[inside], minlength=one.columns.n_sublattices)
    return int(counts.min()) >= FEWEST_OF_FRAME


def _with_columns(
    frames: Sequence[NDArray[np.float32]],
    parameters: MotifParameters,
    notes: list[str],
    labels: Sequence[str] | None,
) -> list[FrameColumns]:
    seen, empty = [], []
    for number, frame in enumerate(frames):
        lock = own_lock(frame)
        columns = None
        if lock is not None:
            columns = columns_of(frame, lock, _contrast(frame, lock, parameters))
        if lock is None or columns is None:
            empty.append(label_of(number, labels))
            continue
        seen.append(FrameColumns(number, frame, lock, columns))
    if not seen:
        raise FitError(
            f"no lattice in any of {len(frames)} frame(s): motifs are sites of a crystal"
        )
    if empty:
        notes.append(
            f"{len(empty)} of {len(frames)} frames show no lattice and were left out: "
            f"{', '.join(empty[:3])}"
        )
    return seen


def _contrast(frame: NDArray[np.float32], lock: LatticeLock, parameters: MotifParameters) -> int:
    if parameters.polarity != "auto":
        return 1 if parameters.polarity == "bright" else -1
    return contrast_of_frame(frame, lock.period_px)


def _refuse_others(seen: Sequence[FrameColumns], labels: Sequence[str] | None) -> None:
    """Refuse frames of another period or of another number of columns in the cell."""
    first = seen[0]
    others = [
        one
        for one in seen
        if not 1 / _MOST_SCALE <= one.lock.period_px / first.lock.period_px <= _MOST_SCALE
        or one.columns.n_sublattices != first.columns.n_sublattices
    ]
    if others:
        other = others[0]
        raise FitError(
            "the frames show different crystals or pixel sizes: "
            f"{label_of(first.number, labels)} has {first.columns.n_sublattices} columns in a cell "
            f"of {first.lock.period_px:.1f} px, "
            f"{label_of(other.number, labels)} {other.columns.n_sublattices} in one of "
            f"{other.lock.period_px:.1f} px: fit a model for each"
        )
