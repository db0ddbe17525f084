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
from latticewatch.kernels.columns import fit_column, move_column

# Below this chance a place is looked at at all. At a false discovery rate of 5 % a defect may be
# as likely as that by chance where one site in four is strange, as in a doped crystal.
WORTH_LOG_P = float(np.log(0.0139))
_MOST_CHANGES = 2000  # a frame where more is wrong is no crystal; the strongest say so
_PLACE_FACTOR = float(np.log(100.0))  # that much better is "displaced" than "other intensity"
_OVERLAP = 6.0  # widths: windows of columns farther apart do not meet
# In distances between nearest columns.
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


def log_chances(
    statistics: NDArray[np.float64], parameters: ReferenceCellParameters
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log p of other intensity and of displacement (M,), each over its share of false alarms."""
    intensity = np.log(2.0) + special.log_ndtr(-np.abs(statistics[:, 0]))
    # Chi-square of two degrees of freedom.
    place = -0.5 * np.square(statistics[:, 1:]).sum(axis=1)
    return (
        np.minimum(intensity - np.log(parameters.share_intensity), 0.0),
        np.minimum(place - np.log(parameters.share_place), 0.0),
    )


class Explainer:
    """Takes one residue apart; changes its arrays."""

    def __init__(self, residue: Residue, parameters: ReferenceCellParameters) -> None:
        self._residue = residue
        self._parameters = parameters
        self._tree = KDTree(residue.places_yx)
        apart, _ = self._tree.query(residue.places_yx[:4000], 2)
        # A cell with a single site in the frame has no neighbour.
        nearest = float(np.median(apart[:, 1])) if len(residue.places_yx) > 1 else np.inf
        self.nearest_px = nearest
        self._fit = np.empty(6)

    def explain(self) -> list[Change]:
        """All changes worth a thought, strangest first, strain and overlap taken out."""
        residue = self._residue
        statistics = residue.statistics(np.arange(len(residue.label)))
        intensity, place = log_chances(statistics, self._parameters)
        log_p = np.minimum(intensity, place)
        waiting = log_p < WORTH_LOG_P
        kept: list[Change] = []
        for _ in range(_MOST_CHANGES):
            candidates = np.flatnonzero(waiting)
            if not len(candidates):
                break
            site = int(candidates[np.argmin(log_p[candidates])])
            waiting[site] = False
            is_moved = bool(place[site] < intensity[site] - _PLACE_FACTOR)
            change = self._change(site, float(log_p[site]), is_moved, statistics[site, 0] < 0)
            if not self._is_strain(change, kept):
                kept.append(change)
            near = np.array(
                self._tree.query_ball_point(
                    residue.places_yx[site], _OVERLAP * residue.columns.sigma_px
                ),
                np.intp,
            )
            near = near[waiting[near]]
            if len(near):
                statistics[near] = residue.statistics(near)
                intensity[near], place[near] = log_chances(statistics[near], self._parameters)
                log_p[near] = np.minimum(intensity[near], place[near])
                waiting[near] = log_p[near] < WORTH_LOG_P
        return kept

    def _change(self, site: int, log_p: float, is_moved: bool, is_less: bool) -> Change:
        """Fit the column at a site, and take what it explains out of the residual."""
        residue = self._residue
        sigma_px = residue.columns.sigma_px
        y, x = (float(value) for value in residue.places_yx[site])
        expected = float(residue.columns.height[residue.label[site]] * residue.gain[site])
        before = (expected, y, x)
        fit = self._fit
        farthest_px = _FARTHEST * min(self.nearest_px, 1e6)
        fit_column(residue.residual, residue.precision, before, sigma_px, farthest_px, fit)
        after = (float(fit[0]), float(fit[1]), float(fit[2]))
        move_column(before, after, sigma_px, residue.precision, residue.residual, residue.weighted)
        found = fit[1:3].copy()
        home = residue.places_yx[site]
        return Change(
            site=site,
            log_p=log_p,
            kind="displaced" if is_moved else "deficit" if is_less else "excess",
            place_yx=found if is_moved else home.copy(),
            intensity_ratio=max(after[0] / expected, 0.0),
            moved_px_yx=found - home,
            cov_px=(float(fit[3]), float(fit[4]), float(fit[5])),
        )

    def _is_strain(self, change: Change, kept: list[Change]) -> bool:
        """Tell whether a change is but the strain, or the remains, of a stronger one."""
        if not kept:
            return False
        places = np.array([other.place_yx for other in kept])
        apart = np.hypot(*(places - change.place_yx).T) / self.nearest_px
        is_moved = change.kind == "displaced"
        for near in np.flatnonzero(apart < _AROUND):
            other = kept[near]
            both_moved = is_moved and other.kind == "displaced"
            if apart[near] < _SAME and not both_moved:
                return True
            least = _LINE_SHARE if both_moved else _STRAIN_SHARE if is_moved else _OTHER_SHARE
            if apart[near] >= _BESIDE:
                least = _FAR_STRAIN_SHARE if is_moved and not both_moved else 0.0
            if change.score < least * other.score:
                return True
        return False
