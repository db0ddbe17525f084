"""Whether a frame as a whole still is what a model was fitted on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.parameters import (
    STALE_ANGLE_RAD,
    STALE_FACTOR,
    STALE_LEAST,
    STALE_PERIOD,
    STALE_RESIDUAL,
    STALE_SCORE,
)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a frame is from the reference of a model.

    Attributes
    ----------
    flagged_share
        Of the scored sites, those that the SVM calls outliers.
    usual_share
        The same at the reference, or what nu promises, whichever is more.
    median_score
        Of the scored sites: reference median less decision, in 1.4826 MAD of the reference.
    residual_ratio
        Median length of what the components leave of a site's features, over that of the
        reference; 1 where the model does not know.
    period_ratio
        Lattice period of the frame over that of the model.
    turn_rad
        Angle from the model's lattice to the frame's, +x towards +y.
    """

    flagged_share: float
    usual_share: float
    median_score: float
    residual_ratio: float
    period_ratio: float
    turn_rad: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """What speaks against the model: flagged, score, residual, period, angle; in words."""
        limit = max(STALE_FACTOR * self.usual_share, STALE_LEAST)
        against = {
            "flagged": self.flagged_share > limit,
            "score": abs(self.median_score) > STALE_SCORE,
            "residual": self.residual_ratio > STALE_RESIDUAL,
            "period": abs(self.period_ratio - 1.0) > STALE_PERIOD,
            "angle": abs(self.turn_rad) > STALE_ANGLE_RAD,
        }
        return tuple(reason for reason, holds in against.items() if holds)

    @property
    def is_stale(self) -> bool:
        """Anything speaks against the model."""
        return bool(self.reasons)


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
