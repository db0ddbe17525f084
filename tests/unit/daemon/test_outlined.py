"""Which lines and patches of two detectors are the same one, and what is listed of them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.outlined import Drawn, KnownOutlines, merge_outlined, shared_part
from latticewatch.detectors.protocols import Finding

PERIOD_PX = 16.0
Points = NDArray[np.float64]


def line(*, x: float = 100.0, begin: float = 0.0, end: float = 400.0, turn: float = 0.0) -> Points:
    """A line down the frame, turned about its beginning by degrees."""
    way = np.linspace(0.0, end - begin, 40)
    angle = np.radians(turn)
    return np.stack([begin + way * np.cos(angle), x + way * np.sin(angle)], axis=1)


def disc(*, center: tuple[float, float] = (200.0, 200.0), radius: float = 60.0) -> Points:
    angle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    return np.array(center) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def found(
    points: Points, kind: str = "boundary", *, name: str = "first", p_value: float = 1e-9
) -> Finding:
    part = (name, 5.0, p_value)
    return Drawn(kind, points, points.mean(axis=0), None, p_value, (part,)).finding()


def same(one: Points, other: Points, kind: str = "boundary") -> bool:
    return bool(KnownOutlines([found(one, kind)], PERIOD_PX).find(found(other, kind)))


@pytest.mark.parametrize("away_px", [0.0, 10.0, 23.0, -23.0])
def test_lines_within_a_period_and_a_half_are_one(away_px: float) -> None:
    assert same(line(), line(x=100 + away_px))


@pytest.mark.parametrize("away_px", [26.0, -40.0, 300.0])
def test_lines_farther_apart_are_two(away_px: float) -> None:
    assert not same(line(), line(x=100 + away_px))


def test_a_short_piece_of_a_line_is_the_line_whoever_drew_the_whole() -> None:
    piece = line(x=110, begin=150, end=220)
    assert same(line(), piece)
    assert same(piece, line())


def test_lines_that_cross_are_two() -> None:
    assert not same(line(), line(x=20, turn=45))


def test_of_a_line_that_only_begins_along_another_most_decides() -> None:
    assert same(line(), line(begin=300, end=480))  # 100 of 180 px, and the reach beyond the end
    assert not same(line(), line(begin=370, end=800))


def test_points_that_are_far_apart_are_compared_as_the_line_between_them() -> None:
    ends = line()[[0, -1]]
    assert same(ends, line(x=105))
    assert same(line(x=105), ends)


def test_without_a_period_lines_are_never_the_same_and_patches_are() -> None:
    known = KnownOutlines([found(line()), found(disc(), "amorphous")], 0.0)
    assert known.find(found(line())) == []
    assert known.find(found(disc(), "amorphous")) == [1]


@pytest.mark.parametrize(("away_px", "one"), [(0.0, True), (40.0, True), (70.0, False)])
def test_patches_that_share_a_third_of_both_are_one(away_px: float, one: bool) -> None:
    assert same(disc(), disc(center=(200.0, 200.0 + away_px)), "amorphous") is one


def test_a_patch_within_a_much_larger_one_is_another() -> None:
    assert not same(disc(radius=100), disc(radius=40), "amorphous")


def test_shared_part_of_discs_is_that_of_geometry() -> None:
    apart, radius = 60.0, 60.0
    half = np.arccos(apart / (2 * radius))
    both = 2 * radius**2 * half - apart / 2 * np.sqrt(4 * radius**2 - apart**2)
    exact = both / (2 * np.pi * radius**2 - both)
    assert shared_part(disc(), disc(center=(260.0, 200.0))) == pytest.approx(exact, abs=0.03)
    assert shared_part(disc(), disc(center=(400.0, 200.0))) == 0.0


def test_a_boundary_and_a_patch_are_never_the_same() -> None:
    known = KnownOutlines([found(disc(), "amorphous")], PERIOD_PX)
    assert known.find(found(disc(), "boundary")) == []


def test_a_point_is_no_line() -> None:
    point = replace(found(line()), outline_px_yx=None)
    assert KnownOutlines([point], PERIOD_PX).find(found(line())) == []
    assert KnownOutlines([found(line())], PERIOD_PX).find(point) == []


@dataclass(frozen=True)
class FromAnEvent:
    kind: str
    outline_px_yx: tuple[tuple[float, float], ...]


def test_what_an_event_lists_is_known_too() -> None:
    told = FromAnEvent("boundary", tuple((float(y), float(x)) for y, x in line()))
    assert KnownOutlines([told], PERIOD_PX).find(found(line(x=110))) == [0]


def test_a_line_that_both_drew_is_listed_once_with_what_both_say() -> None:
    first = (found(line(), p_value=1e-5),), np.array([1e-5])
    other = (found(line(x=108), name="other", p_value=1e-30),), np.array([1e-30])

    (one,), q_value = merge_outlined(first, other, PERIOD_PX)

    assert one.outline_px_yx == first[0][0].outline_px_yx
    assert [part[0] for part in one.parts] == ["first", "other"]
    assert (one.p_value, q_value.tolist()) == (1e-30, [1e-30])


def test_one_line_that_was_drawn_as_two_is_said_of_both() -> None:
    halves = found(line(end=180)), found(line(begin=220))
    other = (found(line(x=95), name="other"),), np.array([1e-9])

    findings, _ = merge_outlined((halves, np.array([1e-9, 1e-9])), other, PERIOD_PX)

    assert [[part[0] for part in one.parts] for one in findings] == [["first", "other"]] * 2


def test_two_pieces_along_one_line_say_what_the_clearer_says() -> None:
    pieces = (
        found(line(begin=10, end=100), name="other", p_value=1e-4),
        found(line(begin=200, end=390), name="other", p_value=1e-7),
    )
    known = ((found(line()),), np.array([1e-9]))

    (one,), _ = merge_outlined(known, (pieces, np.array([1e-4, 1e-7])), PERIOD_PX)

    assert [(name, p) for name, _, p in one.parts] == [("first", 1e-9), ("other", 1e-7)]


def test_lines_of_one_detector_are_all_listed() -> None:
    known = (found(line()), found(line(x=300))), np.array([1e-9, 1e-8])
    other = (found(line(x=500), name="other"),), np.array([1e-7])

    findings, q_value = merge_outlined(known, other, PERIOD_PX)

    assert len(findings) == 3
    assert q_value.tolist() == [1e-9, 1e-8, 1e-7]
