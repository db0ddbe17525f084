"""What sites that took no part in a fit say about its decisions and distances."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from latticewatch.detectors.calibration import clean_scale

# Sites this far out are not defect-free, and must not enter the reference: one in 30000 of a
# normal law.
_DEFECT_Z = 4.0
# A reference with no more of them than this is taken to be clean: perfect honeycombs had 0.4 %, a
# crystal with 1 % of its columns bad has 3 to 7.
_CLEAN_SHARE = 0.005
_FEWEST_FOR_TAIL = 1000  # five beyond the quantile
_TAIL_QUANTILE = 0.995
_WIDEST_TAIL = 1.6


def boundary_at(decisions: NDArray[np.float64], root: NDArray[np.float64], nu: float) -> float:
    """Decision, in offsets, beyond which a share nu of the held-out clean sites lies.

    What a machine calls an outlier is tied to its training set, from which the strangest were
    trimmed: of new sites without defects 4 to 9 in 100 were outliers, where nu said 1 or 2.
    """
    centre, spread = clean_scale(root)
    clean = decisions[(root - centre) / spread < _DEFECT_Z]
    return float(np.quantile(clean, nu))


def calibration_of(
    decisions: NDArray[np.float64], root: NDArray[np.float64], offset: float
) -> dict[str, Any]:  # Any: numbers and one array of the model, by name
    """Return what turns decisions and distances into p-values, defects left out."""
    centre, spread = clean_scale(root)
    clean = (root - centre) / spread < _DEFECT_Z
    return {
        "tail_width": _tail_width((root - centre) / spread),
        "outlier_share": float((decisions < 0).mean()),
        "reference_decisions": np.sort(decisions[clean]) * abs(offset),
        "distance_centre": centre,
        "distance_scale": spread,
    }


def _tail_width(z: NDArray[np.float64]) -> float:
    """Return how much wider than a normal law the upper tail of a clean reference is, at least 1.

    Of a reference with defects, or a small one, it is not asked: 1.
    """
    if len(z) < _FEWEST_FOR_TAIL or (z > _DEFECT_Z).mean() > _CLEAN_SHARE:
        return 1.0
    width = float(np.quantile(z, _TAIL_QUANTILE)) / float(special.ndtri(_TAIL_QUANTILE))
    return min(max(1.0, width), _WIDEST_TAIL)
