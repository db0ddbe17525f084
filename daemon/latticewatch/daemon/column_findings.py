"""Species and vacancies of columns in the terms of an event, beside what scheme one finds."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.point_findings import VACANCY_BELOW
from latticewatch.daemon.sights import Budget
from latticewatch.detectors.calibration import adjusted_q, upper_tail_p
from latticewatch.detectors.lattice_sites import cell_coordinates
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.patterson.dopants import Columns
from latticewatch.detectors.protocols import Finding

STATISTIC = "patterson_columns"
_SAME_SUBLATTICE = 0.15  # of the period, from frame to frame
_SAME_COLUMN = 0.3  # of the period: places nearer to a column than this mean it
# Rms error of a column's place, of the period: 0.26 px at 22.6 on the doped honeycomb.
_PLACE_RMS = 0.012
_LEAST_RMS_PX = 0.1
# What the machine says of a place where a column merely has another intensity.
_INTENSITY_KINDS = ("excess", "deficit")


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """How columns become findings.

    Attributes
    ----------
    budget
        What may be spent.
    dopants_are_defects
        Judge columns of a minority species together with all others, and do not mark them.
    lock
        Of the frame; None: sites have no addresses.
    middles : (L, 2)
        Place of each sublattice in the cell, from `Sublattices`.
    period_px
        Of the lattice.
    n_scored
        Sites that the machine judged.
    """

    budget: Budget
    dopants_are_defects: bool
    lock: LatticeLock | None
    middles: NDArray[np.float64]
    period_px: float
    n_scored: int


def with_columns(
    findings: list[Finding], columns: Columns, seen: NDArray[np.bool_], rule: ColumnRule
) -> tuple[tuple[Finding, ...], NDArray[np.float64]]:
    """List what scheme one finds and what the species of columns say, once for each place.

    A column of a minority species is an excess, or a deficit where that species is the darker one,
    and no defect of the structure: it bears the flag `dopant`, and is judged among its like. A
    column too dark for any species is a vacancy or a deficit, whatever the machine, which does not
    see it drawn, calls it.

    Parameters
    ----------
    findings
        Of scheme one, past the cut of sites.
    columns
        Of the same frame.
    seen : (N,)
        Columns that may be judged: far from bad pixels, on the lattice.
    rule
        What is asked.

    Returns
    -------
    tuple of Finding, (F,)
        Past the budget, strongest first, with their q-values.
    """
    z, p_value = _against_majority(columns)
    meant = seen & (columns.is_dopant | columns.is_vacancy)
    rows = np.flatnonzero(meant)
    told = _told(columns, rows, (z, p_value), rule)
    findings = _of_picture(findings, rule)
    merged = _merged(findings, dict(zip(rows.tolist(), told, strict=True)), columns, rule.period_px)
    apart = np.array(["dopant" in finding.flags for finding in merged], bool)
    # Dopants are many and certain: counted among the defects, they would vouch for false ones.
    n_columns = int(np.count_nonzero(seen))
    p_merged = np.array([finding.p_value for finding in merged])
    q_value, passed = np.empty(len(merged)), np.zeros(len(merged), bool)
    n_tests = rule.n_scored + n_columns
    for family in (apart, ~apart):
        q_value[family] = adjusted_q(p_merged[family], n_tests)
        passed[family] = rule.budget.passes(p_merged[family], q_value[family], n_tests)
    order = np.argsort(p_merged, kind="stable")
    order = order[passed[order]]
    return tuple(merged[k] for k in order), q_value[order]


def _against_majority(columns: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far each column is from the majority of its sublattice, (N,), and the chance of that."""
    z = np.zeros(len(columns.ratio))
    for label, populations in enumerate(columns.populations):
        own = columns.sublattice == label
        major = populations[0]
        z[own] = (columns.ratio[own] - major.ratio) / max(major.spread, 1e-6)
    # Both ways: a minority may be brighter or darker.
    return z, np.minimum(2.0 * upper_tail_p(np.abs(z)), 1.0)


def _told(
    columns: Columns,
    rows: NDArray[np.intp],
    evidence: tuple[NDArray[np.float64], NDArray[np.float64]],
    rule: ColumnRule,
) -> list[Finding]:
    z, p_value = evidence
    address = _addresses(columns.places_yx[rows], rule)
    variance = max(_PLACE_RMS * rule.period_px, _LEAST_RMS_PX) ** 2
    flags = () if rule.dopants_are_defects else ("dopant",)
    findings = []
    for number, row in enumerate(rows.tolist()):
        ratio = float(columns.ratio[row])
        is_dopant = bool(columns.is_dopant[row])
        kind = "excess" if is_dopant and ratio > 1 else "deficit"
        if not is_dopant and ratio < VACANCY_BELOW:
            kind = "vacancy"
        findings.append(
            Finding(
                pixel_yx=(float(columns.places_yx[row, 0]), float(columns.places_yx[row, 1])),
                cov_px=(variance, 0.0, variance),
                kind=kind,
                intensity_ratio=max(ratio, 0.0),
                extent_px=0.5 * rule.period_px,
                p_value=float(p_value[row]),
                parts=((STATISTIC, abs(float(z[row])), float(p_value[row])),),
                # A normal law, fitted to the frame: nothing was counted so far out.
                tail=bool(p_value[row] * len(z) < 1.0),
                address=address[number],
                flags=flags if is_dopant else (),
            )
        )
    return findings


