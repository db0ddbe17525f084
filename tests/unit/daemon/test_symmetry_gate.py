"""Which tiles a gate is asked about, and what becomes of the lines that touch them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.symmetry_findings import symmetry_findings
from latticewatch.daemon.symmetry_gate import SegmentGate
from latticewatch.detectors.protocols import Finding
from support.symmetry_looks import FakeJudge, FakeVerdicts, flat_map, segment

DIM = np.full((384, 384), 10.0, np.float32)  # clean to the fake, where `bright` is 50
DOWN = [(20.0, 60.0), (360.0, 60.0)]  # three tiles
SHORT = [(20.0, 60.0), (100.0, 60.0)]  # one of them


def line(points: list[tuple[float, float]] = DOWN) -> Finding:
    (found,) = symmetry_findings([segment(points)])
    return found


def gate(judge: FakeJudge) -> SegmentGate:
    return SegmentGate(judge, tile_px=128, threshold=0.5)


def test_only_tiles_that_a_line_touches_are_asked_about() -> None:
    judge = FakeJudge()
    gate(judge).sift(DIM, flat_map(), [line(), line(SHORT)])
    assert judge.asked == [3]


def test_inside_of_a_patch_is_asked_about_too() -> None:
    judge = FakeJudge()
    corners = [(10.0, 10.0), (10.0, 374.0), (374.0, 374.0), (374.0, 10.0)]
    (patch,) = symmetry_findings([segment(corners, "amorphous")])
    gate(judge).sift(DIM, flat_map(), [patch])
    assert judge.asked == [9]


def test_a_tile_whose_map_has_not_changed_is_not_asked_about_again() -> None:
    judge = FakeJudge()
    at, found = gate(judge), flat_map()
    noise = np.random.default_rng(0).normal(0, 0.04, (47, 47)).astype(np.float32)
    for _ in range(5):
        found = replace(found, severity=flat_map().severity + noise)
        noise = np.roll(noise, 3)
        kept, _ = at.sift(DIM, found, [line()])
        assert kept == []
    assert judge.asked == [3]


def test_a_tile_whose_map_has_changed_is_asked_about_again() -> None:
    judge = FakeJudge()
    at, found = gate(judge), flat_map()
    at.sift(DIM, found, [line()])
    severity = found.severity.copy()
    severity[2:12, 2:12] += 2.0
    kept, _ = at.sift(DIM, replace(found, severity=severity), [line()])
    assert judge.asked == [3, 1]
    assert kept == []


def test_a_verdict_is_not_believed_for_ever_nor_in_another_session() -> None:
    judge = FakeJudge()
    at = gate(judge)
    for _ in range(31):
        at.sift(DIM, flat_map(), [line(SHORT)])
    assert judge.asked == [1, 1]
    at.forget()
    at.sift(DIM, flat_map(), [line(SHORT)])
    assert judge.asked == [1, 1, 1]


def test_one_defective_tile_keeps_the_whole_line() -> None:
    frame = DIM.copy()
    frame[128:256, :128] = 90.0
    kept, note = gate(FakeJudge()).sift(frame, flat_map(), [line(), line(SHORT)])
    assert [one.outline_px_yx for one in kept] == [line().outline_px_yx]
    name, z, p_value = kept[0].parts[-1]
    assert (name, note) == ("symmetry_gate", "")
    assert p_value == pytest.approx(0.02)
    assert z == pytest.approx(2.05, abs=0.01)


class KnowsBright(FakeJudge):
    """Knows bright tiles alone."""

    def judge(self, tiles: NDArray[np.float32]) -> FakeVerdicts:
        said = super().judge(tiles)
        return replace(said, known=tiles.mean(axis=(1, 2)) > self.bright)


def test_a_tile_that_is_not_known_has_no_vote_and_keeps_the_line() -> None:
    frame = DIM.copy()
    frame[128:256, :128] = 90.0
    judge = KnowsBright(p_defect=(0.02, 0.03))
    kept, note = gate(judge).sift(frame, flat_map(), [line()])
    assert len(kept) == 1
    assert kept[0].parts[-1][2] == pytest.approx(0.97)
    assert note == "the gate does not know 2 of 3 tiles"


def test_an_answer_that_is_no_number_is_none() -> None:
    kept, note = gate(FakeJudge(p_defect=(np.nan, np.nan))).sift(DIM, flat_map(), [line(SHORT)])
    assert [part[0] for part in kept[0].parts] == ["symmetry"]
    assert "1 of 1" in note


def test_tiles_of_a_frame_that_they_do_not_fill_end_at_its_edge() -> None:
    judge = FakeJudge()
    frame = np.full((300, 200), 10.0, np.float32)
    gate(judge).sift(frame, flat_map(shape=(36, 24)), [line([(260.0, 150.0), (299.0, 190.0)])])
    assert judge.asked == [1]


def test_a_frame_smaller_than_a_tile_is_not_asked_about() -> None:
    judge = FakeJudge()
    small = np.zeros((100, 384), np.float32)
    kept, _ = gate(judge).sift(small, flat_map(), [line(SHORT)])
    assert (len(kept), judge.asked) == (1, [])


def test_where_nothing_is_drawn_nobody_is_asked() -> None:
    judge = FakeJudge()
    assert gate(judge).sift(DIM, flat_map(), []) == ([], "")
    assert judge.asked == []
