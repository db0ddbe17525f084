"""From strange sites to defects: where in its cell a residual is, and what it says of the column.

A column on the border of a cell is seen by the sites on both sides; sites whose residuals lie at
one place are one defect. So are findings that end up at one place: of a displaced column one cell
may see the hole, and the next one hole and bump.
"""

import math
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.protocols import Finding, Scores
from latticewatch.detectors.vae.lobes import Lobes
from latticewatch.detectors.view import View
from latticewatch.kernels.neighbours import group_points, make_buckets

# A frame where more sites than this stand out is not searched further: the best ones say enough.
_MOST_SITES = 600
# Fractions of the lattice period.
_SAME_COLUMN = 0.35  # below the 0.577 between neighbouring columns of a honeycomb
# Of the longer lattice vector: a weak residual this near a strong one is its flank; and where the
# largest residual of a cell is ordinary, and its local energy is not, that is what the blur brought
# in from beyond its border.
_SHADOW = 1.6
_SHADOW_SHARE = 0.4
_ORDINARY_Z = 2.0
# Shares of the expected column intensity, chosen as scheme one has them: less than this is a
# vacancy; where less than this share of the strongest column is expected, there is no column.
_VACANCY_BELOW = 0.35
_NO_COLUMN_BELOW = 0.15
# Weaker lobe over stronger one of a displaced column, and over the noise.
_LOBE_SHARE = 0.4
_LOBE_SIGMAS = 4.0
_NOTHING = np.zeros((2, 2))


class SiteDetector(Protocol):
    """What has scored the sites of a frame, and can say what disturbs them."""

    def lobes_of(self, sites: NDArray[np.intp]) -> Lobes:
        """Strongest residual in the cells of some sites (M,) of the last frame."""
        ...


def locate(
    view: View, detector: SiteDetector, sites: NDArray[np.intp], scores: Scores
) -> list[Finding]:
    """Merge strange sites into findings, strongest evidence first.

    Parameters
    ----------
    view
        The frame that the detector scored last.
    detector
        Whose residuals say where the crystal is disturbed.
    sites : (M,)
        Rows of the view's sites past the threshold; all of them scored.
    scores
        Of the view.
    """
    if not len(sites):
        return []
    sites = sites[np.lexsort((sites, scores.p_value[sites]))][:_MOST_SITES]
    lobes, period_px = detector.lobes_of(sites), view.period_px
    groups = np.empty(len(sites), np.int32)
    shape = (view.image.shape[0], view.image.shape[1])
    buckets = make_buckets(shape, _SAME_COLUMN * period_px, len(sites))
    n_groups = group_points(lobes.place_yx, _SAME_COLUMN * period_px, buckets, groups)
    members = [np.flatnonzero(groups == group) for group in range(n_groups)]
    best = np.array([one[np.argmax(np.abs(lobes.height[one]))] for one in members])
    longest_px = float(np.linalg.norm(view.basis_px_yx, axis=1).max())
    ordinary = np.array([(_largest_z(scores, sites[one]) < _ORDINARY_Z).all() for one in members])
    near = _is_near(lobes.place_yx[best], _SHADOW * longest_px)
    # A cell sees what lies beside it, and its own lobe is then anywhere in it.
    near |= _is_near(view.places_yx[sites[best]], _SHADOW * longest_px)
    own = _is_own_defect(np.abs(lobes.height[best]), near, ordinary)
    findings = [
        _finding(lobes, int(best[group]), members[group], (sites, scores, period_px))
        for group in np.flatnonzero(own)
    ]
    return _merged(findings, _SAME_COLUMN * period_px)


def _merged(findings: list[Finding], reach_px: float) -> list[Finding]:
    """Make one of findings at one place: best evidence of all, place and kind of a displaced one.

    Hole and bump of a column that has moved are taken for two columns by cells that see one each.
    """
    places = np.array([finding.pixel_yx for finding in findings]).reshape(-1, 2)
    kept: list[int] = []
    merged: dict[int, Finding] = {}
    # Displaced ones first, so that what is kept stays where it is; each kind by its evidence.
    order = sorted(
        range(len(findings)), key=lambda k: (findings[k].kind != "displaced", findings[k].p_value)
    )
    for one in order:
        away = np.hypot(*(places[kept] - places[one]).T)
        if not kept or away.min() >= reach_px:
            kept.append(one)
            merged[one] = findings[one]
            continue
        other, more = kept[int(away.argmin())], findings[one]
        if more.p_value < merged[other].p_value:
            merged[other] = replace(
                merged[other], p_value=more.p_value, parts=more.parts, tail=more.tail
            )
    return sorted(merged.values(), key=lambda finding: finding.p_value)


