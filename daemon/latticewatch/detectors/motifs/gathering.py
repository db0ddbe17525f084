"""The sites of all frames of a fit, in one unit and one orientation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock, own_lock
from latticewatch.detectors.motifs.clusters import Sample
from latticewatch.detectors.motifs.columns import CellColumns, columns_of, sites_of
from latticewatch.detectors.motifs.features import (
    LEAST_RADIUS_PX,
    FeatureMaker,
    PatchShape,
    shape_for,
)
from latticewatch.detectors.motifs.level import Pristine, Unit, pristine_of, turn_between, unit_of
from latticewatch.detectors.motifs.noise import Projection, strange_components
from latticewatch.detectors.motifs.parameters import MotifParameters
from latticewatch.detectors.motifs.stale import other_crystal
from latticewatch.detectors.polarity import contrast_of_frame
from latticewatch.detectors.reference_rule import FitError, label_of

_MOST_SCALE = 1.06  # as between a model and a frame
_FEWEST_OF_FRAME = 8  # of each sublattice, else the frame does not know its own unit

_GROUND = 0.05  # quantile of the mean patch

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
    """What all frames are compared with: the one with the most sites.

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


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Sites with room for a patch, in the unit of the reference.

    Attributes
    ----------
    features : (N, F)
    sublattice, frame : (N,)
    places_yx, address : (N, 2)
    patches : (N, side, side)
        Turned as in the reference; NaN beyond the disc.
    pristine
        Ordinary sites of the reference; features of all frames.
    reference
        As given.
    n_frames
        Frames that gave sites.
    """

    features: Values
    sublattice: NDArray[np.intp]
    frame: NDArray[np.intp]
    places_yx: Values
    address: NDArray[np.int64]
    patches: NDArray[np.float32]
    pristine: Pristine
    reference: Reference
    n_frames: int

    def part(self, rows: NDArray[np.intp]) -> "Gathered":
        """Only some of the sites."""
        return replace(
            self,
            features=self.features[rows],
            sublattice=self.sublattice[rows],
            frame=self.frame[rows],
            places_yx=self.places_yx[rows],
            address=self.address[rows],
            patches=self.patches[rows],
        )

    def sample(self, z: Values, probes: Values) -> Sample:
        """Give the sites to whoever sorts them, places in pixels of the patches."""
        stride = self.reference.shape.stride
        return Sample(z, self.sublattice, self.places_yx / stride, self.address, self.frame, probes)


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
        No frame shows columns, frames show different crystals, or columns are too near each other.
    """
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
    # The most signal: brightest columns against noise are not known yet, room is.
    first = max(range(len(seen)), key=lambda k: seen[k].frame.size * seen[k].lock.share_held)
    seen.insert(0, seen.pop(first))
    _refuse_others(seen, labels)
    columns = seen[0].columns
    shape = shape_for(columns, parameters)
    if shape.radius_px < LEAST_RADIUS_PX:
        raise FitError(
            f"nearest columns are {columns.nearest_px:.1f} px from each other: a patch of "
            f"{2 * shape.reach_px:.0f} px does not tell them apart, record at a finer pixel size"
        )
    return Reference(tuple(seen), shape, columns, seen[0].lock.basis_px_yx)


def gather(
    reference: Reference, maker: FeatureMaker, notes: list[str], labels: Sequence[str] | None
) -> Gathered:
    """Measure the sites of every frame, in the unit of the reference.

    Raises
    ------
    FitError
        No frame has room for patches.
    """
    parts: list[_FrameSites] = []
    moments: Values | None = None
    for one in reference.frames:
        found = _measured(one, reference, maker, moments)
        if isinstance(found, str):
            notes.append(f"{label_of(one.number, labels)}: {found}; left out")
            continue
        moments = found.pristine.moments if moments is None else moments
        parts.append(found)
    if moments is None:
        raise FitError(
            f"no frame has room for patches of {2 * reference.shape.reach_px:.0f} px round "
            f"{_FEWEST_OF_FRAME} sites of each kind: give larger frames"
        )
    # What ordinary sites differ by from frame to frame is dose and focus, and no kind of site.
    mean = np.mean([part.pristine.features for part in parts], axis=0)
    features = [part.features + (mean - part.pristine.features)[part.sublattice] for part in parts]
    return Gathered(
        features=np.concatenate(features),
        sublattice=np.concatenate([part.sublattice for part in parts]),
        frame=np.concatenate([np.full(len(part.sublattice), part.number) for part in parts]),
        places_yx=np.concatenate([part.places_yx for part in parts]),
        address=np.concatenate([part.address for part in parts]),
        patches=_on_disc(np.concatenate([part.patches for part in parts]), reference.shape),
        pristine=Pristine(moments, mean),
        reference=reference,
        n_frames=len(parts),
    )


