"""From strange sites to defects: each is explained by a column, and what it explains is taken out.

A defect disturbs its neighbours: their windows overlap its own. So the strangest site is fitted
first, its change is subtracted from the residual, and its neighbours are judged anew; what is left
of them is theirs (matching pursuit, Mallat and Zhang, IEEE Trans. Signal Process. 41, 3397, 1993).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.spatial import KDTree

from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.detectors.reference_cell.residue import Residue
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
    """All changes worth a thought, strangest first, strain and overlap taken out.

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
    rows = found[:n_found, 0].astype(np.intp)
    # What one ordinary column says of its place, and what the cells that the lock averages say.
    one = sigma_px**2 / np.maximum(np.square(expected[rows]) * residue.sums[rows, 4], 1e-30)
    changes = [
        _change(row, residue.places_yx[site], float(expected[site]), sigma_px, float(variance))
        for row, site, variance in zip(
            found[:n_found], rows, one / _CELLS_OF_A_PLACE + _LEAST_PLACE_PX**2, strict=True
        )
    ]
    return _without_strain(changes, residue.nearest_px)


def _without_strain(changes: list[Change], nearest_px: float) -> list[Change]:
    """Drop the strain and the remains of stronger changes; the strongest come first."""
    if not changes:
        return []
    places = np.array([change.place_yx for change in changes])
    pairs = KDTree(places).query_pairs(_AROUND * nearest_px, output_type="ndarray")
    # Each with those before it, the strongest first.
    pairs = pairs[np.lexsort(pairs.T)]
    apart = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1) / nearest_px
    score = [change.score for change in changes]
    is_kept = np.ones(len(changes), bool)
    for (earlier, later), distance in zip(pairs, apart, strict=True):
        if is_kept[later] and is_kept[earlier]:
            least = _strain_share(changes[later].kind, changes[earlier].kind, distance)
            is_kept[later] = score[later] >= least * score[earlier]
    return [change for change, stays in zip(changes, is_kept, strict=True) if stays]


def shares_of(residue: Residue, parameters: ReferenceCellParameters) -> Shares:
    """Share the false alarms by what can be seen.

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
    log_site: NDArray[np.float64] = np.log(wanted / mean)[residue.label]
    return Shares(log_site, float(np.log(parameters.share_extra / mean)))


def _change(
    found: NDArray[np.float64],
    home: NDArray[np.float64],
    expected: float,
    sigma_px: float,
    home_px2: float,
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
        # Where nothing has moved the place is that of the lattice.
        cov_px=cov if is_moved else (home_px2, 0.0, home_px2),
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


def _strain_share(kind: str, other: str, apart: float) -> float:
    """Share of another's score below which a change near it is but its strain, or its remains."""
    is_moved = kind == "displaced"
    both_moved = is_moved and other == "displaced"
    if apart < _SAME and not both_moved:
        return np.inf
    least = _LINE_SHARE if both_moved else _STRAIN_SHARE if is_moved else _OTHER_SHARE
    if apart >= _BESIDE and not both_moved:
        least = _FAR_STRAIN_SHARE if is_moved else 0.0
    return least
