"""Models that look at windows without a lattice, in the pipeline."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.model_trust import ModelTrust
from latticewatch.daemon.pixel_check import near_bad_pixel
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, Picture, Scene, Sight
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.calibration import adjusted_q, score_of_p
from latticewatch.detectors.protocols import Finding
from latticewatch.detectors.vae.model import DETECTOR
from latticewatch.detectors.vae.window_model import (
    WindowModel,
    WindowScores,
    median_square,
    score_windows,
)

# Of the side of a window: windows overlap by a half, and peaks nearer than this are of one defect.
_ONE_DEFECT = 0.2
# Place of a peak under the blur of the preparation, standard deviation over that of the blur.
_PLACE_SIGMA = 1.0
# Chances below this rest on the tail of a fitted law.
_COUNTED_P = 0.005
# Median mean square of a residual over that of the reference. Of SrTiO3: 2.7 for other bulk of the
# same frame, 2.8 and 3.2 turned by 2 degrees or magnified by 3 %, 6.5 and 5.2 by 5 degrees or 6 %,
# 40 and more for other crystals. Where the published cut leaves nothing of usual windows, the least
# that counts.
_MOST_SQUARE = 4.0
_LEAST_SQUARE = 1e-5


class WindowLooker:
    """Asks a network about the windows of a grid; no lattice is needed, and none is known.

    Parameters
    ----------
    model
        Whose rule and network.
    named
        Detector, artifact, SHA-256.
    clock
        Times the stages.
    """

    name = DETECTOR
    needs_lattice = False

    def __init__(self, model: WindowModel, named: tuple[str, str, str], clock: Clock) -> None:
        self._model, self._detector = model, model.detector()
        self._named, self._clock = named, clock
        self._trust = ModelTrust(*named)

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Judge every window of a frame, and list what is within the budget."""
        watch = Stopwatch(self._clock)
        self._trust.begin(scene)
        side = self._model.rule.window_px
        if min(scene.image.shape) < side:
            note = (
                f"{DETECTOR}: a frame of {scene.image.shape[0]} x {scene.image.shape[1]} px is "
                f"smaller than the windows of its model, {side} px"
            )
            return Sight(*self._named, faults=("model_stale",), note=note)
        scores = score_windows(self._detector, scene.image)
        middles = scores.corners_yx.astype(np.float64) + (side - 1) / 2
        shape = (scene.image.shape[0], scene.image.shape[1])
        bad = near_bad_pixel(middles, scene.bad_yx, shape, side // 2)
        scored = np.isfinite(scores.p_value) & ~bad
        seen = Sight(
            *self._named,
            n_sites=len(scored),
            n_refused=int(np.count_nonzero(_has_light(scores, scene) & np.isnan(scores.p_value))),
            picture=Picture(DETECTOR, _painted(scores, shape)) if scene.pictures else None,
        )
        told = self._against(scores)
        if told:
            watch.lap(DETECTOR)
            return self._trust.against(scene, seen, told, watch)
        findings, q_value = self._cut(scores, np.flatnonzero(scored), budget)
        watch.lap(DETECTOR)
        trial = self._trust.on_trial(scene, seen, watch)
        if trial is not None:
            return trial
        return replace(
            seen,
            n_scored=int(np.count_nonzero(scored)),
            findings=findings,
            q_value=q_value,
            stage_us=watch.us,
        )

    def _against(self, scores: WindowScores) -> str:
        """Say what speaks against the model; nothing where nothing does."""
        usual = max(self._model.usual_square, _LEAST_SQUARE)
        ratio = median_square(scores.residuals) / usual
        if not ratio > _MOST_SQUARE:
            return ""
        return f"residual {ratio:.1f} times the usual (limit {_MOST_SQUARE:.0f})"

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Run the network once on each window of a frame."""
        if min(image.shape) >= self._model.rule.window_px:
            score_windows(self._detector, image)

    def _cut(
        self, scores: WindowScores, scored: NDArray[np.intp], budget: Budget
    ) -> tuple[tuple[Finding, ...], NDArray[np.float64]]:
        """Decide which windows hold defects; overlapping ones that see the same one are merged."""
        p_value = scores.p_value[scored]
        passes = budget.passes(p_value, adjusted_q(p_value), len(scored))
        kept: list[int] = []
        reach_px = _ONE_DEFECT * self._model.rule.window_px
        for window in scored[passes][np.argsort(p_value[passes], kind="stable")]:
            away = [np.hypot(*(scores.peak_yx[window] - scores.peak_yx[other])) for other in kept]
            if not away or min(away) > reach_px:
                kept.append(int(window))
        q_value = adjusted_q(scores.p_value[kept], len(scored))
        within = budget.passes(scores.p_value[kept], q_value, len(scored))
        found = tuple(
            self._finding(scores, window) for window, one in zip(kept, within, strict=True) if one
        )
        return found, q_value[within]

    def _finding(self, scores: WindowScores, window: int) -> Finding:
        p_value = float(scores.p_value[window])
        y, x = (float(place) for place in scores.peak_yx[window])
        var = (_PLACE_SIGMA * max(self._model.rule.sigma_px, 1.0)) ** 2
        return Finding(
            pixel_yx=(y, x),
            cov_px=(var, 0.0, var),
            kind="excess" if scores.peak[window] > 0 else "deficit",
            intensity_ratio=None,
            extent_px=self._model.rule.window_px / 4,
            p_value=p_value,
            parts=((f"vae_{self._model.mode}", score_of_p(p_value), p_value),),
            tail=p_value < _COUNTED_P,
            flags=("unlocked",),
        )


def _has_light(scores: WindowScores, scene: Scene) -> NDArray[np.bool_]:
    """Tell windows (N,) that are not black: of those a network should have given a number."""
    side = scores.residuals.shape[-1]
    return np.array(
        [scene.image[y : y + side, x : x + side].max() > 0 for y, x in scores.corners_yx], bool
    )


def _painted(scores: WindowScores, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Residuals of all windows on the frame (H, W).

    Each pixel is of the window that it lies deepest in, for rims are redrawn worst.
    """
    side = scores.residuals.shape[-1]
    offsets = np.arange(side)
    depth = np.minimum(offsets, offsets[::-1])
    depth = np.minimum(depth[:, None], depth) + 1
    picture = np.full(shape, np.nan, np.float32)
    deepest = np.zeros(shape, np.int64)
    for (y, x), residual in zip(scores.corners_yx, scores.residuals, strict=True):
        part = (slice(y, y + side), slice(x, x + side))
        better = depth > deepest[part]
        picture[part][better] = residual[better]
        deepest[part][better] = depth[better]
    return picture
