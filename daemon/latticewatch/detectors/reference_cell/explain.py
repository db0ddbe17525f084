"""From strange sites to defects: each is explained by a column, and what it explains is taken out.

A defect disturbs its neighbours: their windows overlap its own. So the strangest site is fitted
first, its change is subtracted from the residual, and its neighbours are judged anew; what is left
of them is theirs (matching pursuit, Mallat and Zhang, IEEE Trans. Signal Process. 41, 3397, 1993).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.detectors.reference_cell.residue import Residue
from latticewatch.kernels.pursuit import N_CHANGE, judge_columns, pursue

# Below this chance a place is looked at at all. At a false discovery rate of 5 % a defect may be
# as likely as that by chance where one site in four is strange, as in a doped crystal.
WORTH_LOG_P = float(np.log(0.0139))
_MOST_CHANGES = 2000  # a frame where more is wrong is no crystal; the strongest say so
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
_SAME = 0.6
_BESIDE = 1.8
_AROUND = 3.2
# Share of a defect's score below which a weaker one at that distance is its strain, not its peer.
_STRAIN_SHARE = 0.5
_LINE_SHARE = 0.3
_OTHER_SHARE = 0.25
_FAR_STRAIN_SHARE = 0.2


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
    """

    site: int
    log_p: float
    kind: str
    place_yx: NDArray[np.float64]
    intensity_ratio: float
    moved_px_yx: NDArray[np.float64]
    cov_px: tuple[float, float, float]

    @property
    def score(self) -> float:
        """Standard normal quantile of 1 - p."""
        return score_of_log_p(self.log_p)


def score_of_log_p(log_p: float) -> float:
    """Return the standard normal quantile of 1 - p for any log p, be p a float or not.

    Examples
    --------
    >>> [round(score_of_log_p(log_p), 2) for log_p in (-6.6077, -1000.0)]
    [3.0, 44.62]
    """
    if log_p > -700.0:
        return 0.0 - float(special.ndtri(np.exp(log_p)))
    # Leading terms of the tail: log p = -z^2/2 - log(z sqrt(2 pi)).
    z = float(np.sqrt(-2.0 * log_p))
    return float(np.sqrt(-2.0 * log_p - np.log(2 * np.pi) - 2 * np.log(z)))


def explain(residue: Residue, parameters: ReferenceCellParameters) -> list[Change]:
    """All changes worth a thought, strangest first, strain and overlap taken out.

    Parameters
    ----------
    residue
        Its residual is taken apart in place.
    parameters
        How false alarms are shared.
    """
    log_share = log_shares(residue, parameters)
    judged = np.empty((len(residue.label), 5))
    judge_columns(residue.sums, residue.normal, log_share, judged)
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
    homes = residue.places_yx[found[:n_found, 0].astype(np.intp)]
    changes = [
        _change(row, home, float(expected[int(row[0])]), sigma_px)
        for row, home in zip(found[:n_found], homes, strict=True)
    ]
    return _without_strain(changes, residue.nearest_px)


def _without_strain(changes: list[Change], nearest_px: float) -> list[Change]:
    """Drop the strain and the remains of stronger changes; the strongest come first."""
    if not changes:
        return []
    places = np.array([change.place_yx for change in changes])
    square = np.square(places[:, None] - places).sum(axis=-1) / nearest_px**2
    is_kept = np.ones(len(changes), bool)
    # Row by row, each with those before it.
    for later, earlier in np.argwhere(np.tril(square < _AROUND**2, -1)):
        if is_kept[later] and is_kept[earlier]:
            apart = float(np.sqrt(square[later, earlier]))
            is_kept[later] = not _is_strain(changes[later], changes[earlier], apart)
    return [change for change, stays in zip(changes, is_kept, strict=True) if stays]


def log_shares(residue: Residue, parameters: ReferenceCellParameters) -> NDArray[np.float64]:
    """Log share (N, 2) of the false alarms that each site's intensity and place may use.

    Where a missing or a displaced column would hardly be seen, looking for it costs false alarms
    and finds nothing: p-values are weighted by the chance that a defect is found (Genovese,
    Roeder and Wasserman, Biometrika 93, 509, 2006). The weights depend on the mean cell and the
    noise, never on what a site shows.
    """
    sigma_px, least = residue.columns.sigma_px, _LEAST_POWER
    wanted = np.empty((len(residue.height), 2))
    for column, height in enumerate(residue.height):
        norms = np.median(residue.sums[residue.label == column][:_ENOUGH_SITES, 3:5], axis=0)
        if not np.isfinite(norms).all():
            norms = np.zeros(2)
        step = _TYPICAL_STEP * residue.nearest_px / sigma_px
        expected = height * np.array([1.0, step]) * np.sqrt(norms) / residue.scale[:2]
        wanted[column] = np.maximum(special.ndtr(expected - _TYPICAL_CUT), least)
    wanted *= parameters.share_intensity, parameters.share_place
    mean = wanted.sum(axis=1)[residue.label].mean() + parameters.share_extra
    shares: NDArray[np.float64] = np.log(wanted / mean)[residue.label]
    return shares


def _change(
    found: NDArray[np.float64], home: NDArray[np.float64], expected: float, sigma_px: float
) -> Change:
    """Say in words what `pursue` found at a site."""
    place = found[5:7]
    ratio = float(found[4]) / expected
    cov = float(found[7]), float(found[8]), float(found[9])
    # Farther than its own width a column has left a hole behind, whatever its intensity.
    is_far = ratio > _CLEAR_COLUMN and np.linalg.norm(place - home) > sigma_px
    is_moved = is_far or _moved_more(place - home, cov, float(found[3]), ratio)
    return Change(
        site=int(found[0]),
        log_p=float(min(found[1], found[2])),
        kind="displaced" if is_moved else "deficit" if found[3] < 0 else "excess",
        place_yx=(place if is_moved else home).copy(),
        intensity_ratio=max(ratio, 0.0),
        moved_px_yx=place - home,
        cov_px=cov,
    )


def _moved_more(
    moved_px: NDArray[np.float64],
    cov_px: tuple[float, float, float],
    statistic: float,
    ratio: float,
) -> bool:
    """Tell whether a column is displaced more than it is other, each in its own errors."""
    yy, yx, xx = cov_px
    determinant = yy * xx - yx * yx
    # A place that no pixel speaks of has an infinite variance.
    if not 0 < determinant < np.inf or ratio < _LEAST_COLUMN:
        return False
    y, x = moved_px
    square = (xx * y * y - 2 * yx * y * x + yy * x * x) / determinant
    return bool(square > statistic**2)


def _is_strain(change: Change, other: Change, apart: float) -> bool:
    """Tell whether a change is but the strain, or the remains, of a stronger one near it."""
    is_moved = change.kind == "displaced"
    both_moved = is_moved and other.kind == "displaced"
    if apart < _SAME and not both_moved:
        return True
    least = _LINE_SHARE if both_moved else _STRAIN_SHARE if is_moved else _OTHER_SHARE
    if apart >= _BESIDE and not both_moved:
        least = _FAR_STRAIN_SHARE if is_moved else 0.0
    return change.score < least * other.score
