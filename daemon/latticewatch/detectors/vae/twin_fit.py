"""Fit the linear twin on the frames of a reference; needs neither torch nor onnx."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.vae.linear import LinearTwin
from latticewatch.detectors.vae.linear_model import LinearModel
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.pca import DensePca, fit_dense
from latticewatch.detectors.vae.provenance import Provenance
from latticewatch.detectors.vae.reference import look_at
from latticewatch.detectors.vae.stale import FLAGGED_P
from latticewatch.detectors.vae.windows import WindowRule, matching_lock
from latticewatch.detectors.view import SiteRule, View

# Eight frames of 1024 x 1024: windows are drawn from all of them, and 800 are drawn.
_MOST_PIXELS = 8 * 2**20
# Dose halved or doubled moves the logarithm of the root of the energy by 0.35.
_LEAST_SCORE_SPREAD = 0.15
_TINY = float(np.finfo(np.float32).tiny)

Frames = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class LinearFitReport:
    """What a fit found out, for people.

    Attributes
    ----------
    n_frames, n_sites
        Reference frames and sites used.
    rank, n_windows
        Components that are taken out, and windows that they were learned from.
    warnings
        One line each.
    """

    n_frames: int
    n_sites: int
    rank: int
    n_windows: int
    warnings: tuple[str, ...]


def fit_twin(frames: Frames, rule: SiteRule) -> DensePca:
    """Fit the filter on frames of one crystal; those that do not show it are left out.

    Raises
    ------
    FitError
        No frame shows the crystal, or too little of it.
    """
    images = [np.where(_beyond(view), np.nan, view.image) for view in _views(frames, rule)]
    try:
        return fit_dense([image.astype(np.float32) for image in images], rule.basis_px_yx)
    except ValueError as error:
        raise FitError(f"the linear twin cannot be fitted: {error}: give larger frames") from error


def fit_linear(
    frames: Frames, parameters: VaeParameters, labels: Sequence[str] | None = None
) -> tuple[LinearModel, LinearFitReport]:
    """Fit the twin by itself.

    Parameters
    ----------
    frames, parameters, labels
        As `fit.fit`.

    Raises
    ------
    FitError
        No frame shows a lattice, they show different ones, or they hold too little.
    """
    notes: list[str] = []
    known = look_at(frames, parameters, notes, labels)
    pca = fit_twin(frames, known.rule)
    middles, usual_flagged = _usual(frames, known.rule, known.windows, pca)
    model = LinearModel(
        rule=known.rule,
        windows=known.windows,
        pca=pca,
        score_median=float(np.median(middles)),
        score_spread=max(_LEAST_SCORE_SPREAD, float(np.std(middles))),
        usual_flagged=usual_flagged,
        provenance=Provenance(frames=tuple(_digest(frame) for frame in frames)),
    )
    report = LinearFitReport(
        known.n_frames, len(known.compared), pca.rank, pca.n_windows, tuple(notes)
    )
    return model, report


def _views(frames: Frames, rule: SiteRule) -> list[View]:
    """Prepare the frames that show the crystal; images are the caller's."""
    finder, views, n_pixels = SiteFinder(rule), [], 0
    for frame in frames:
        view = finder.prepare(frame, matching_lock(rule, own_lock(frame)))
        if not view.is_periodic:
            continue
        views.append(_kept(view))
        n_pixels += frame.size
        if n_pixels >= _MOST_PIXELS:
            break
    return views


def _kept(view: View) -> View:
    return replace(view, image=view.image.copy(), places_yx=view.places_yx.copy())


def _beyond(view: View) -> NDArray[np.bool_]:
    """Tell pixels (H, W) that are farther than a period from every site: vacuum, or another."""
    reach = round(view.period_px)
    near = np.zeros(view.image.shape, bool)
    for y, x in np.rint(view.places_yx[~view.rim]).astype(np.intp):
        near[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = True
    return ~near


def _usual(
    frames: Frames, rule: SiteRule, windows: WindowRule, pca: DensePca
) -> tuple[list[float], float]:
    """Median logarithm of the scores of each frame, and the share of all sites that is flagged."""
    twin = LinearTwin(pca, windows, rule.smooth_sigma_px)
    middles, p_values = [], []
    for view in _views(frames, rule):
        statistics = twin.look(view, view.places_yx)
        middles.append(float(np.log(max(float(np.nanmedian(statistics[1])), _TINY))))
        p_values.append(twin.judge(statistics).p_value)
    known = np.concatenate(p_values)
    known = known[np.isfinite(known)]
    return middles, float((known < FLAGGED_P).mean()) if len(known) else 0.0


def _digest(frame: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(frame).tobytes()).hexdigest()[:16]
