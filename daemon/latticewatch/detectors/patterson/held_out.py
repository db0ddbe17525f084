"""What sites that took no part in a fit say about its decisions and distances."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import robust_scale

# Sites this far out are not defect-free, and must not enter the reference: one in 30000 of a
# normal law.
_DEFECT_Z = 4.0


def boundary_at(decisions: NDArray[np.float64], root: NDArray[np.float64], nu: float) -> float:
    """Decision, in offsets, beyond which a share nu of the held-out clean sites lies.

    What a machine calls an outlier is tied to its training set, from which the strangest were
    trimmed: of new sites without defects 4 to 9 in 100 were outliers, where nu said 1 or 2.
    """
    centre, spread = robust_scale(root)
    clean = decisions[(root - centre) / spread < _DEFECT_Z]
    return float(np.quantile(clean, nu))


def calibration_of(
    decisions: NDArray[np.float64], root: NDArray[np.float64], offset: float
) -> dict[str, Any]:  # Any: numbers and one array of the model, by name
    """Return what turns decisions and distances into p-values, defects left out."""
    centre, spread = robust_scale(root)
    clean = (root - centre) / spread < _DEFECT_Z
    return {
        "outlier_share": float((decisions < 0).mean()),
        "reference_decisions": np.sort(decisions[clean]) * abs(offset),
        "distance_centre": centre,
        "distance_scale": spread,
    }
