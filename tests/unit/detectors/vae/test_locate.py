"""One defect is one finding, whatever cells have seen of it, and no finding holds a NaN."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.protocols import Finding, Scores
from latticewatch.detectors.vae.lobes import Lobes, expected_at
from latticewatch.detectors.vae.locate import locate
from latticewatch.detectors.view import View
from support.crystals import image_of, specimen
from support.vae_looks import BUDGET, linear_model, scene_of, site_looker
from support.vae_models import PERIOD_PX, reference, square_frame, view_of

NAN = float("nan")


class SaysLobes:
    """A detector that has seen what it is told: height, place, opposite, its place; of each row."""

    def __init__(self, *rows: tuple[float, float, float, float, float, float]) -> None:
        self.found = np.array(rows)

    def lobes_of(self, sites: NDArray[np.intp]) -> Lobes:
        found = self.found[sites]
        return Lobes(
            height=found[:, 0],
            place_yx=found[:, 1:3],
            opposite=found[:, 3],
            opposite_yx=found[:, 4:6],
            noise=np.full(len(sites), 0.5),
            expected=np.full(len(sites), 20.0),
            contrast=20.0,
            width_px=2.0,
        )


@pytest.fixture(scope="module")
def view() -> View:
    return view_of(reference(), square_frame(7))


def found_by(view: View, detector: SaysLobes, *p_value: float, z: float = 1.0) -> list[Finding]:
    """What `locate` makes of rows with these p-values."""
    p, every = np.array(p_value), np.arange(len(p_value))
    shares = (("one", np.ones(len(p)), p), ("two", np.full(len(p), z), p))
    scores = Scores(np.ones(len(p), np.bool_), p, p < 1e-4, shares, False)
    return locate(view, detector, every, scores)


def test_hole_and_bump_of_one_column_are_one_displaced_column(view: View) -> None:
    detector = SaysLobes(
        (-18.0, 150.0, 150.0, 1.0, 150.0, 160.0),  # sees the hole
        (12.0, 150.0, 160.0, -11.0, 150.0, 152.0),  # sees both
    )
    (finding,) = found_by(view, detector, 1e-9, 1e-5)
    assert finding.kind == "displaced"
    assert finding.intensity_ratio is None
    assert finding.pixel_yx == (150.0, 156.0)
    assert finding.p_value == 1e-9
    assert [p for _, _, p in finding.parts] == [1e-9, 1e-9]
    assert finding.tail


def test_order_of_the_evidence_does_not_change_the_word(view: View) -> None:
    rows = (
        (-18.0, 150.0, 150.0, 1.0, 150.0, 160.0),
        (12.0, 150.0, 160.0, -11.0, 150.0, 152.0),
    )
    (finding,) = found_by(view, SaysLobes(*rows[::-1]), 1e-9, 1e-5)
    assert (finding.kind, finding.p_value) == ("displaced", 1e-9)


def test_columns_half_a_period_apart_are_two(view: View) -> None:
    detector = SaysLobes(
        (-18.0, 150.0, 150.0, 1.0, 150.0, 160.0),
        (15.0, 150.0, 150.0 + 0.6 * PERIOD_PX, 1.0, 150.0, 160.0),
    )
    findings = found_by(view, detector, 1e-5, 1e-9)
    assert [one.kind for one in findings] == ["excess", "vacancy"]
    assert [one.p_value for one in findings] == [1e-9, 1e-5]


def test_part_without_a_number_is_left_out_of_the_finding(view: View) -> None:
    detector = SaysLobes((-18.0, 150.0, 150.0, 1.0, 150.0, 160.0))
    (finding,) = found_by(view, detector, 1e-9, z=NAN)
    assert [name for name, _, _ in finding.parts] == ["one"]


@pytest.mark.parametrize("seed", [10, 14, 17, 18])
def test_displaced_column_of_a_crystal_is_listed_once(seed: int) -> None:
    pixels, truth = specimen(seed=seed)
    sight = site_looker(linear_model()).look(scene_of(image_of(pixels)), BUDGET)
    places = np.array([one.pixel_yx for one in sight.findings])
    away = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    np.fill_diagonal(away, np.inf)
    assert away.min() > 0.5 * truth.period_px
    near = np.hypot(*(truth.pixel_yx[:, None] - places).transpose(2, 0, 1)).argmin(axis=1)
    kinds = [sight.findings[k].kind for k in near]
    assert "displaced" in kinds


def test_level_of_the_usual_window_is_taken_above_its_background() -> None:
    usual = np.full((9, 9), 3.0, np.float32)
    usual[4, 6] = 10.0
    offsets = np.array([[0.0, 4.0], [0.1, 3.6], [0.0, 0.0], [99.0, -99.0]])
    np.testing.assert_allclose(expected_at(usual, 2.0, offsets), [7.0, 7.0, 0.0, 0.0])
