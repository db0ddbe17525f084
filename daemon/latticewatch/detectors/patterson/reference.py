"""The reference of a fit: site rule, features and windows of a few frames, without labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.windows import cut_windows
from latticewatch.detectors.site_choice import choose_site_rule
from latticewatch.detectors.sites import LEAST_LINKED, SiteFinder, SiteRule, View
from latticewatch.kernels.power import n_features, patterson_power, power_scratch, truncated_waves

_MOST_SITES = 40_000  # of all frames together: 13 MB of features
_MOST_PATCHES = 4000  # kept for the mean window


class FitError(Exception):
    """The reference frames cannot be fitted; the message says why and what would help."""


def reference_rule(
    frames: Sequence[NDArray[np.float32]],
    parameters: PattersonParameters,
    notes: list[str],
) -> SiteRule:
    """Lattice and site rule of the frame with the clearest crystal.

    Raises
    ------
    FitError
        No frame shows a lattice whose sites link up.
    """
    best: tuple[Lattice, NDArray[np.float32]] | None = None
    n_empty = 0
    for frame in frames:
        lattice = find_lattice(frame)
        if lattice is None:
            n_empty += 1
        elif best is None or lattice.strength > best[0].strength:
            best = (lattice, frame)
    if best is None:
        raise FitError(
            f"no lattice in any of {len(frames)} frame(s): the reference must show the crystal"
        )
    if n_empty:
        notes.append(f"{n_empty} of {len(frames)} frames show no lattice and were left out")
    rule, linked = choose_site_rule(
        best[1],
        best[0],
        smooth_sigma=parameters.smooth_sigma,
        min_distance=parameters.extremum_min_distance,
    )
    if linked < LEAST_LINKED:
        raise FitError(
            f"only {linked:.0%} of lattice neighbours are in place, {LEAST_LINKED:.0%} needed: "
            "the crystal has no unique extremum per cell, or the frame is too noisy"
        )
    return rule


def patch_size_px(period_px: float, parameters: PattersonParameters) -> int:
    """Nearest odd number of pixels, large enough for the highest wave."""
    size = 2 * round((parameters.patch_size * period_px - 1) / 2) + 1
    return max(size, 2 * parameters.cutoff + 1)


def collect(
    frames: Sequence[NDArray[np.float32]],
    rule: SiteRule,
    size: int,
    cutoff: int,
    notes: list[str],
) -> tuple[NDArray[np.float64], NDArray[np.float32], int]:
    """Unscaled features of every whole window, the windows of the first few thousand, frames used.

    Frames without a crystal are left out, and the last ones where the others hold enough sites.
    """
    finder = SiteFinder(rule)
    features: list[NDArray[np.float64]] = []
    patches: list[NDArray[np.float32]] = []
    n_kept = n_patches = 0
    for number, frame in enumerate(frames):
        view = finder.prepare(frame)
        if not view.is_periodic:
            notes.append(f"frame {number}: {view.linked:.0%} of neighbours in place, left out")
            continue
        power, windows = _power(view, rule.smooth_sigma_px, size, cutoff)
        features.append(power)
        patches.append(windows[: max(0, _MOST_PATCHES - n_patches)])
        n_kept += len(power)
        n_patches += len(windows)
        if n_kept >= _MOST_SITES:
            break
    if not features:
        return np.empty((0, n_features(cutoff))), np.empty((0, size, size), np.float32), 0
    return np.concatenate(features), np.concatenate(patches), len(features)


def _power(
    view: View, smooth_sigma_px: float, size: int, cutoff: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    windows = cut_windows(view, smooth_sigma_px, size)
    power = np.empty((len(windows), n_features(cutoff)), np.float32)
    waves, scratch = truncated_waves(size, cutoff), power_scratch(size, cutoff)
    patterson_power(windows, waves, 1.0, power, scratch)
    return power.astype(np.float64), windows
