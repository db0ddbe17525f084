"""Scores of every site of a frame against a fitted Patterson model: the hot loop."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import (
    MAD_TO_SIGMA,
    clean_scale,
    empirical_p,
    quantile_of,
    upper_tail_p,
)
from latticewatch.detectors.fusion import bonferroni
from latticewatch.detectors.patterson.dopants import drawn_margin_px
from latticewatch.detectors.patterson.features import Kind, WindowFeatures
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.residual import squared_excess
from latticewatch.detectors.patterson.stale import Freshness
from latticewatch.detectors.protocols import ModelError, Scores
from latticewatch.detectors.sites import View
from latticewatch.detectors.staleness import turn_rad
from latticewatch.detectors.windows import judgeable
from latticewatch.kernels.machine import decision, project, residual_norm, robust_distance

# A frame's own null needs this many sites before it is believed.
_FEWEST_FOR_OWN_NULL = 100
# Sites that are all alike, as in a frame that one wild pixel flattened, have no null of their own.
_LEAST_SPREAD = 1e-6
# The cube root of the distance is normal in its middle and heavier in its tail, by this factor of
# the standard deviation: of 42904 sites of perfect frames (three crystals, three doses, references
# of one defective frame or four perfect ones) 1.2e-4 lay beyond 4 for Patterson maps, 7.2e-4 for
# pixels, where a normal law has 3.2e-5.
_TAIL_WIDTH: dict[Kind, float] = {"patterson": 1.15, "pixels": 1.35}
# The numbers of so many windows, 84 each, stay in the cache from one step to the next.
_SITES_AT_ONCE = 512
# float32 against the float64 of the fit: measured below 1e-5, allowed for other processors.
_PROBE_TOLERANCE = 1e-3


class PattersonDetector:
    """Scheme one at run time: immutable model, buffers that grow to the largest frame seen."""

    def __init__(self, model: PattersonModel) -> None:
        self.model = model
        self._features = WindowFeatures(
            kind=model.features,
            size_px=model.patch_size_px,
            step_px=model.step_px,
            cutoff=model.cutoff,
            scale=model.scale,
        )
        self.freshness: Freshness | None = None
        self._reserved = 0
        self._whole = np.empty(_SITES_AT_ONCE, np.bool_)
        self._numbers = np.empty((_SITES_AT_ONCE, len(model.mean)), np.float32)
        self._reserve(1)
        decisions = model.reference_decisions
        self._middle = float(np.median(decisions))
        spread = MAD_TO_SIGMA * float(np.median(np.abs(decisions - self._middle)))
        self._spread = max(spread, float(np.finfo(np.float32).tiny))
        # empirical_p counts what is at least as strange, so strangeness must ascend.
        self._strangeness = np.ascontiguousarray(-decisions[::-1])

    def check_probe(self, where: str) -> None:
        """Score the stored probe; a model that no longer gives its own answer is refused."""
        half = self.model.patch_size_px // 2
        place = np.array([[half, half]], np.float64)
        self._transform(self.model.probe_patch, place, 0)
        found = np.empty(1, np.float32)
        self._decide(self._dense_z[:1], found)
        if not abs(float(found[0]) - self.model.probe_decision) <= _PROBE_TOLERANCE * max(
            1.0, abs(self.model.offset)
        ):
            raise ModelError(
                f"{where}: the stored probe scores {float(found[0]):.6g}, "
                f"the model says {self.model.probe_decision:.6g}"
            )

    def features(self, view: View) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Principal components (N, k) of the sites' Patterson maps; which windows can be judged.

        Those of other sites are NaN: a tenth of the sites of a frame lie at its edge.
        """
        n_sites, model = len(view.places_yx), self.model
        self._reserve(n_sites)
        further_px = drawn_margin_px(model.rule) if model.image == "columns" else 0.0
        inside = judgeable(view, model.patch_size_px, model.rule.smooth_sigma_px, further_px)
        rows = np.flatnonzero(inside)
        places_yx = view.places_yx[rows]
        for first in range(0, len(rows), _SITES_AT_ONCE):
            self._transform(view.image, places_yx[first : first + _SITES_AT_ONCE], first)
        z, residuals = self._z[:n_sites], self._residuals[:n_sites]
        z[:], residuals[:] = np.nan, np.nan
        z[rows], residuals[rows] = self._dense_z[: len(rows)], self._dense_residuals[: len(rows)]
        return z, inside

    def _transform(
        self, image: NDArray[np.float32], places_yx: NDArray[np.float64], first: int
    ) -> None:
        """Fill the dense rows of components and residuals from `first` on."""
        n, model = len(places_yx), self.model
        rows, numbers = slice(first, first + n), self._numbers[:n]
        self._features.write(image, places_yx, numbers, self._whole[:n])
        project(numbers, model.mean, model.components, self._dense_z[rows])
        residual_norm(numbers, model.mean, self._dense_z[rows], self._dense_residuals[rows])

    def judge(self, view: View, z: NDArray[np.float32], inside: NDArray[np.bool_]) -> Scores:
        """Turn features, those of the last call of `features`, into p-values.

        Two statistics look at each site: the decision of the SVM against reference decisions,
        counted, and the robust distance, whose cube root is close to normal, also far out where
        the SVM saturates (it gives every far outlier the same decision). The distance must stand
        out from the reference and from the frame's own sites, so a change of dose or focus raises
        no alarms by itself.
        """
        n_sites = len(z)
        decisions, distances = self._decisions[:n_sites], self._distances[:n_sites]
        self._decide(z, decisions)
        robust_distance(z, self.model.z_median, self.model.z_mad, distances)
        self._add_residual(distances)
        scored = inside & np.isfinite(decisions)
        root = np.cbrt(distances.astype(np.float64))
        scored &= np.isfinite(root)
        strangeness = -decisions.astype(np.float64)
        strangeness[~scored] = np.nan
        root[~scored] = np.nan
        p_machine = empirical_p(strangeness, self._strangeness)
        z_machine = (self._middle + strangeness) / self._spread
        z_distance = self._distance_z(root, scored)
        width = max(_TAIL_WIDTH[self.model.features], self.model.tail_width)
        p_distance = upper_tail_p(z_distance / width)
        return Scores(
            scored=scored,
            p_value=bonferroni(np.stack([p_machine, p_distance])),
            tail=p_distance < 1.0 / (len(self._strangeness) + 1.0),
            parts=(
                ("patterson", z_machine, p_machine),
                ("patterson_distance", z_distance, p_distance),
            ),
            stale=self._note_freshness(view, decisions, scored).is_stale,
        )

    def score(self, view: View) -> Scores:
        """Score every site of a view; sites whose window leaves the frame stay unscored."""
        z, inside = self.features(view)
        return self.judge(view, z, inside)

    def _decide(self, z: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        model = self.model
        decision(z, model.support, model.dual, model.gamma, model.offset, out)

    def _add_residual(self, distances: NDArray[np.float32]) -> None:
        """Count what the components leave as one coordinate more, where there is more than usual.

        A column that is absent from a picture of equal columns is like nothing in the reference:
        the components, made from the reference, do not see it (patterson, pixels: AUC 0.998 and
        0.82 on the doped honeycomb, now above 0.999).
        """
        if self.model.residual_mad > 0:
            left = self._residuals[: len(distances)]
            distances += squared_excess(left, self.model.residual_median, self.model.residual_mad)

    def _distance_z(
        self, root: NDArray[np.float64], scored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        own = (root - self.model.distance_centre) / self.model.distance_scale
        if np.count_nonzero(scored) < _FEWEST_FOR_OWN_NULL:
            return own
        centre, scale = clean_scale(root[scored])
        if not scale > _LEAST_SPREAD * abs(centre):
            return own
        smaller: NDArray[np.float64] = np.minimum(own, (root - centre) / scale)
        return smaller

    def _note_freshness(
        self, view: View, decisions: NDArray[np.float32], scored: NDArray[np.bool_]
    ) -> Freshness:
        """Measure, and keep for who asks, how far the frame is from the reference."""
        model = self.model
        shares = max(model.nu, model.outlier_share)
        if scored.any():
            own = decisions[scored]
            residual = quantile_of(np.sort(self._residuals[: len(scored)][scored]), 0.5)
            flagged = float(np.count_nonzero(own < 0)) / len(own)
            median_score = (self._middle - quantile_of(np.sort(own), 0.5)) / self._spread
            ratio = residual / model.residual_median if model.residual_median > 0 else 1.0
        else:
            flagged, median_score, ratio = 0.0, 0.0, 1.0
        self.freshness = Freshness(
            flagged_share=flagged,
            usual_share=shares,
            median_score=median_score,
            residual_ratio=ratio,
            period_ratio=view.period_px / model.rule.period_px,
            turn_rad=turn_rad(model.rule.basis_px_yx, view.basis_px_yx),
        )
        return self.freshness

    def _reserve(self, n_sites: int) -> None:
        if n_sites <= self._reserved:
            return
        # Half as many again, so that frames with slightly more sites do not allocate.
        self._reserved = n_sites + n_sites // 2 + 64
        self._z, self._dense_z = np.empty(
            (2, self._reserved, len(self.model.components)), np.float32
        )
        self._decisions = np.empty(self._reserved, np.float32)
        self._distances = np.empty(self._reserved, np.float32)
        self._residuals, self._dense_residuals = np.empty((2, self._reserved), np.float32)
