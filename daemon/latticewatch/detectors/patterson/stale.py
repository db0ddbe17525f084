"""Whether a frame as a whole still is what a model was fitted on."""

from dataclasses import dataclass

import numpy as np

from latticewatch.detectors.patterson.parameters import (
    STALE_FACTOR,
    STALE_LEAST,
    STALE_RESIDUAL,
    STALE_SCORE,
)
from latticewatch.detectors.staleness import STALE_ANGLE_RAD, STALE_PERIOD


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
        return tuple(self._against())

    @property
    def told(self) -> tuple[str, ...]:
        """The same for a person: each with its value and its limit."""
        return tuple(self._against().values())

    @property
    def is_stale(self) -> bool:
        """Anything speaks against the model."""
        return bool(self._against())

    def _against(self) -> dict[str, str]:
        flagged = max(STALE_FACTOR * self.usual_share, STALE_LEAST)
        stretched = self.period_ratio - 1.0
        turned, most = np.degrees(self.turn_rad), np.degrees(STALE_ANGLE_RAD)
        measures = {
            "flagged": (
                self.flagged_share > flagged,
                f"{self.flagged_share:.0%} of the sites strange (limit {flagged:.0%})",
            ),
            "score": (
                abs(self.median_score) > STALE_SCORE,
                f"median score {self.median_score:.1f} (limit {STALE_SCORE:.1f})",
            ),
            "residual": (
                self.residual_ratio > STALE_RESIDUAL,
                f"residual {self.residual_ratio:.1f} (limit {STALE_RESIDUAL:.1f})",
            ),
            "period": (
                abs(stretched) > STALE_PERIOD,
                f"period {stretched:+.1%} (limit {STALE_PERIOD:.1%})",
            ),
            "angle": (
                abs(turned) > most,
                f"turned by {turned:.1f} degrees (limit {most:.1f})",
            ),
        }
        return {reason: told for reason, (holds, told) in measures.items() if holds}
