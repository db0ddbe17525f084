"""Findings of the reference cell in the terms of an event, and merged with those of scheme one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from latticewatch.daemon.sights import Budget
from latticewatch.detectors.calibration import adjusted_q
from latticewatch.detectors.protocols import Finding
from latticewatch.detectors.reference_cell.defects import PointDefect
from latticewatch.detectors.reference_cell.score import CellResult

NAME = "reference_cell"
_SAME_PLACE = 0.35  # of a period: scheme one places a defect within a quarter of the truth
# Within a period windows of scheme one hold the same defect: the weaker is its surroundings.
_SAME_WINDOW = 1.0
VACANCY_BELOW = 0.35  # share of the expected intensity: less is a vacancy, more a deficit
_SMALLEST_P = 1e-300


def cell_findings(
    results: Sequence[CellResult], budget: Budget, *, dopants_are_defects: bool = False
) -> tuple[list[Finding], NDArray[np.float64]]:
    """Past the cut, strongest first, with their q-values (F,).

    Each domain is a family of its own that pays for the sites of all: its rate of false
    discoveries is at most its share of what is allowed, so over the frame they stay within it,
    and a domain with many defects does not vouch for false ones in another.

    Parameters
    ----------
    results
        Of one frame, one for each domain.
    budget
        What the detector may spend.
    dopants_are_defects
        Judge columns of a second species together with all others, and do not mark them.
    """
    n_sites = sum(result.n_sites for result in results)
    found: list[Finding] = []
    family: list[tuple[int, bool]] = []
    for domain, result in enumerate(results):
        for defect in result.defects:
            finding = _finding(defect, result, n_sites, apart=not dopants_are_defects)
            found.append(finding)
            # Dopants are many and certain. Counted among the defects, they would vouch for false
            # ones.
            family.append((domain, "dopant" in finding.flags))
    p_value = np.array([finding.p_value for finding in found])
    q_value = np.empty(len(found))
    for one in set(family):
        members = np.array([of == one for of in family], bool)
        q_value[members] = adjusted_q(p_value[members], n_sites)
    kept = np.flatnonzero(budget.passes(p_value, q_value, n_sites))
    kept = kept[np.argsort(p_value[kept], kind="stable")]
    return [found[k] for k in kept], q_value[kept]


class Placed(Protocol):
    """Whatever has a place and a chance: a finding, or a defect of an event."""

    @property
    def pixel_yx(self) -> tuple[float, float]:
        """Place in pixels."""
        ...

    @property
    def p_value(self) -> float:
        """Chance that a defect-free place looks as strange."""
        ...


class KnownPlaces:
    """Places that a precise detector named, to be told from those of another one.

    Parameters
    ----------
    known
        What it found.
    period_px
        Of the lattice.
    """

    def __init__(self, known: Sequence[Placed], period_px: float) -> None:
        places = np.array([one.pixel_yx for one in known]).reshape(-1, 2)
        self._tree = KDTree(places) if len(places) else None
        self._p_values = [one.p_value for one in known]
        self._period_px = period_px

    def find(self, other: Placed) -> int | None:
        """Index of the known place that the other one means, too; None for another place.

        It does within a third of a period, or within a period where the other's evidence is the
        weaker: windows that hold the same defect. The stronger evidence of both is kept.
        """
        if self._tree is None:
            return None
        apart, same = self._tree.query(other.pixel_yx)
        weaker = other.p_value >= self._p_values[same]
        if apart > (_SAME_WINDOW if weaker else _SAME_PLACE) * self._period_px:
            return None
        self._p_values[same] = min(self._p_values[same], other.p_value)
        return int(same)


def merge_findings(
    precise: tuple[Sequence[Finding], NDArray[np.float64]],
    other: tuple[Sequence[Finding], NDArray[np.float64]],
    period_px: float,
) -> tuple[tuple[Finding, ...], NDArray[np.float64]]:
    """One list of two detectors: what both saw is one defect, where the precise one saw it.

    Parameters
    ----------
    precise, other
        Findings and q-values (F,) of each. A defect that both saw keeps place and kind of the
        first, the smaller p and q, and what both said. Both saw it if they place it within a
        third of a period, or within a period where the other's evidence is the weaker.
    period_px
        Of the lattice.

    Returns
    -------
    tuple of Finding, (F,)
        Strongest first.
    """
    findings, q_values = list(precise[0]), list(precise[1])
    known = KnownPlaces(findings, period_px)
    for finding, q_value in zip(*other, strict=True):
        same = known.find(finding)
        if same is None:
            findings.append(finding)
            q_values.append(q_value)
            continue
        both = findings[same]
        smaller = min(both, finding, key=lambda one: one.p_value)
        findings[same] = replace(
            both, p_value=smaller.p_value, tail=smaller.tail, parts=both.parts + finding.parts
        )
        q_values[same] = min(q_values[same], q_value)
    order = sorted(range(len(findings)), key=lambda k: findings[k].p_value)
    return tuple(findings[k] for k in order), np.array(q_values)[order]


def _finding(defect: PointDefect, result: CellResult, n_sites: int, *, apart: bool) -> Finding:
    p_value = max(float(np.exp(max(defect.log_p, -745.0))), _SMALLEST_P)
    kind = defect.kind
    ratio = defect.intensity_ratio
    if kind == "deficit" and ratio is not None and ratio < VACANCY_BELOW:
        kind = "vacancy"
    address = None
    if defect.address is not None and defect.sublattice is not None:
        address = (*defect.address, defect.sublattice)
    return Finding(
        pixel_yx=defect.place_yx,
        cov_px=defect.cov_px,
        kind=kind,
        intensity_ratio=ratio,
        extent_px=0.5 * result.lock.period_px,
        p_value=p_value,
        parts=((NAME, defect.score, p_value),),
        # A normal law or Gumbel's, fitted to the frame: nothing was counted so far out.
        tail=p_value * n_sites < 1.0,
        address=address,
        displacement_px_yx=defect.moved_px_yx if kind == "displaced" else None,
        flags=("dopant",) if apart and defect.is_dopant else (),
    )