class Sublattices:
    """Names the sublattices of a crystal, the same in every frame through which it is followed.

    Two of equal standing are found in any order, and one at the border of the cell on either side.
    """

    def __init__(self) -> None:
        self._middles = np.empty((0, 2))

    def look(self, columns: Columns, lock: LatticeLock, *, anew: bool) -> NDArray[np.float64]:
        """Place (L, 2) of each sublattice in the cell; the row is its name.

        Parameters
        ----------
        columns
            Of a frame.
        lock
            Of the same frame.
        anew
            The lattice was not followed to this frame: names begin anew, too.
        """
        found = _middles(columns, cell_coordinates(columns.places_yx, lock))
        if anew:
            self._middles = found
            return found
        for middle in found:
            gap = (middle - self._middles + 0.5) % 1.0 - 0.5
            off_px = np.linalg.norm(gap @ lock.basis_px_yx, axis=1)
            nearest = int(off_px.argmin()) if len(off_px) else -1
            if nearest >= 0 and off_px[nearest] < _SAME_SUBLATTICE * lock.period_px:
                self._middles[nearest] += gap[nearest]
            else:
                self._middles = np.vstack([self._middles, middle])
        return self._middles


def _middles(columns: Columns, turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place in the cell of each sublattice, (L, 2)."""
    angle = 2 * np.pi * turns
    middles = np.zeros((len(columns.populations), 2))
    for label in range(len(middles)):
        own = angle[columns.sublattice == label]
        if len(own):
            # One place for all of a sublattice, also where they lie across the edge of the cell.
            middles[label] = np.arctan2(np.sin(own).mean(axis=0), np.cos(own).mean(axis=0))
    turned: NDArray[np.float64] = (middles / (2 * np.pi)) % 1.0
    return turned


def _addresses(
    places_yx: NDArray[np.float64], rule: ColumnRule
) -> list[tuple[int, int, int] | None]:
    """Address and sublattice of the site at each place (M, 2); None where there is no site."""
    if rule.lock is None or not len(rule.middles):
        return [None] * len(places_yx)
    away = cell_coordinates(places_yx, rule.lock)[:, None] - rule.middles
    cell = np.round(away)
    off_px = np.linalg.norm((away - cell) @ rule.lock.basis_px_yx, axis=2)
    label = off_px.argmin(axis=1)
    found: list[tuple[int, int, int] | None] = []
    for place, one in enumerate(label.tolist()):
        near = off_px[place, one] < _SAME_COLUMN * rule.period_px
        i, j = cell[place, one].tolist()
        found.append((int(i), int(j), one) if near else None)
    return found


def _of_picture(findings: list[Finding], rule: ColumnRule) -> list[Finding]:
    """Say of the machine's findings where they are, and not how bright a drawn column is."""
    places = np.array([finding.pixel_yx for finding in findings]).reshape(-1, 2)
    addresses = _addresses(places, rule)
    return [
        replace(finding, intensity_ratio=None, address=address)
        for finding, address in zip(findings, addresses, strict=True)
    ]


def _merged(
    findings: list[Finding], told: dict[int, Finding], columns: Columns, period_px: float
) -> list[Finding]:
    """Put both lists together, the second by row of its column; what both say is said once."""
    places = np.array([finding.pixel_yx for finding in findings]).reshape(-1, 2)
    left, merged = [], dict(told)
    rows = columns.nearest(places, _SAME_COLUMN * period_px).tolist()
    for finding, row in zip(findings, rows, strict=True):
        column = merged.get(row)
        if column is not None and columns.is_vacancy[row]:
            merged[row] = _stronger(column, finding)
        elif column is None or finding.kind not in _INTENSITY_KINDS:
            # A dopant out of its place is a defect of the structure as well.
            left.append(finding)
    return [*merged.values(), *left]


def _stronger(column: Finding, finding: Finding) -> Finding:
    """Put together a vacancy and what the machine says of it: the smaller p, the parts of both."""
    smaller = min(column, finding, key=lambda one: one.p_value)
    return replace(
        column,
        p_value=smaller.p_value,
        tail=smaller.tail,
        parts=finding.parts + column.parts,
    )
