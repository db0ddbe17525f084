"""Two detectors give one list: what both saw is one defect."""

from dataclasses import replace

import numpy as np
import pytest

from latticewatch.daemon.point_findings import cell_findings, merge_findings
from latticewatch.daemon.report import _at_most
from latticewatch.daemon.sights import Budget
from latticewatch.daemon.verdicts import Verdict
from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.protocols import Finding
from latticewatch.detectors.reference_cell.defects import PointDefect
from latticewatch.detectors.reference_cell.residue import Strangers
from latticewatch.detectors.reference_cell.score import CellResult
from support.crystals import net_frame

PERIOD_PX = 20.0


def finding(y: float, x: float, p_value: float, name: str) -> Finding:
    return Finding(
        pixel_yx=(y, x),
        cov_px=(0.1, 0.0, 0.1),
        kind="vacancy" if name == "cell" else "unknown",
        intensity_ratio=None,
        extent_px=10.0,
        p_value=p_value,
        parts=((name, 5.0, p_value),),
        tail=name == "cell",
    )


def test_what_both_saw_is_listed_once_where_the_precise_one_saw_it() -> None:
    precise = [finding(50.0, 60.0, 1e-6, "cell")], np.array([1e-4])
    other = [finding(53.0, 60.0, 1e-9, "svm")], np.array([1e-5])

    merged, q_value = merge_findings(precise, other, PERIOD_PX)

    assert [one.pixel_yx for one in merged] == [(50.0, 60.0)]
    assert merged[0].kind == "vacancy"
    assert [part[0] for part in merged[0].parts] == ["cell", "svm"]
    assert (merged[0].p_value, merged[0].tail, q_value.tolist()) == (1e-9, False, [1e-5])


def test_what_one_saw_stays_and_the_strongest_comes_first() -> None:
    precise = [finding(50.0, 60.0, 1e-6, "cell")], np.array([1e-4])
    other = [finding(90.0, 60.0, 1e-9, "svm")], np.array([1e-5])

    merged, q_value = merge_findings(precise, other, PERIOD_PX)

    assert [one.p_value for one in merged] == [1e-9, 1e-6]
    assert q_value.tolist() == [1e-5, 1e-4]


@pytest.mark.parametrize("empty", ["precise", "other", "both"])
def test_a_detector_that_saw_nothing_takes_nothing_away(empty: str) -> None:
    nothing: tuple[list[Finding], np.ndarray] = ([], np.empty(0))
    some = [finding(50.0, 60.0, 1e-6, "cell")], np.array([1e-4])
    precise = nothing if empty in ("precise", "both") else some
    other = nothing if empty in ("other", "both") else some

    merged, q_value = merge_findings(precise, other, PERIOD_PX)

    assert len(merged) == len(q_value) == (0 if empty == "both" else 1)


NOBODY = Strangers(np.empty((0, 2)), 5.0)


def result_of(p_values: dict[float, bool]) -> CellResult:
    """Defects of these chances in a crystal of 1000 columns; true: a dopant."""
    frame = net_frame([[20.0, 0.0], [0.0, 20.0]])
    lattice = find_lattice(frame)
    assert lattice is not None
    lock = lock_lattice(frame, lattice)
    assert lock is not None
    defects = tuple(
        PointDefect(
            place_yx=(float(k), 5.0),
            kind="excess" if is_dopant else "deficit",
            log_p=float(np.log(p_value)),
            intensity_ratio=1.5 if is_dopant else 0.5,
            moved_px_yx=None,
            cov_px=(0.1, 0.0, 0.1),
            sublattice=0,
            address=(k, 0),
            is_dopant=is_dopant,
        )
        for k, (p_value, is_dopant) in enumerate(p_values.items())
    )
    return CellResult(lock, np.zeros((1000, 2)), 0, NOBODY, defects)


def test_dopants_do_not_vouch_for_defects() -> None:
    # At 5 % the third best of three may have 1.5e-4, the best of one 5e-5.
    result = result_of({1e-12: True, 1e-11: True, 1.2e-4: False})

    apart, _ = cell_findings([result], Budget(0.05, None))
    together, _ = cell_findings([result], Budget(0.05, None), dopants_are_defects=True)

    assert [one.flags for one in apart] == [("dopant",), ("dopant",)]
    assert [one.kind for one in together] == ["excess", "excess", "deficit"]
    assert [one.flags for one in together] == [(), (), ()]


def test_false_alarms_per_frame_are_those_of_the_columns_looked_at() -> None:
    result = result_of({1e-5: False, 4e-4: False, 6e-4: False})

    found, q_value = cell_findings([result], Budget(None, 0.5))

    assert [one.p_value for one in found] == pytest.approx([1e-5, 4e-4])
    assert len(q_value) == 2


def test_where_there_is_no_room_dopants_give_way() -> None:
    found = tuple(
        replace(finding(10.0 * k, 5.0, 10.0**-k, "cell"), flags=("dopant",) if k > 3 else ())
        for k in range(8, 0, -1)
    )
    verdict = Verdict((), findings=found, q_value=np.arange(8.0))

    kept = _at_most(verdict, 4)

    assert [one.p_value for one in kept.findings] == pytest.approx([1e-8, 1e-3, 1e-2, 1e-1])
    assert kept.q_value.tolist() == [0.0, 5.0, 6.0, 7.0]
    assert _at_most(verdict, 8) is verdict


def test_a_domain_with_many_defects_does_not_vouch_for_another() -> None:
    # Of 2000 columns the fourth best may have 1e-4, the best one 2.5e-5.
    rich = result_of({1e-12: False, 1e-11: False, 1e-10: False})
    poor = result_of({6e-5: False})

    found, q_value = cell_findings([rich, poor], Budget(0.05, None))

    assert len(found) == 3
    assert q_value.max() < 1e-6


def test_each_domain_pays_for_the_columns_of_all() -> None:
    one, other = result_of({4e-5: False}), result_of({})

    assert len(cell_findings([one], Budget(0.05, None))[0]) == 1
    assert not cell_findings([one, other], Budget(0.05, None))[0]


def test_findings_of_all_domains_are_listed_strongest_first() -> None:
    one, other = result_of({1e-8: False, 1e-12: False}), result_of({1e-10: False})

    found, _ = cell_findings([one, other], Budget(0.05, None))

    assert [finding.p_value for finding in found] == pytest.approx([1e-12, 1e-10, 1e-8])
