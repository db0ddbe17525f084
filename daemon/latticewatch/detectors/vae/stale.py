"""Whether a frame as a whole still is what a model was fitted on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.staleness import STALE_ANGLE_RAD, STALE_PERIOD, turn_rad
from latticewatch.detectors.vae.parameters import STALE_FACTOR, STALE_FLAGGED, STALE_SCORE
from latticewatch.detectors.view import SiteRule, View

FLAGGED_P = 0.002
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a frame is from the reference of a model.

    Attributes
    ----------
    median_score
        Median logarithm of the local energy less that of the reference, over how much it differs
        from frame to frame.
    flagged_share
        Of the scored sites, those with p below 0.002.
    usual_flagged
        The same at the reference, whose defects count.
    period_ratio
        Lattice period of the frame over that of the model.
    turn_rad
        Angle from the model's lattice to the frame's, +x towards +y.
    """

    median_score: float
    flagged_share: float
    usual_flagged: float
    period_ratio: float
    turn_rad: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """What speaks against the model: score, flagged, period, angle; in words."""
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
        flagged = max(STALE_FLAGGED, STALE_FACTOR * self.usual_flagged)
        stretched = self.period_ratio - 1.0
        turned, most = np.degrees(self.turn_rad), np.degrees(STALE_ANGLE_RAD)
        measures = {
            "score": (
                not abs(self.median_score) <= STALE_SCORE,
                f"median score {self.median_score:+.1f} (limit {STALE_SCORE:.1f})",
            ),
            "flagged": (
                self.flagged_share > flagged,
                f"{self.flagged_share:.0%} of the sites strange (limit {flagged:.0%})",
            ),
            "period": (
                not abs(stretched) <= STALE_PERIOD,
                f"period {stretched:+.1%} (limit {STALE_PERIOD:.1%})",
            ),
            "angle": (
                not abs(turned) <= most,
                f"turned by {turned:.1f} degrees (limit {most:.1f})",
            ),
        }
        return {reason: told for reason, (holds, told) in measures.items() if holds}


def freshness_of(
    view: View,
    rule: SiteRule,
    usual: tuple[float, float, float],
    scored: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Freshness:
    """Measure how far a frame is from the reference.

    Parameters
    ----------
    view
        The frame.
    rule
        Of the model.
    usual
        Median logarithm of the scores of a reference frame, how it differs between frames, and the
        share of sites flagged in them.
    scored
        Scores (M,) and p-values (M,) of the scored sites.
    """
    scores, p_value = scored
    middle = usual[0]
    if len(scores):
        middle = float(np.log(np.maximum(np.median(scores), _TINY)))
    flagged = int(np.count_nonzero(p_value < FLAGGED_P))
    return Freshness(
        median_score=(middle - usual[0]) / usual[1],
        flagged_share=flagged / len(scores) if len(scores) else 0.0,
        usual_flagged=usual[2],
        period_ratio=view.period_px / rule.period_px,
        turn_rad=turn_rad(rule.basis_px_yx, view.basis_px_yx),
    )
