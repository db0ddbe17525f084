"""Names sites of a frame by the classes of a model: which kind, how surely, or none of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chdtri

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.motifs.columns import CellColumns, columns_of, some_sites
from latticewatch.detectors.motifs.features import FeatureMaker, Taken
from latticewatch.detectors.motifs.level import (
    Unit,
    ordinary,
    ordinary_moments,
    turn_between,
    unit_of,
)
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.motifs.stale import Mismatch, other_crystal, other_scale

NEW = -1
UNSCORED = -2

_FEWEST = 8  # ordinary sites of a sublattice that tell the unit of a frame
# A frame is never taken for quieter than a third of the model's noise, nor for a hundred times it.
_SPREAD = (0.3, 100.0)

Values = NDArray[np.float64]


class FurtherClass(Protocol):
    """A class that is proposed while frames come."""

    @property
    def mean(self) -> Values:
        """(C,)."""
        ...

    @property
    def covariance(self) -> Values:
        """(C, C)."""
        ...

    @property
    def n_sites(self) -> int:
        """Members."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The unit of one frame.

    Attributes
    ----------
    unit
        Gain, offset and sublattices against the model.
    moments : (S, T)
        Of ordinary sites of the frame.
    shift : (S, F)
        What ordinary sites of each sublattice of the model have beyond those of the model.
    spread
        Squared noise of a site in this frame over that of the model.
    taken
        The frame, binned; lives until the next frame.
    """

    unit: Unit
    moments: Values
    shift: Values
    spread: float
    taken: Taken


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """What sites are.

    Attributes
    ----------
    class_index : (N,)
        Row of the most probable class of those within whose limit the site lies: those of the
        model, then those proposed. `NEW` where it lies within none; or `UNSCORED`.
    probability : (N,)
        Of that class among those within whose limit the site lies; of a new one, the chance that
        a member of the nearest class lies so far out. 0 where not scored.
    distance2 : (N,)
        Squared distance to that class; of a new site to the nearest one. NaN where not scored.
    z : (N, C)
        Features; NaN where not scored.
    """

    class_index: NDArray[np.intp]
    probability: Values
    distance2: Values
    z: Values


class MotifDetector:
    """Names sites, in buffers that it keeps; belongs to one thread."""

    def __init__(self, model: MotifModel) -> None:
        self.model = model
        self._maker = FeatureMaker(model.shape)
        self._to_noise = np.linalg.cholesky(np.linalg.inv(model.noise_covariance))
        self.with_classes(())

    def with_classes(self, further: Sequence[FurtherClass]) -> None:
        """Know these classes, too, from now on; those of an earlier call are forgotten."""
        model = self.model
        counts = [float(one.n_members) for one in model.classes]
        counts += [float(one.n_sites) for one in further]
        self._means = np.concatenate([model.means, *(one.mean[None] for one in further)])
        covariances = np.concatenate(
            [model.covariances, *(one.covariance[None] for one in further)]
        )
        # Squared distance to class k: of (z - mean) @ whitening, all classes in one product.
        whitening = np.linalg.cholesky(np.linalg.inv(covariances))
        self._whitening = np.concatenate(list(whitening), axis=1)
        self._centres = np.einsum("kc,kcd->kd", self._means, whitening).ravel()
        share = np.log(np.maximum(counts, 1.0) / max(sum(counts), 1.0))
        self._log_weight = share - 0.5 * np.linalg.slogdet(covariances)[1]

    @property
    def n_classes(self) -> int:
        """How many are known, those proposed included."""
        return len(self._means)

    def begin(
        self, image: NDArray[np.float32], lock: LatticeLock, contrast: int = 1
    ) -> CellColumns | Mismatch:
        """Find the columns of a lattice that is new; they hold while it is followed.

        Parameters
        ----------
        image : (H, W)
            Finite.
        lock
            Of this frame.
        contrast
            +1: columns are bright; -1: they are dark.

        Returns
        -------
        CellColumns or Mismatch
            Or why the model has no word on this crystal.
        """
        scale = other_scale(self.model, lock.period_px)
        if scale is not None:
            return scale
        columns = columns_of(image, lock, contrast)
        if columns is None:
            return Mismatch("no_columns", "the mean cell of the frame holds no column")
        if columns.n_sublattices != self.model.columns.n_sublattices:
            return Mismatch(
                "columns",
                f"the cell holds {columns.n_sublattices} columns, that of the model "
                f"{self.model.columns.n_sublattices}: another crystal, or too little dose",
            )
        return columns

    def level(
        self, image: NDArray[np.float32], lock: LatticeLock, columns: CellColumns
    ) -> Level | Mismatch:
        """Measure the unit of a frame on ordinary sites; 2 ms for 1024 x 1024.

        Parameters
        ----------
        image : (H, W)
            Finite.
        lock
            Of this frame.
        columns
            Of its chain of frames, from `begin`.
        """
        model, maker = self.model, self._maker
        taken = maker.take(image, columns.contrast, lock)
        places, sublattice = some_sites(image.shape, lock, columns)
        described = maker.describe(taken, places)
        scored = described.scored
        moments, sublattice = described.moments[scored], sublattice[scored]
        counts = np.bincount(sublattice, minlength=columns.n_sublattices)
        if counts.min() < _FEWEST:
            return Mismatch(
                "room",
                f"only {int(counts.min())} sites of a sublattice have room for a patch of "
                f"{2 * model.shape.reach_px:.0f} px, {_FEWEST} needed: the frame is too small",
            )
        mean = ordinary_moments(moments, sublattice, columns.n_sublattices)
        unit = unit_of(mean, model.pristine.moments, maker.constant, maker.features)
        refusal = other_crystal(unit.agreement)
        if refusal is not None:
            return refusal
        features = maker.features(self._plain(moments, unit))
        shift = np.empty_like(model.pristine.features)
        for label, of_model in enumerate(unit.sublattice):
            own = features[sublattice == label].astype(np.float64)
            shift[of_model] = own[ordinary(own)].mean(axis=0) - model.pristine.features[of_model]
        level = Level(unit, mean, shift, 1.0, taken)
        z = self._components(moments, sublattice, level)
        return replace(level, spread=self._spread(z, unit.sublattice[sublattice]))

    def name(
        self,
        level: Level,
        places_yx: Values,
        sublattice: NDArray[np.integer] | None = None,
    ) -> Named:
        """Say of places what stands there.

        Parameters
        ----------
        level
            Of the frame.
        places_yx : (N, 2)
            Sites of the lattice, or places of columns that are on none; pixels.
        sublattice : (N,)
            Of the frame, from `nearest_sites`; None, or below zero: not known.
        """
        described = self._maker.describe(level.taken, places_yx)
        if sublattice is None:
            sublattice = np.full(len(places_yx), -1)
        z = self._components(described.moments, sublattice, level)
        z[~described.scored] = np.nan
        return self._named(z, described.scored, level.spread)

    def patches(self, level: Level, places_yx: Values) -> NDArray[np.float32]:
        """Patches (N, side, side) as class averages are: in the unit and turn of the model."""
        unit = level.unit
        wanted = self.model.pristine.moments[unit.sublattice]
        turn_rad = turn_between(level.moments, wanted, self._maker.terms)
        raw = self._maker.squares(level.taken, places_yx, turn_rad)
        patches: NDArray[np.float32] = (raw - unit.offset) / unit.gain
        return np.where(self.model.disc & np.isfinite(patches), patches, 0.0).astype(np.float32)

    def classify(self, z: Values) -> tuple[NDArray[np.intp], Values]:
        """Row of the class of components (N, C), `NEW` where none fits, and its probability."""
        finite = np.asarray(np.isfinite(z).all(axis=1), np.bool_)
        named = self._named(z, finite, 1.0)
        return named.class_index, named.probability

    def mean_of(self, row: int) -> Values:
        """Components (C,) of a class."""
        mean: Values = self._means[row]
        return mean

    def _components(
        self, moments: NDArray[np.float32], sublattice: NDArray[np.integer], level: Level
    ) -> Values:
        unit, model = level.unit, self.model
        features = self._maker.features(self._plain(moments, unit))
        known = sublattice >= 0
        own = unit.sublattice[np.where(known, sublattice, 0)]
        shift = (level.shift + model.pca_mean) @ model.pca_matrix
        offset = np.where(known[:, None], shift[own], shift.mean(axis=0))
        z: Values = features @ model.pca_matrix - offset
        return z

    def _plain(self, moments: NDArray[np.float32], unit: Unit) -> NDArray[np.float32]:
        ground = (unit.offset * self._maker.constant).astype(np.float32)
        plain: NDArray[np.float32] = (moments - ground) * np.float32(1.0 / unit.gain)
        return plain

    def _spread(self, z: Values, sublattice: NDArray[np.intp]) -> float:
        """Squared noise of ordinary sites over the model's, by the median of their distances."""
        white = z @ self._to_noise
        distances = []
        for label in range(int(sublattice.max()) + 1):
            own = white[sublattice == label]
            if len(own):
                middle = np.partition(own, len(own) // 2, axis=0)[len(own) // 2]
                distances.append(np.square(own - middle).sum(axis=1))
        n_components = z.shape[1]
        # Survival function inverted at one half: the median of chi-square.
        median = float(np.median(np.concatenate(distances)) / chdtri(n_components, 0.5))
        return float(np.clip(median, *_SPREAD))

    def _named(self, z: Values, scored: NDArray[np.bool_], spread: float) -> Named:
        n_sites, n_components = z.shape
        index = np.full(n_sites, UNSCORED, np.intp)
        probability, distance2 = np.zeros(n_sites), np.full(n_sites, np.nan)
        rows = np.flatnonzero(scored)
        if len(rows):
            white = z[rows] @ self._whitening - self._centres
            square = np.square(white).reshape(len(rows), -1, n_components).sum(axis=2)
            square /= max(spread, 1.0)
            # A narrow class outweighs a wide one far beyond its own limit: it has no say there.
            within = square <= self.model.reject_chi2
            is_new = ~within.any(axis=1)
            score = np.where(within, self._log_weight - 0.5 * square, -np.inf)
            best = score.argmax(axis=1)
            at = np.arange(len(rows))
            top = np.where(is_new, 0.0, score[at, best])
            p = 1.0 / np.maximum(np.exp(score - top[:, None]).sum(axis=1), 1.0)
            nearest = square.min(axis=1)
            index[rows] = np.where(is_new, NEW, best)
            probability[rows] = np.where(is_new, 1.0 - chdtr(n_components, nearest), p)
            distance2[rows] = np.where(is_new, nearest, square[at, best])
        return Named(index, probability, distance2, z)
