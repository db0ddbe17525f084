"""Two detectors give one list: what both saw is one defect."""

import numpy as np
import pytest

from latticewatch.daemon.point_findings import merge_findings
from latticewatch.detectors.protocols import Finding

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
