"""The sites of all frames of a fit, in one unit and one orientation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.motifs.clusters import Sample
from latticewatch.detectors.motifs.columns import sites_of
from latticewatch.detectors.motifs.features import FeatureMaker, PatchShape
from latticewatch.detectors.motifs.frames_of_fit import (
    FEWEST_OF_FRAME,
    FrameColumns,
    Reference,
)
from latticewatch.detectors.motifs.frames_of_fit import reference_of as reference_of
from latticewatch.detectors.motifs.level import Pristine, Unit, pristine_of, turn_between, unit_of
from latticewatch.detectors.motifs.noise import Projection, strange_components
from latticewatch.detectors.motifs.parameters import MotifParameters
from latticewatch.detectors.motifs.stale import other_crystal
from latticewatch.detectors.reference_rule import FitError, label_of

_MOST_OF_UNIT = 2000  # patches of which the mean patch of the reference is made
_GROUND = 0.05  # quantile of the mean patch

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How pixels of a frame are seen: in the unit and the turn of the reference."""

    of: FrameColumns
    unit: Unit
    turn_rad: float


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Sites with room for a patch, in the unit of the reference.

    Attributes
    ----------
    features : (N, F)
    sublattice, frame : (N,)
    places_yx, address : (N, 2)
    pristine
        Ordinary sites of the reference; features of all frames.
    reference
        As given.
    views
        Of the frames that gave sites.
    """

    features: Values
    sublattice: NDArray[np.intp]
    frame: NDArray[np.intp]
    places_yx: Values
    address: NDArray[np.int64]
    pristine: Pristine
    reference: Reference
    views: tuple[View, ...]

    @property
    def n_frames(self) -> int:
        """Frames that gave sites."""
        return len(self.views)

    def part(self, rows: NDArray[np.intp]) -> "Gathered":
        """Only some of the sites."""
        return replace(
            self,
            features=self.features[rows],
            sublattice=self.sublattice[rows],
            frame=self.frame[rows],
            places_yx=self.places_yx[rows],
            address=self.address[rows],
        )

    def patches(self, maker: FeatureMaker) -> NDArray[np.float32]:
        """Cut the patches (N, side, side), turned as in the reference; zero beyond the disc."""
        shape = self.reference.shape
        patches = np.zeros((len(self.frame), shape.side, shape.side), np.float32)
        for view in self.views:
            rows = np.flatnonzero(self.frame == view.of.number)
            taken = maker.take(view.of.frame, view.of.columns.contrast, view.of.lock)
            raw = maker.squares(taken, self.places_yx[rows], view.turn_rad)
            patches[rows] = (raw - view.unit.offset) / view.unit.gain
        return _on_disc(patches, shape)

    def sample(self, z: Values, probes: Values) -> Sample:
        """Give the sites to whoever sorts them, places in pixels of the patches."""
        stride = self.reference.shape.stride
        return Sample(z, self.sublattice, self.places_yx / stride, self.address, self.frame, probes)


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
            f"{FEWEST_OF_FRAME} sites of each kind: give larger frames"
        )
    # What ordinary sites differ by from frame to frame is dose and focus, and no kind of site.
    mean = np.mean([part.pristine.features for part in parts], axis=0)
    features = [part.features + (mean - part.pristine.features)[part.sublattice] for part in parts]
    return Gathered(
        features=np.concatenate(features),
        sublattice=np.concatenate([part.sublattice for part in parts]),
        frame=np.concatenate(
            [np.full(len(part.sublattice), part.view.of.number) for part in parts]
        ),
        places_yx=np.concatenate([part.places_yx for part in parts]),
        address=np.concatenate([part.address for part in parts]),
        pristine=Pristine(moments, mean),
        reference=reference,
        views=tuple(part.view for part in parts),
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

    view: View
    features: Values
    sublattice: NDArray[np.intp]
    places_yx: Values
    address: NDArray[np.int64]
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
    if np.bincount(own, minlength=n_sublattices).min() < FEWEST_OF_FRAME:
        return "no room for patches"
    raw = pristine_of(moments, maker.features(moments), own, n_sublattices)
    turn_rad = 0.0
    if wanted is None:
        highest = places[own == 0]
        highest = highest[:: -(-len(highest) // _MOST_OF_UNIT)]
        unit = _first_unit(maker.squares(taken, highest, 0.0), n_sublattices)
    else:
        unit = unit_of(raw.moments, wanted, maker.constant, maker.features)
        turn_rad = turn_between(raw.moments, wanted[unit.sublattice], maker.terms)
        refusal = other_crystal(unit.agreement)
        if refusal is not None:
            return refusal.told
    plain = ((moments - unit.offset * maker.constant) / unit.gain).astype(np.float32)
    features = maker.features(plain)
    sublattice = unit.sublattice[own]
    return _FrameSites(
        view=View(one, unit, turn_rad),
        features=features.astype(np.float64),
        sublattice=sublattice,
        places_yx=places,
        address=sites.address[rows],
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


def _on_disc(patches: NDArray[np.float32], shape: PatchShape) -> NDArray[np.float32]:
    half = shape.side // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    patches[:, np.hypot(y, x) > shape.radius_px] = 0.0
    return patches
