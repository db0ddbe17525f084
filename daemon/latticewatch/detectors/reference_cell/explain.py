"""From strange sites to defects: each is explained by a column, and what it explains is taken out.

A defect disturbs its neighbours: their windows overlap its own. So the strangest site is fitted
first, its change is subtracted from the residual, and its neighbours are judged anew; what is left
of them is theirs (matching pursuit, Mallat and Zhang, IEEE Trans. Signal Process. 41, 3397, 1993).
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import special

from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.detectors.reference_cell.residue import Residue
from latticewatch.kernels.normal import median
from latticewatch.kernels.peers import keep_peers
from latticewatch.kernels.pursuit import N_CHANGE, judge_columns, pursue

# Below this chance a place is looked at at all. At a false discovery rate of 5 % a defect may be
# as likely as that by chance where one site in four is strange, as in a doped crystal.
WORTH_LOG_P = float(np.log(0.0139))
_MOST_CHANGES = 2000  # a frame where more is wrong is no crystal; the strongest say so
_CELLS_OF_A_PLACE = 28.0  # that the low-pass of the lock averages
_LEAST_PLACE_PX = 0.02
_CLEAR_COLUMN = 0.5  # share of the expected intensity that is found elsewhere
_LEAST_COLUMN = 0.3  # share of the expected intensity: less is no column that could be displaced
_OVERLAP = 6.0  # widths: windows of columns farther apart do not meet
# Standard normal statistic that a defect needs to be listed, about.
_TYPICAL_CUT = 3.3
_ENOUGH_SITES = 500  # to know how precisely a kind of column is measured
_LEAST_POWER = 0.05  # what is seldom seen is still looked for
# In distances between nearest columns.
_TYPICAL_STEP = 0.12  # of a displaced column
_FARTHEST = 0.5  # a column displaced farther is another column
# Out to which distance a weaker change is the strain, or the remains, of another one, and below
# which share of its score: one of other intensity, a displaced one beside one of other intensity,
# both displaced, which may be a row.
_RINGS = np.array([(0.6, np.inf, np.inf, 0.3), (1.8, 0.25, 0.5, 0.3), (3.2, 0.0, 0.2, 0.3)])


@dataclass(slots=True)
class Change:
    """A column that is other than the mean cell says.

    Attributes
    ----------
    site
        Row of the residue's sites.
    log_p
        Logarithm of the chance that a defect-free site is as strange, before several tests.
    kind
        "deficit", "excess" or "displaced".
    place_yx
        Where the defect is: the site, or where a displaced column was found; pixels.
    intensity_ratio
        Found over expected intensity.
    moved_px_yx
        From the site to where the column was found.
    cov_px
        (var_yy, cov_yx, var_xx) of the place.
    score
        Standard normal quantile of 1 - p.
    """

    site: int
    log_p: float
    kind: str
    place_yx: NDArray[np.float64]
    intensity_ratio: float
    moved_px_yx: NDArray[np.float64]
    cov_px: tuple[float, float, float]
    score: float = field(init=False)

    def __post_init__(self) -> None:
        """Work the score out once: it is asked for again and again."""
        self.score = score_of_log_p(self.log_p)


def score_of_log_p(log_p: float) -> float:
    """Return the standard normal quantile of 1 - p for any log p, be p a float or not.

    Examples
    --------
    >>> [round(score_of_log_p(log_p), 2) for log_p in (-6.6077, -1000.0)]
    [3.0, 44.62]
    """
    if log_p > -700.0:
        return 0.0 - float(special.ndtri(math.exp(log_p)))
    # Leading terms of the tail: log p = -z^2/2 - log(z sqrt(2 pi)).
    z = math.sqrt(-2.0 * log_p)
    return math.sqrt(-2.0 * log_p - math.log(2 * math.pi) - 2 * math.log(z))


@dataclass(frozen=True, slots=True)
class Shares:
    """How the false alarms are shared; over all sites the shares add up to one a site.

    Attributes
    ----------
    log_site : (N, 2)
        Log share of each site's intensity, and of its column as a whole.
    log_extra
        Log share a site of columns where none belongs.
    """

    log_site: NDArray[np.float64]
    log_extra: float


def explain(residue: Residue, shares: Shares) -> list[Change]:
    """All changes worth a thought, strangest first, their overlap taken out.

    Parameters
    ----------
    residue
        Its residual is taken apart in place.
    shares
        Of this residue.
    """
    log_share = shares.log_site
    judged = np.empty((len(residue.label), 5))
    judge_columns(residue.sums, residue.normal, log_share, WORTH_LOG_P, judged)
    sigma_px, expected = residue.columns.sigma_px, residue.expected
    found = np.empty((min(_MOST_CHANGES, len(judged)), N_CHANGE))
    n_found = pursue(
        (residue.residual, residue.precision, residue.weighted),
        (
            np.column_stack([expected, residue.places_yx]),
            residue.sums,
            residue.normal,
            log_share,
        ),
        (sigma_px, _FARTHEST * residue.nearest_px, _OVERLAP * sigma_px),
        WORTH_LOG_P,
        judged,
        found,
    )
    return _changes(found[:n_found], residue)


def without_strain(changes: list[Change], nearest_px: float) -> list[Change]:
    """Drop the strain and the remains of stronger changes; the strongest come first."""
    if not changes:
        return []
    places = np.array([change.place_yx for change in changes]) / nearest_px
    score = np.array([change.score for change in changes])
    is_moved = np.array([change.kind == "displaced" for change in changes])
    kept = np.empty(len(changes), np.bool_)
    keep_peers(places, score, is_moved, _RINGS, kept)
    return [change for change, stays in zip(changes, kept.tolist(), strict=True) if stays]


def shares_of(residue: Residue, parameters: ReferenceCellParameters) -> Shares:
    """Share the false alarms by what can be seen.

    Where a missing or a displaced column would hardly be seen, looking for it costs false alarms
    and finds nothing: p-values are weighted by the chance that a defect is found (Genovese,
    Roeder and Wasserman, Biometrika 93, 509, 2006). The weights depend on the mean cell and the
    noise, never on what a site shows.
    """
    sigma_px, least = residue.columns.sigma_px, _LEAST_POWER
    wanted = np.empty((len(residue.height), 2))
    for column, rows in enumerate(_some_of_each(residue)):
        height = residue.height[column]
        norms = np.zeros(2)
        if rows.start < rows.stop:
            norms[:] = [median(residue.sums[rows, part].copy()) for part in (3, 4)]
        step = _TYPICAL_STEP * residue.nearest_px / sigma_px
        expected = height * np.array([1.0, step]) * np.sqrt(norms) / residue.scale[:2]
        wanted[column] = np.maximum(special.ndtr(expected - _TYPICAL_CUT), least)
    wanted *= parameters.share_intensity, parameters.share_place
    counts = np.bincount(residue.label, minlength=len(wanted))
    mean = (counts @ wanted.sum(axis=1)) / len(residue.label) + parameters.share_extra
    log_site: NDArray[np.float64] = np.log(wanted / mean).take(residue.label, axis=0)
    return Shares(log_site, float(np.log(parameters.share_extra / mean)))


def _changes(found: NDArray[np.float64], residue: Residue) -> list[Change]:
    """Say in words what `pursue` found (M, 10)."""
    rows = found[:, 0].astype(np.intp)
    home, expected = residue.places_yx[rows], residue.expected[rows]
    sigma_px = residue.columns.sigma_px
    home_px2 = _home_variance(rows, residue).tolist()
    place, ratio = found[:, 5:7], found[:, 4] / expected
    moved = place - home
    # Farther than its own width a column has left a hole behind, whatever its intensity.
    is_far = (ratio > _CLEAR_COLUMN) & (np.hypot(moved[:, 0], moved[:, 1]) > sigma_px)
    is_moved = is_far | _moved_more(moved, found[:, 7:10], found[:, 3], ratio)
    where = np.where(is_moved[:, None], place, home)
    is_less, log_p = found[:, 3] < 0, np.minimum(found[:, 1], found[:, 2]).tolist()
    covariances = [(yy, yx, xx) for yy, yx, xx in found[:, 7:10].tolist()]
    return [
        Change(
            site=int(rows[k]),
            log_p=log_p[k],
            kind="displaced" if moves else "deficit" if is_less[k] else "excess",
            place_yx=where[k],
            intensity_ratio=max(float(ratio[k]), 0.0),
            moved_px_yx=moved[k],
            # Where nothing has moved the place is that of the lattice.
            cov_px=covariances[k] if moves else (home_px2[k][0], 0.0, home_px2[k][1]),
        )
        for k, moves in enumerate(is_moved.tolist())
    ]


def _home_variance(rows: NDArray[np.intp], residue: Residue) -> NDArray[np.float64]:
    """How far the places of the lattice are from where columns stand: variances (M, 2), y and x.

    The displacement of ordinary columns scatters by what one column says of its place, and by the
    error of the lattice there, with the disorder of the crystal. The kind that is seen best knows.
    """
    width = residue.scatter
    least, usual = np.full(2, np.inf), np.ones((len(residue.height), 2))
    for column, some in enumerate(_some_of_each(residue)):
        if some.start == some.stop:
            continue
        usual[column] = np.median(width[some], axis=0)
        slope = residue.height[column] * residue.gain[some] / residue.columns.sigma_px
        one = 1 / np.maximum(np.square(slope)[:, None] * residue.sums[some, 4:6], 1e-30)
        # A column is one of those that the lattice is known by, so that it looks less displaced.
        share = np.square(usual[column]) - 1 + 2 / _CELLS_OF_A_PLACE
        least = np.minimum(least, np.maximum(share, 1 / _CELLS_OF_A_PLACE) * np.median(one, axis=0))
    # At the edge of the frame all is less certain.
    factor = np.square(width[rows] / usual[residue.label[rows]])
    variance: NDArray[np.float64] = least * factor + _LEAST_PLACE_PX**2
    return variance


def _some_of_each(residue: Residue) -> list[slice]:
    """Rows of each sublattice, no more than it takes to know it; some may have none."""
    starts = np.searchsorted(residue.label, np.arange(len(residue.height) + 1)).tolist()
    return [slice(first, min(end, first + _ENOUGH_SITES)) for first, end in pairwise(starts)]


def _moved_more(
    moved_px: NDArray[np.float64],
    cov_px: NDArray[np.float64],
    statistic: NDArray[np.float64],
    ratio: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Tell which columns (M,) are displaced more than they are other, each in its own errors."""
    yy, yx, xx = cov_px.T
    # A place that no pixel speaks of has an infinite variance.
    known = np.isfinite(yy) & np.isfinite(xx) & (ratio >= _LEAST_COLUMN)
    yy, yx, xx = (np.where(known, part, 0.0) for part in (yy, yx, xx))
    determinant = yy * xx - yx * yx
    known &= determinant > 0
    y, x = moved_px.T
    square = (xx * y * y - 2 * yx * y * x + yy * x * x) / np.where(known, determinant, 1.0)
    more: NDArray[np.bool_] = known & (square > np.square(statistic))
    return more
