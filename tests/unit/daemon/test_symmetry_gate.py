"""Which tiles a gate is asked about, and what becomes of the lines that touch them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.symmetry_findings import symmetry_findings
from latticewatch.daemon.symmetry_gate import SegmentGate
from latticewatch.detectors.protocols import Finding
from support.gate_tiles import drawn_fit
from support.symmetry_looks import FakeJudge, FakeVerdicts, flat_map, segment
from support.twins import Twin, twin

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


def along_the_boundary(drawn: Twin) -> Finding:
    """From edge to edge of the frame."""
    near = np.argwhere(np.abs(drawn.distance_px) < 1.0)
    near = near[np.argsort(near[:, np.argmax(np.ptp(near, axis=0))])]
    return line([(float(y), float(x)) for y, x in near[[0, -1]]])


def in_one_crystal(drawn: Twin) -> Finding:
    """In the tile that is farthest from the boundary."""
    rows = drawn.distance_px.reshape(3, 128, 3, 128)
    y, x = np.argwhere(np.abs(rows).min(axis=(1, 3)) == np.abs(rows).min(axis=(1, 3)).max())[0]
    corner = np.array([128.0 * y, 128.0 * x])
    return line([(float(a), float(b)) for a, b in (corner + 30, corner + 90)])


@pytest.mark.slow
def test_a_fitted_gate_keeps_boundaries_and_drops_lines_in_one_crystal() -> None:
    pytest.importorskip("onnx")
    network = drawn_fit().gate
    kept_boundaries = kept_others = 0
    for seed in range(700, 712):
        drawn = twin("hexagonal", seed=seed, share=0.4, counts=40.0, shape_yx=(384, 384))
        at = SegmentGate(network, tile_px=network.tile_px, threshold=network.header.threshold)
        boundary, other = along_the_boundary(drawn), in_one_crystal(drawn)
        outlines = {
            one.outline_px_yx for one in at.sift(drawn.frame, flat_map(), [boundary, other])[0]
        }
        kept_boundaries += boundary.outline_px_yx in outlines
        kept_others += other.outline_px_yx in outlines
    # Of twelve, with twelve labels of each class: measured 10 and 0.
    assert kept_boundaries >= 8
    assert kept_others <= 1
