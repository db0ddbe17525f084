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
# many values lie beyond. One width for all: six of them carried the noise of each.
_SHARES = (0.9, 0.95, 0.975, 0.99)
_LEAST_BEYOND = 5
_SMALLEST_P = 1e-300
_STRANGE = 4.0  # widths: one in 30,000 of a normal law
_NARROWEST, _WIDEST = 0.9, 1.15
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


# Where too little is there to calibrate with: theory has 1, and 1.00 to 1.10 was found on frames of
# three simulated crystals with their doses, focus, gain and jitter.
USUAL_LAW = NullLaw(width=1.05, counted=2.3, n_values=0)


def deviations(scores: Scores) -> Scores:
    """How far the scores of one frame are out, in standard deviations of a normal law.

    Parameters
    ----------
    scores : (N,)
        Of all its sites; a largest residual, or the root of a largest energy. NaN, unscored, stays.

    Returns
    -------
    (N,)
        Standard normal quantiles of the law of the frame's ordinary sites, of which `clean_scale`
        leaves out up to a fifth. All NaN where fewer than 20 sites have a score, or half of them
        the same.

    Notes
    -----
    The law is that of the largest of n normal values, F(s) = (1 - 2 Q(s / sigma))^n (Gumbel,
    Statistics of Extremes, 1958), with n and sigma such that median and upper flank are the
    frame's; n need not be whole. Logarithms of scores on their own scale hold the rates as well,
    but call a column that lacks half of its atoms one in 10^4 where it is one in 10^10.
    """
    away = np.full(len(scores), np.nan)
    known = np.isfinite(scores)
    if np.count_nonzero(known) < FEWEST_SITES:
        return away
    centre, scale = clean_scale(scores[known])
    # 1e-6: rounding of float32, on which scores rest.
    if not scale > 1e-6 * abs(centre) or centre <= 0:
        return away
    log_n = float(np.interp(-scale / centre, -_FLANKS, _LOG_NUMBERS))
    sigma = centre / _quantile_of_largest(0.5, log_n)
    away[known] = _normal_quantile(scores[known] / sigma, log_n)
    return away


def _quantile_of_largest(share: float, log_n: float) -> float:
    """Quantile of the largest magnitude of n standard normal values."""
    # F = (1 - 2 Q)^n, so 2 Q = 1 - share^(1 / n).
    return -float(special.ndtri(-np.expm1(np.log(share) * np.exp(-log_n)) / 2))


def _normal_quantile(ratio: Scores, log_n: float) -> Scores:
    """Return the standard normal quantile of F at some scores over sigma."""
    log_tail = np.log(2.0) + special.log_ndtr(-np.maximum(ratio, 0.0))
    with np.errstate(divide="ignore"):
        log_below = np.exp(log_n) * np.log1p(-np.minimum(np.exp(log_tail), 1.0))
    p_value = np.maximum(-np.expm1(log_below), _SMALLEST_P)
    quantile: Scores = -special.ndtri(p_value)
    return quantile


# From less than one value to a million: the flank over the median falls from 1.5 to 0.06.
_LOG_NUMBERS = np.linspace(np.log(0.5), np.log(1e6), 60)
_FLANKS = np.array(
    [
        (_quantile_of_largest(0.75, one) / _quantile_of_largest(0.5, one) - 1.0) / 0.6745
        for one in _LOG_NUMBERS
    ]
)


def fit_null(frames: Sequence[Scores]) -> NullLaw:
    """Learn the width of the flank from calibration frames, which no model was fitted to.

    Parameters
    ----------
    frames
        Scores (N,) of the sites of each, a largest residual or the root of a largest energy;
        unscored ones NaN.

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
    # The median, since defects among the calibration sites widen the last of them first. Theory has
    # 1, clean frames had 0.95 to 1.10, and frames with a damaged column in a hundred, each seen by
    # four cells, 1.4 to 5: then nothing is found, and what is wrong is not the law.
    width = min(max(float(np.median(widths)), _NARROWEST), _WIDEST)
    return NullLaw(width, quantile_of(values, shares[-1]), n_values)


def p_values(scores: Scores, law: NullLaw) -> tuple[Scores, NDArray[np.bool_]]:
    """Chance that a defect-free site of this frame scores as high.

    Parameters
    ----------
    scores : (N,)
        Of all sites of one frame, as for `deviations`; NaN, unscored, gives NaN.
    law
        From `fit_null`.

    Returns
    -------
    tuple of (N,) and (N,)
        p-values, and whether each lies beyond what the calibration values could count.
    """
    return p_values_of(deviations(scores), law)


def p_values_of(away: Scores, law: NullLaw) -> tuple[Scores, NDArray[np.bool_]]:
    """Return the same of `deviations` (N,) that are known already."""
    p_value = np.where(np.isnan(away), np.nan, upper_tail_p(away / law.width))
    return p_value, away > law.counted
