"""The reference of a fit: site rule, features and windows of a few frames, without labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.patterson.dopants import drawn_margin_px
from latticewatch.detectors.patterson.features import WindowFeatures, step_for
from latticewatch.detectors.patterson.finder import PattersonFinder
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.reference_rule import label_of
from latticewatch.detectors.sites import SiteRule, View
from latticewatch.detectors.windows import judgeable
from latticewatch.kernels.patches import gather_patches, thinned_size

_MOST_SITES = 40_000  # of all frames together: 13 MB of features
_MOST_PATCHES = 4000  # kept for the mean window


def view_of(
    frame: NDArray[np.float32], finder: PattersonFinder, parameters: PattersonParameters
) -> View:
    """Sites of a frame as the settings of the fit want them."""
    lock = own_lock(frame) if parameters.site_source == "lattice" else None
    return finder.prepare(frame, lock)[0]


def patch_size_px(period_px: float, parameters: PattersonParameters) -> int:
    """Nearest odd number of pixels, large enough for the highest wave."""
    size = 2 * round((parameters.patch_size * period_px - 1) / 2) + 1
    return max(size, 2 * parameters.cutoff + 1)


def features_for(rule: SiteRule, parameters: PattersonParameters) -> WindowFeatures:
    """Numbers of a window that the settings want, not scaled yet."""
    size = patch_size_px(rule.period_px, parameters)
    step = step_for(rule.smooth_sigma_px)
    if thinned_size(size, step) < 2 * parameters.cutoff + 1:
        step = 1
    return WindowFeatures(
        kind=parameters.features, size_px=size, step_px=step, cutoff=parameters.cutoff, scale=1.0
    )


def collect(
    frames: Sequence[NDArray[np.float32]],
    rule: SiteRule,
    features: WindowFeatures,
    parameters: PattersonParameters,
    notes: list[str],
    labels: Sequence[str] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float32], int]:
    """Features of every whole window, the windows of the first few thousand, frames used.

    Frames without a crystal are left out, and the last ones where the others hold enough sites.
    """
    finder = PattersonFinder(rule, parameters.image)
    further_px = drawn_margin_px(rule) if parameters.image == "columns" else 0.0
    rows: list[NDArray[np.float64]] = []
    patches: list[NDArray[np.float32]] = []
    n_kept = n_patches = 0
    for number, frame in enumerate(frames):
        view = view_of(frame, finder, parameters)
        if not view.is_periodic:
            name = label_of(number, labels)
            notes.append(
                f"{name}: left out: another crystal or none, {view.linked:.0%} of sites in place"
            )
            continue
        whole = judgeable(view, features.size_px, rule.smooth_sigma_px, further_px)
        places_yx = view.places_yx[whole]
        rows.append(features_at(view.image, places_yx, features))
        wanted = places_yx[: max(0, _MOST_PATCHES - n_patches)]
        windows = np.empty((len(wanted), features.size_px, features.size_px), np.float32)
        gather_patches(
            view.image, wanted, features.size_px, windows, np.empty(len(wanted), np.bool_)
        )
        patches.append(windows)
        n_kept += len(places_yx)
        n_patches += len(windows)
        if n_kept >= _MOST_SITES:
            break
    if not rows:
        size = features.size_px
        return np.empty((0, features.n_features)), np.empty((0, size, size), np.float32), 0
    return np.concatenate(rows), np.concatenate(patches), len(rows)


def features_at(
    image: NDArray[np.float32], places_yx: NDArray[np.float64], features: WindowFeatures
) -> NDArray[np.float64]:
    """Features (N, F) of the windows round these places."""
    out = np.empty((len(places_yx), features.n_features), np.float32)
    whole = np.empty(len(places_yx), np.bool_)
    features.write(image, places_yx, out, whole)
    return out.astype(np.float64)
