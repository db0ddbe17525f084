"""What models of sites share in their files: how sites are found and windows are cut."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.windows import WindowRule
from latticewatch.detectors.view import SiteRule

# Arrays and their number of axes; the sizes must agree with each other.
SITE_AXES = {"basis_px_yx": 2, "usual": 2, "level_weights": 2}
INTEGERS = ("polarity", "min_distance_px", "contrast", "drawn_px")
SITE_NUMBERS = (
    *INTEGERS,
    *("smooth_sigma_px", "floor", "level_low", "level_high", "step_px", "scale"),
)


def windows_of(
    numbers: Mapping[str, float], arrays: Mapping[str, NDArray[np.generic]]
) -> WindowRule:
    """How windows are cut and compared, from the same."""
    return WindowRule(
        step_px=numbers["step_px"],
        usual=arrays["usual"].astype(np.float32),
        weights=arrays["level_weights"].astype(np.float32),
        scale=numbers["scale"],
        drawn_px=int(numbers["drawn_px"]),
    )


def site_header(rule: SiteRule, windows: WindowRule) -> dict[str, Any]:  # Any: JSON
    """Numbers of both as they stand in `model.json`."""
    return {
        "smooth_sigma_px": rule.smooth_sigma_px,
        "floor": rule.floor,
        "polarity": rule.polarity,
        "min_distance_px": rule.min_distance_px,
        "contrast": rule.contrast,
        "level_low": rule.levels[0],
        "level_high": rule.levels[1],
        "period_px": rule.period_px,
        "step_px": windows.step_px,
        "scale": windows.scale,
        "drawn_px": windows.drawn_px,
        "units": {"lengths": "px", "levels": "2nd to 98th percentile of the blurred frame"},
    }


def site_arrays(rule: SiteRule, windows: WindowRule) -> dict[str, NDArray[Any]]:  # Any: floats
    """Arrays of both as they stand in `arrays.npz`."""
    return {
        "basis_px_yx": rule.basis_px_yx,
        "usual": windows.usual,
        "level_weights": windows.weights,
    }


def site_claims(rule: SiteRule, windows: WindowRule) -> dict[str, bool]:
    """Return what must hold of both, in words, and whether it does."""
    size, drawn = windows.size, windows.drawn_px
    return {
        "smooth_sigma_px > 0": 0 < rule.smooth_sigma_px < 1000,
        "polarity is 1 or -1": rule.polarity in (1, -1),
        "contrast is 1 or -1": rule.contrast in (1, -1),
        "min_distance_px >= 1": 1 <= rule.min_distance_px <= 4096,
        "0 <= level_low < level_high <= 1": 0 <= rule.levels[0] < rule.levels[1] <= 1,
        "basis_px_yx spans a cell": abs(float(np.linalg.det(rule.basis_px_yx))) > 1.0,
        "0 < step_px < 100": 0 < windows.step_px < 100,
        "window odd, 9 to 129 points": 9 <= size <= 129 and size % 2 == 1,
        "drawn_px odd, at most the window": 3 <= drawn <= size and drawn % 2 == 1,
        "scale > 0": windows.scale > 0,
        "level_weights sum to 1": abs(float(windows.weights.sum()) - 1.0) < 1e-3,
    }
