"""Scores of every site of a frame against a fitted Patterson model: the hot loop."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import (
    MAD_TO_SIGMA,
    empirical_p,
    robust_scale,
    upper_tail_p,
)
from latticewatch.detectors.fusion import bonferroni
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.parameters import (
    STALE_ANGLE_RAD,
    STALE_FACTOR,
    STALE_LEAST,
    STALE_PERIOD,
)
from latticewatch.detectors.patterson.windows import judgeable
from latticewatch.detectors.protocols import ModelError, Scores
from latticewatch.detectors.sites import View
from latticewatch.kernels.machine import decision, project, robust_distance
from latticewatch.kernels.patches import gather_patches
from latticewatch.kernels.power import patterson_power, power_scratch, truncated_waves

# So many windows of 35 x 35 fit the second-level cache (0.6 MB): cut and transformed all at once,
# 2063 of them took 6.5 ms, now 4.8.
_WINDOWS_IN_CACHE = 128
# A frame's own null needs this many sites before it is believed.
_FEWEST_FOR_OWN_NULL = 100
# Sites that are all alike, as in a frame that one wild pixel flattened, have no null of their own.
_LEAST_SPREAD = 1e-6
# The cube root of the distance is normal in its middle and heavier in its tail: beyond 3 standard
# deviations lay 0.16 to 0.64 % of the sites of perfect frames, not 0.13. Taken as it is, the tail
# put a false defect on 30 of 150 such frames, where 7 may; so much wider, on 6.
_TAIL_WIDTH = 1.15
# float32 against the float64 of the fit: measured below 1e-5, allowed for other processors.
_PROBE_TOLERANCE = 1e-3


class PattersonDetector:
    """Scheme one at run time: immutable model, buffers that grow to the largest frame seen."""

    def __init__(self, model: PattersonModel) -> None:
        self.model = model
        self._waves = truncated_waves(model.patch_size_px, model.cutoff)
        self._power_scratch = power_scratch(model.patch_size_px, model.cutoff)
        size = model.patch_size_px
        self._windows = np.empty((_WINDOWS_IN_CACHE, size, size), np.float32)
        self._whole = np.empty(_WINDOWS_IN_CACHE, np.bool_)
        self._power = np.empty((_WINDOWS_IN_CACHE, len(model.mean)), np.float32)
        self._reserved = 0
        self._reserve(1)
        decisions = model.reference_decisions
        self._middle = float(np.median(decisions))
        spread = MAD_TO_SIGMA * float(np.median(np.abs(decisions - self._middle)))
        self._spread = max(spread, float(np.finfo(np.float32).tiny))
        # empirical_p counts what is at least as strange, so strangeness must ascend.
        self._strangeness = np.ascontiguousarray(-decisions[::-1])

    def check_probe(self, where: str) -> None:
        """Score the stored probe; a model that no longer gives its own answer is refused."""
        patch = self.model.probe_patch[None].copy()
        self._transform(patch, 0)
        found = np.empty(1, np.float32)
        self._decide(self._z[:1], found)
        if not abs(float(found[0]) - self.model.probe_decision) <= _PROBE_TOLERANCE * max(
            1.0, abs(self.model.offset)
        ):
            raise ModelError(
                f"{where}: the stored probe scores {float(found[0]):.6g}, "
                f"the model says {self.model.probe_decision:.6g}"
            )

    def features(self, view: View) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Principal components (N, k) of every site's Patterson map; which windows are whole."""
        n_sites = len(view.places_yx)
        self._reserve(n_sites)
        size = self.model.patch_size_px
        for first in range(0, n_sites, _WINDOWS_IN_CACHE):
            places = view.places_yx[first : first + _WINDOWS_IN_CACHE]
            windows = self._windows[: len(places)]
            gather_patches(view.image, places, size, windows, self._whole[: len(places)])
            self._transform(windows, first)
        inside = judgeable(view, size, self.model.rule.smooth_sigma_px)
        return self._z[:n_sites], inside

    def _transform(self, windows: NDArray[np.float32], first: int) -> None:
        """Fill the rows of the features from `first` on."""
        rows = slice(first, first + len(windows))
        power = self._power[: len(windows)]
        patterson_power(windows, self._waves, self.model.scale, power, self._power_scratch)
        project(power, self.model.mean, self.model.components, self._z[rows])

    def judge(self, view: View, z: NDArray[np.float32], inside: NDArray[np.bool_]) -> Scores:
        """Turn features into p-values.

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
        scored = inside & np.isfinite(decisions)
        root = np.cbrt(distances.astype(np.float64))
        scored &= np.isfinite(root)
        strangeness = -decisions.astype(np.float64)
        strangeness[~scored] = np.nan
        root[~scored] = np.nan
        p_machine = empirical_p(strangeness, self._strangeness)
        z_machine = (self._middle + strangeness) / self._spread
        z_distance = self._distance_z(root, scored)
        p_distance = upper_tail_p(z_distance / _TAIL_WIDTH)
        return Scores(
            scored=scored,
            p_value=bonferroni(np.stack([p_machine, p_distance])),
            tail=p_distance < 1.0 / (len(self._strangeness) + 1.0),
            parts=(
                ("patterson", z_machine, p_machine),
                ("patterson_distance", z_distance, p_distance),
            ),
            stale=self._is_stale(view, decisions[scored]),
        )

    def score(self, view: View) -> Scores:
        """Score every site of a view; sites whose window leaves the frame stay unscored."""
        z, inside = self.features(view)
        return self.judge(view, z, inside)

    def _decide(self, z: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        model = self.model
        decision(z, model.support, model.dual, model.gamma, model.offset, out)

    def _distance_z(
        self, root: NDArray[np.float64], scored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        own = (root - self.model.distance_centre) / self.model.distance_scale
        if np.count_nonzero(scored) < _FEWEST_FOR_OWN_NULL:
            return own
        centre, scale = robust_scale(root[scored])
        if not scale > _LEAST_SPREAD * abs(centre):
            return own
        smaller: NDArray[np.float64] = np.minimum(own, (root - centre) / scale)
        return smaller

    def _is_stale(self, view: View, decisions: NDArray[np.float32]) -> bool:
        """Tell whether the frame as a whole is not what the model was fitted on."""
        if len(decisions):
            limit = max(STALE_FACTOR * max(self.model.nu, self.model.outlier_share), STALE_LEAST)
            if np.count_nonzero(decisions < 0) > limit * len(decisions):
                return True
        period = self.model.rule.period_px
        if abs(view.period_px / period - 1.0) > STALE_PERIOD:
            return True
        turn = turn_rad(self.model.rule.basis_px_yx, view.basis_px_yx)
        return abs(turn) > STALE_ANGLE_RAD

    def _reserve(self, n_sites: int) -> None:
        if n_sites <= self._reserved:
            return
        # Half as many again, so that frames with slightly more sites do not allocate.
        self._reserved = n_sites + n_sites // 2 + 64
        self._z = np.empty((self._reserved, len(self.model.components)), np.float32)
        self._decisions = np.empty(self._reserved, np.float32)
        self._distances = np.empty(self._reserved, np.float32)


def turn_rad(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Mean angle by which two lattice vectors turned, +x towards +y, radians.

    Examples
    --------
    >>> round(turn_rad(np.eye(2), np.array([[0.995, -0.0998], [0.0998, 0.995]])), 4)
    0.1
    """
    cross = before[:, 1] * after[:, 0] - before[:, 0] * after[:, 1]
    dot = (before * after).sum(axis=1)
    return float(np.arctan2(cross.sum(), dot.sum()))
