"""Whether a frame as a whole still is what a model was fitted on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.parameters import (
    STALE_ANGLE_RAD,
    STALE_FACTOR,
    STALE_FRAMES,
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


class Staleness:
    """Whether a model is stale, over the frames of a stream; of a single frame, by that frame.

    One frame may be torn, or caught while the stage moved: once a model is known to fit, it is
    stale when frame after frame speaks against it, and back when as many fit. A lattice that was
    found anew, instead of followed, shows that something changed: then one frame that fits is
    enough. What a single frame says still decides whether that frame is judged by the model.
    """

    def __init__(self, n_frames: int = STALE_FRAMES) -> None:
        self._n_frames = n_frames
        self._is_stale: bool | None = None
        self._n_other = 0

    @property
    def is_stale(self) -> bool:
        """What the frames so far say; false before the first."""
        return bool(self._is_stale)

    def note(self, *, against: bool, anew: bool = False) -> bool:
        """Take in what one frame says, and tell whether the model is stale.

        Parameters
        ----------
        against
            It speaks against the model.
        anew
            Its lattice was not followed from the frame before.

        Examples
        --------
        >>> model = Staleness()
        >>> [model.note(against=each == "x") for each in "..x..xxx.xx..."]
        ... # doctest: +NORMALIZE_WHITESPACE
        [False, False, False, False, False, False, True, True, True, True, True, True,
         False, False]
        """
        if self._is_stale is None or against == self._is_stale:
            self._is_stale, self._n_other = against, 0
            return against
        self._n_other += 1
        if self._n_other >= self._n_frames or (anew and not against):
            self._is_stale, self._n_other = against, 0
        return self._is_stale


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