def reduced(
    found: Gathered, maker: FeatureMaker, parameters: MotifParameters
) -> tuple[Projection, Sample]:
    """Project features to the components in which sites differ, for whoever sorts them.

    A column that is not there changes moments without an angle alone, which are linear in the
    pixels: whatever else varies, that direction is among the components.
    """
    columns, stride = found.reference.columns, found.reference.shape.stride
    absent = -maker.column_features(columns.sigma_px / stride)[None]
    to_z = strange_components(found.features, found.sublattice, parameters.components, absent)
    z = (found.features - to_z.mean) @ to_z.matrix
    return to_z, found.sample(z, absent @ to_z.matrix)


@dataclass(frozen=True, slots=True, eq=False)
class _FrameSites:
    """Sites of one frame, in the unit of the reference."""

    number: int
    features: Values
    sublattice: NDArray[np.intp]
    places_yx: Values
    address: NDArray[np.int64]
    patches: NDArray[np.float32]
    pristine: Pristine


def _measured(
    one: FrameColumns, reference: Reference, maker: FeatureMaker, wanted: Values | None
) -> "_FrameSites | str":
    """Measure one frame, or say why it is no use.

    `wanted` are the moments (S, T) of ordinary sites of the reference; None: this one is it.
    """
    taken = maker.take(one.frame, one.columns.contrast, one.lock)
    sites = sites_of(one.lock, one.columns, (one.frame.shape[0], one.frame.shape[1]))
    described = maker.describe(taken, sites.places_yx)
    rows = np.flatnonzero(described.scored)
    moments, own, places = described.moments[rows], sites.sublattice[rows], sites.places_yx[rows]
    n_sublattices = reference.columns.n_sublattices
    if np.bincount(own, minlength=n_sublattices).min() < _FEWEST_OF_FRAME:
        return "no room for patches"
    raw = pristine_of(moments, maker.features(moments), own, n_sublattices)
    turn_rad = 0.0
    if wanted is None:
        unit = _first_unit(maker.squares(taken, places[own == 0], 0.0), n_sublattices)
    else:
        unit = unit_of(raw.moments, wanted, maker.constant, maker.features)
        turn_rad = turn_between(raw.moments, wanted[unit.sublattice], maker.terms)
        refusal = other_crystal(unit.agreement)
        if refusal is not None:
            return refusal.told
    plain = ((moments - unit.offset * maker.constant) / unit.gain).astype(np.float32)
    features = maker.features(plain)
    sublattice = unit.sublattice[own]
    patches = (maker.squares(taken, places, turn_rad) - unit.offset) / unit.gain
    return _FrameSites(
        number=one.number,
        features=features.astype(np.float64),
        sublattice=sublattice,
        places_yx=places,
        address=sites.address[rows],
        patches=patches.astype(np.float32),
        pristine=pristine_of(plain, features, sublattice, n_sublattices),
    )


def _first_unit(patches: NDArray[np.float32], n_sublattices: int) -> Unit:
    """Put the ground at 0 and the highest column at 1, by the mean patch of that column."""
    mean = np.nanmedian(patches, axis=0)
    half = mean.shape[0] // 2
    top = float(mean[half - 1 : half + 2, half - 1 : half + 2].mean())
    ground = float(np.nanquantile(mean, _GROUND))
    gain = top - ground if top > ground else 1.0
    return Unit(gain, ground, np.arange(n_sublattices), 1.0)


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


def _on_disc(patches: NDArray[np.float32], shape: PatchShape) -> NDArray[np.float32]:
    half = shape.side // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    patches[:, np.hypot(y, x) > shape.radius_px] = 0.0
    return patches
