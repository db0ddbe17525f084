"""From scores of sites to p-values that hold on frames of another dose, gain or focus.

Scores of a frame are put on its own scale: a change of noise moves all of them alike. How wide the
upper flank is on that scale is what the calibration side tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from latticewatch.detectors.calibration import clean_scale, quantile_of, upper_tail_p

Scores = NDArray[np.float64]

# Shares of the calibration values at which the width of the flank is read; of the last ones so
# many values lie beyond. One width and no steps: steps between six such quantiles carried their
# noise, and at a wanted 5 % the rate of single crystals went from 2.6 to 7.8 %, now 3.4 to 7.1.
_SHARES = (0.9, 0.95, 0.975, 0.99)
_LEAST_BEYOND = 5
_STRANGE = 4.0  # widths: one in 30,000 of a normal law
FEWEST_SITES = 20
FEWEST_VALUES = 200


@dataclass(frozen=True, slots=True)
class NullLaw:
    """How the scores of defect-free sites scatter, each frame on its own scale.

    Attributes
    ----------
    width
        Of a normal law with the upper flank of `deviations`; near 1.
    counted
        Largest deviation that calibration values tell of; beyond it the law is carried on.
    n_values
        How many values that were.
    """

    width: float
    counted: float
    n_values: int


def deviations(scores: Scores) -> Scores:
    """Logarithms of the scores of one frame, on the frame's own scale.

    Parameters
    ----------
    scores : (N,)
        Of all its sites; at least zero. NaN, unscored, stays.

    Returns
    -------
    (N,)
        (log s - centre) / scale of the ordinary ones, of which `clean_scale` leaves out up to a
        fifth. All NaN where fewer than 20 sites have a score, or half of them the same.

    Notes
    -----
    Logarithms, since the largest of many residuals leans to the far side as a log-normal law does,
    and since a gain is a shift.
    """
    away = np.full(len(scores), np.nan)
    known = np.isfinite(scores) & (scores > 0)
    if np.count_nonzero(known) < FEWEST_SITES:
        return away
    logs = np.log(scores[known])
    centre, scale = clean_scale(logs)
    # 1e-6: rounding of float32, on which scores rest.
    if scale < 1e-6:
        return away
    away[known] = (logs - centre) / scale
    away[scores == 0] = -np.inf  # as ordinary as can be
    return away


def fit_null(frames: Sequence[Scores]) -> NullLaw:
    """Learn the width of the flank from calibration frames, which no model was fitted to.

    Parameters
    ----------
    frames
        Scores (N,) of the sites of each; unscored ones NaN. A per cent may be defects.

    Raises
    ------
    ValueError
        Fewer than 200 sites have scores.
    """
    away = [deviations(scores) for scores in frames]
    values = np.sort(np.concatenate([one[~np.isnan(one)] for one in away] or [np.empty(0)]))
    # What is far out are defects of the calibration frames: a hundredth widened the law by a tenth.
    flank = max(quantile_of(values, _SHARES[0]) / float(special.ndtri(_SHARES[0])), 1.0)
    values = values[values <= _STRANGE * flank]
    n_values = len(values)
    if n_values < FEWEST_VALUES:
        raise ValueError(f"{n_values} scores calibrate nothing: at least {FEWEST_VALUES} needed")
    shares = [share for share in _SHARES if (1.0 - share) * n_values >= _LEAST_BEYOND]
    widths = [quantile_of(values, share) / float(special.ndtri(share)) for share in shares]
    # The median, since defects among the calibration sites widen the last of them first.
    return NullLaw(float(np.median(widths)), quantile_of(values, shares[-1]), n_values)


def p_values(scores: Scores, law: NullLaw) -> tuple[Scores, NDArray[np.bool_]]:
    """Chance that a defect-free site of this frame scores as high.

    Parameters
    ----------
    scores : (N,)
        Of all sites of one frame; NaN, unscored, gives NaN.
    law
        From `fit_null`.

    Returns
    -------
    tuple of (N,) and (N,)
        p-values, and whether each lies beyond what the calibration values could count.
    """
    away = deviations(scores)
    p_value = np.where(np.isnan(away), np.nan, upper_tail_p(away / law.width))
    return p_value, away > law.counted
