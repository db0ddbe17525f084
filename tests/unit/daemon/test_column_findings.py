"""Columns of another species are dopants, too dark ones vacancies, and each is said once."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.column_findings import (
    STATISTIC,
    ColumnRule,
    Sublattices,
    with_columns,
)
from latticewatch.daemon.look_patterson import PattersonLooker
from latticewatch.daemon.models import PattersonInForce
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.sights import Budget, Scene, Sight
from latticewatch.detectors.follow import FrameLattice
from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.patterson.dopants import ColumnFinder, Columns
from latticewatch.detectors.patterson.fit import fit
from latticewatch.detectors.patterson.mixture import Population
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.protocols import Finding
from support.honeycomb import PERIOD_PX, Honeycomb, honeycomb, perfect_honeycomb

RULE = ColumnRule(
    Budget(0.05, None),
    dopants_are_defects=False,
    lock=None,
    middles=np.empty((0, 2)),
    period_px=10.0,
    n_scored=90,
)
BRIGHT, DARK, GONE, USUAL = 0, 1, 2, 3
PLACES = np.array([[float(10 * k), 5.0] for k in range(40)])


def some_columns() -> Columns:
    """A bright dopant, a dark one on the other sublattice, a vacancy, and usual columns."""
    ratio, species = np.ones(40), np.zeros(40, np.int64)
    sublattice = np.arange(40) % 2
    ratio[[BRIGHT, DARK, GONE]], species[[BRIGHT, DARK, GONE]] = (1.5, 0.9, 0.2), (1, 1, -1)
    major = Population(1.0, 0.01, 0.9)
    populations = (
        (major, Population(1.5, 0.01, 0.1)),
        (major, Population(0.9, 0.01, 0.1)),
    )
    return Columns(PLACES, ratio, sublattice, species, np.ones(40), populations)


def finding(row: int, kind: str, p_value: float = 1e-9, off_px: float = 0.0) -> Finding:
    y, x = PLACES[row]
    return Finding(
        pixel_yx=(float(y), float(x) + off_px),
        cov_px=(0.1, 0.0, 0.1),
        kind=kind,
        intensity_ratio=None,
        extent_px=5.0,
        p_value=p_value,
        parts=(("patterson", 9.0, p_value),),
        tail=True,
    )


def found(*findings: Finding, rule: ColumnRule = RULE) -> dict[float, Finding]:
    listed, q_value = with_columns(list(findings), some_columns(), np.ones(40, bool), rule)
    assert len(listed) == len(q_value)
    assert (np.diff([one.p_value for one in listed]) >= 0).all()
    return {one.pixel_yx[0]: one for one in listed}


def test_minority_is_an_excess_or_a_deficit_with_its_ratio_and_marked() -> None:
    listed = found()
    bright, dark = listed[10.0 * BRIGHT], listed[10.0 * DARK]
    assert (bright.kind, bright.intensity_ratio, bright.flags) == ("excess", 1.5, ("dopant",))
    assert (dark.kind, dark.intensity_ratio, dark.flags) == ("deficit", 0.9, ("dopant",))
    assert bright.parts[0][0] == STATISTIC
    assert set(listed) == {10.0 * row for row in (BRIGHT, DARK, GONE)}


def test_dopants_are_defects_where_that_is_asked_for() -> None:
    listed = found(rule=replace(RULE, dopants_are_defects=True))
    assert [one.flags for one in listed.values()] == [(), (), ()]


def test_vacancy_is_said_once_with_what_both_said() -> None:
    listed = found(finding(GONE, "displaced", 1e-30, off_px=1.0))
    assert len(listed) == 3
    vacancy = listed[10.0 * GONE]
    assert (vacancy.kind, vacancy.intensity_ratio, vacancy.flags) == ("vacancy", 0.2, ())
    assert [name for name, _, _ in vacancy.parts] == ["patterson", STATISTIC]


@pytest.mark.parametrize(("kind", "n_listed"), [("excess", 3), ("deficit", 3), ("displaced", 4)])
def test_dopant_is_no_defect_of_the_structure_unless_it_is_out_of_place(
    kind: str, n_listed: int
) -> None:
    listed, _ = with_columns(
        [finding(BRIGHT, kind, off_px=0.5)], some_columns(), np.ones(40, bool), RULE
    )
    assert len(listed) == n_listed
    assert sum(one.flags == ("dopant",) for one in listed) == 2


def test_finding_at_a_usual_column_stays() -> None:
    assert found(finding(USUAL, "excess"))[10.0 * USUAL].kind == "excess"


def test_dopants_do_not_vouch_for_doubtful_defects() -> None:
    doubtful = finding(USUAL, "displaced", p_value=0.003)
    assert 10.0 * USUAL not in found(doubtful)


def test_columns_that_may_not_be_judged_are_left_out() -> None:
    listed, q_value = with_columns([], some_columns(), np.arange(40) > BRIGHT, RULE)
    assert len(listed) == len(q_value) == 2
    empty, none = with_columns([], some_columns(), np.zeros(40, bool), RULE)
    assert (len(empty), len(none)) == (0, 0)


@pytest.fixture(scope="module")
def force() -> PattersonInForce:
    reference = perfect_honeycomb(100, dopants=0.09, side_px=512)
    model, _ = fit([reference], PattersonParameters(image="columns"))
    return PattersonInForce(PattersonDetector(model), "test", "0" * 64)


def drawn_with_weak_columns() -> tuple[Honeycomb, NDArray[np.intp]]:
    """A doped crystal in which some usual columns have lost half of their intensity."""
    drawn = honeycomb(7, dopants=0.09, side_px=512, n_absent=0, n_displaced=0)
    inner = ((drawn.ideal_yx > 60) & (drawn.ideal_yx < 450)).all(axis=1) & ~drawn.dopant
    weak = np.flatnonzero(inner)[::90]
    y, x = np.indices(drawn.counts.shape)
    counts = drawn.counts.copy()
    for at_y, at_x in drawn.drawn_yx[weak]:
        counts -= 12.5 * np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (2 * 3.6**2))
    return replace(drawn, counts=counts), weak


def look(force: PattersonInForce, image: NDArray[np.float32], **settings: bool) -> Sight:
    lattice = find_lattice(image)
    assert lattice is not None
    lock = lock_lattice(image, lattice)
    assert lock is not None
    scene = Scene(image, np.empty((0, 2), np.intp), FrameLattice(lattice, lock, False, None, None))
    return PattersonLooker(force, SystemClock(), **settings).look(scene, Budget(0.05, None))


def rows_of(sight: Sight, drawn: Honeycomb, wanted: str) -> set[int]:
    """Columns at which findings of a kind, or with a flag, are listed."""
    rows = set()
    for one in sight.findings:
        gap = np.linalg.norm(drawn.ideal_yx - one.pixel_yx, axis=1)
        if wanted in (one.kind, *one.flags) and gap.min() < 0.3 * PERIOD_PX:
            rows.add(int(gap.argmin()))
    return rows


def test_doped_crystal_lists_its_dopants_apart_and_its_weak_columns_as_deficits(
    force: PattersonInForce,
) -> None:
    drawn, weak = drawn_with_weak_columns()
    sight = look(force, drawn.counts)
    assert sight.note == ""
    inner = ((drawn.ideal_yx > 20) & (drawn.ideal_yx < 492)).all(axis=1)

    dopants = rows_of(sight, drawn, "dopant")
    assert dopants <= set(np.flatnonzero(drawn.dopant).tolist())
    assert len(dopants) >= 0.95 * (drawn.dopant & inner).sum()
    # About half of a column is there; whether that is a deficit or a vacancy its ratio says.
    dark = rows_of(sight, drawn, "deficit") | rows_of(sight, drawn, "vacancy")
    assert dark == set(weak.tolist())
    structural = [one for one in sight.findings if not one.flags]
    assert len(structural) <= len(weak) + 1
    deficits = [one for one in sight.findings if one.kind in ("deficit", "vacancy")]
    assert all(one.address is not None for one in deficits)
    assert len({one.address for one in sight.findings if one.address}) >= len(deficits)


def test_two_sublattices_of_a_crystal_have_addresses_of_their_own(force: PattersonInForce) -> None:
    drawn = honeycomb(8, dopants=0.2, side_px=512, n_absent=0, n_displaced=0)
    sight = look(force, drawn.counts)
    addresses = [one.address for one in sight.findings if one.flags]
    assert None not in addresses
    assert len(set(addresses)) == len(addresses)
    assert {address[2] for address in addresses if address} == {0, 1}


def test_sublattices_keep_their_names_while_the_crystal_is_followed(
    force: PattersonInForce,
) -> None:
    drawn = honeycomb(10, dopants=0.2, side_px=512, n_absent=0, n_displaced=0)
    lattice = find_lattice(drawn.counts)
    assert lattice is not None
    lock = lock_lattice(drawn.counts, lattice)
    assert lock is not None
    columns = ColumnFinder(force.detector.model.rule).look(drawn.counts, lock)
    swapped = replace(columns, sublattice=1 - columns.sublattice)
    names = Sublattices()
    first = names.look(columns, lock, anew=True).copy()
    assert len(first) == 2
    np.testing.assert_allclose(names.look(swapped, lock, anew=False), first, atol=1e-9)
    # Found anew, they are what they are.
    np.testing.assert_allclose(names.look(swapped, lock, anew=True), first[::-1], atol=1e-9)


def test_dopants_of_a_frame_are_unmarked_where_they_are_defects(force: PattersonInForce) -> None:
    drawn = honeycomb(9, dopants=0.09, side_px=512, n_absent=0, n_displaced=0)
    sight = look(force, drawn.counts, dopants_are_defects=True)
    assert len(rows_of(sight, drawn, "excess")) > 50
    assert not any(one.flags for one in sight.findings)