def _largest_z(scores: Scores, sites: NDArray[np.intp]) -> NDArray[np.float64]:
    """Largest residual of each site (M,), over the scorers, as a robust z; -38 of none."""
    each = [z[sites] for name, z, _ in scores.parts if name.endswith("_residual")]
    if not each:
        return np.full(len(sites), np.inf)
    largest: NDArray[np.float64] = np.nan_to_num(np.stack(each), nan=-38.0).max(axis=0)
    return largest


def _is_near(places: NDArray[np.float64], reach_px: float) -> NDArray[np.bool_]:
    """Tell which pairs (G, G) of different places are nearer than this."""
    near: NDArray[np.bool_] = np.square(places[:, None] - places).sum(axis=2) < reach_px**2
    np.fill_diagonal(near, val=False)
    return near


def _is_own_defect(
    height: NDArray[np.float64], near: NDArray[np.bool_], ordinary: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell defects of their own from flanks of a stronger one nearby."""
    strongest = (near * height).max(axis=1)
    own: NDArray[np.bool_] = height >= _SHADOW_SHARE * strongest
    own &= ~(ordinary & (height < strongest))
    return own


def _finding(
    lobes: Lobes,
    best: int,
    members: NDArray[np.intp],
    known: tuple[NDArray[np.intp], Scores, float],
) -> Finding:
    sites, scores, period_px = known
    height, opposite = abs(lobes.height[best]), abs(lobes.opposite[best])
    displaced = opposite > max(_LOBE_SHARE * height, _LOBE_SIGMAS * lobes.noise[best])
    weight = np.abs(lobes.height[members])
    place = (weight[:, None] * lobes.place_yx[members]).sum(axis=0) / weight.sum()
    if displaced:
        # Hole and bump lie about a column's width beyond both ends of the shift.
        place = (lobes.place_yx[best] + lobes.opposite_yx[best]) / 2
    kind, ratio = ("displaced", None) if displaced else _kind(lobes, best)
    # Top of a Gaussian of this width under noise: width x noise / amplitude.
    width_px = lobes.width_px
    floor = max(float((width_px * lobes.noise[best] / max(height, 1e-30)) ** 2), 0.01)
    var = min(floor, width_px**2) if width_px**2 > 0.01 else floor
    n, cov = len(members), _NOTHING
    if n > 1 and not displaced:
        spread = lobes.place_yx[members] - place
        cov = spread.T @ spread / (n * (n - 1))
    site = int(sites[members[0]])  # in order of their evidence
    return Finding(
        pixel_yx=(float(place[0]), float(place[1])),
        cov_px=(float(cov[0, 0]) + var, float(cov[0, 1]), float(cov[1, 1]) + var),
        kind=kind,
        intensity_ratio=ratio,
        extent_px=0.5 * period_px,
        p_value=float(scores.p_value[site]),
        # Where the twin did not score a site, its part is nothing that an event could say.
        parts=tuple(
            (name, float(z[site]), float(p[site]))
            for name, z, p in scores.parts
            if math.isfinite(z[site])
        ),
        tail=bool(scores.tail[site]),
    )


def _kind(lobes: Lobes, best: int) -> tuple[str, float | None]:
    """Word for what is wrong, and observed over expected intensity where a column is expected."""
    amplitude = float(lobes.height[best])
    expected = float(lobes.expected[best])
    if expected < _NO_COLUMN_BELOW * lobes.contrast:
        return ("extra" if amplitude > 0 else "unknown"), None
    ratio = max((expected + amplitude) / expected, 0.0)
    if ratio < _VACANCY_BELOW:
        return "vacancy", ratio
    return ("deficit" if ratio < 1 else "excess"), ratio
