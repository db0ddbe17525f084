"""Windows without a lattice in the pipeline: one finding for a defect, and a picture of it all."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.look_windows import WindowLooker
from latticewatch.daemon.sights import Budget, Scene, Sight
from latticewatch.detectors.vae import published_rule
from latticewatch.detectors.vae.published_rule import PublishedRule
from latticewatch.detectors.vae.unlocked import MODE, UnlockedRule
from latticewatch.detectors.vae.window_model import (
    WindowModel,
    WindowScores,
    median_square,
    score_windows,
)
from support.crystals import TickingClock
from support.vae_looks import BUDGET, NAMED
from support.windows_networks import network

pytest.importorskip("onnx")
SIDE = 32
RULE = UnlockedRule(
    window_px=SIDE, step_px=SIDE // 2, sigma_px=1.0, middle=0.5, spread=0.2, tail_start=1.2
)
SMALL = PublishedRule(window_px=SIDE, step_px=SIDE // 2, sigma_px=1.0, half_width_px=3)
DEFECT_YX = (70.0, 85.0)
ANY = 1e6  # mean square of residuals: no frame is another crystal
Image = NDArray[np.float32]


def unlocked_model() -> WindowModel:
    return WindowModel(MODE, RULE, network(SIDE, "plain"), ANY, "0" * 64)


def even_model() -> WindowModel:
    """What expects the noise of `amorphous` and nothing else."""
    rule = replace(RULE, middle=0.92, spread=0.03)
    return WindowModel(MODE, rule, network(SIDE, "plain", strength=0.0), ANY, "0" * 64)


def looker(model: WindowModel | None = None) -> WindowLooker:
    return WindowLooker(model or unlocked_model(), NAMED, TickingClock())


def amorphous(shape_yx: tuple[int, int] = (130, 150), seed: int = 4) -> Image:
    """Make a frame of noise, 100 counts on average."""
    return np.random.default_rng(seed).poisson(100, shape_yx).astype(np.float32)


def damaged(sign: int = 1) -> Image:
    frame = amorphous()
    y, x = np.indices(frame.shape)
    bump = np.exp(-((y - DEFECT_YX[0]) ** 2 + (x - DEFECT_YX[1]) ** 2) / 18)
    spoilt: Image = np.maximum(frame + np.float32(sign * 90) * bump, 0).astype(np.float32)
    return spoilt


def see(
    image: Image,
    one: WindowLooker | None = None,
    budget: Budget = BUDGET,
    *,
    pictures: bool = False,
) -> Sight:
    scene = Scene(image, np.empty((0, 2), np.intp), None, pictures=pictures)
    return (one or looker()).look(scene, budget)


@pytest.mark.parametrize(
    ("sign", "kind", "model"), [(1, "excess", unlocked_model), (-1, "deficit", even_model)]
)
def test_damage_that_several_windows_see_is_listed_once_and_marked(
    sign: int, kind: str, model: Callable[[], WindowModel]
) -> None:
    image = damaged(sign)
    scores = score_windows(model().detector(), image)
    assert np.count_nonzero(scores.p_value < 1e-3) >= 3
    (finding,) = see(image, looker(model())).findings
    assert finding.kind == kind
    assert finding.flags == ("unlocked",)
    assert np.hypot(*(np.array(DEFECT_YX) - finding.pixel_yx)) < 4.0
    assert [name for name, _, _ in finding.parts] == ["vae_unlocked"]
    assert finding.p_value == np.nanmin(scores.p_value)


def test_frame_without_a_lattice_is_answered() -> None:
    sight = see(amorphous())
    assert (sight.condition, sight.faults, sight.note, sight.findings) == ("ok", (), "", ())
    assert sight.n_scored == sight.n_sites > 20
    assert sight.lattice is None


def test_budget_by_frame_is_kept_after_merging() -> None:
    assert len(see(damaged(), budget=Budget(None, 0.01)).findings) == 1
    assert see(damaged(), budget=Budget(None, 1e-310)).findings == ()


def test_frame_smaller_than_a_window_is_one_line_with_both_sizes() -> None:
    one = looker()
    small = np.full((31, 200), 9, np.float32)
    sight = see(small, one)
    assert sight.faults == ("model_stale",)
    assert "31 x 200 px" in sight.note
    assert "32 px" in sight.note
    assert "\n" not in sight.note
    assert (sight.n_sites, sight.findings) == (0, ())
    one.warm_up(small)


def test_picture_covers_the_frame_and_is_largest_at_the_damage() -> None:
    assert see(damaged()).picture is None
    picture = see(damaged(-1), looker(even_model()), pictures=True).picture
    assert picture is not None
    assert picture.layer == "vae"
    assert picture.values.dtype == np.float32
    assert np.isfinite(picture.values).all()
    largest = np.unravel_index(np.argmax(np.abs(picture.values)), picture.values.shape)
    assert np.hypot(*(np.array(DEFECT_YX) - largest)) < 4.0


def test_each_pixel_of_the_picture_is_of_the_window_that_it_lies_deepest_in() -> None:
    image = damaged()
    picture = see(image, pictures=True).picture
    scores = score_windows(unlocked_model().detector(), image)
    assert picture is not None
    for (y, x), residual in zip(scores.corners_yx, scores.residuals, strict=True):
        middle = slice(SIDE // 2 - 1, SIDE // 2 + 1)
        rows, columns = slice(y + 15, y + 17), slice(x + 15, x + 17)
        np.testing.assert_array_equal(picture.values[rows, columns], residual[middle, middle])


def test_windows_beside_repaired_pixels_are_not_judged() -> None:
    image = damaged()
    bad = Scene(image, np.rint([DEFECT_YX]).astype(np.intp), None)
    sight = looker().look(bad, BUDGET)
    assert 0 < sight.n_scored < sight.n_sites
    assert sight.findings == ()
    assert sight.n_refused == 0


def test_dark_windows_are_unscored_and_no_fault_of_the_network() -> None:
    image = damaged()
    image[:SIDE, :SIDE] = 0.0  # without light
    sight = see(image)
    assert sight.n_refused == 0  # dark ones are no answers of the network
    assert sight.n_scored < sight.n_sites
    assert len(sight.findings) <= 1 + 4  # its border is damage of its own


def test_frame_without_light_lists_nothing() -> None:
    sight = see(np.zeros((100, 100), np.float32), pictures=True)
    assert (sight.n_scored, sight.findings) == (0, ())
    assert (sight.n_refused, sight.n_sites > 0) == (0, True)


def test_the_same_frame_gives_the_same_answer() -> None:
    one = looker()
    one.warm_up(amorphous(seed=9))
    first, again = see(damaged(), one), see(damaged(), one)
    assert first.findings == again.findings == see(damaged()).findings


def test_rule_as_published_has_the_p_value_of_its_band() -> None:
    detector = WindowModel(published_rule.MODE, SMALL, network(SIDE, "sigmoid"), ANY, "").detector()
    image = amorphous()
    usual = score_windows(detector, image).score
    mean, sd = float(usual.mean()), float(usual.std()) + 0.01
    rule = PublishedRule(
        window_px=SIDE,
        step_px=SIDE // 2,
        sigma_px=1.0,
        half_width_px=3,
        band_mean=mean,
        band_sd=sd,
    )
    model = WindowModel(published_rule.MODE, rule, network(SIDE, "sigmoid"), ANY, "")
    scores: WindowScores = score_windows(model.detector(), image)
    middling = np.abs(scores.score - mean) < 0.1 * sd
    assert (scores.p_value[middling] > 0.9).all()
    assert ((scores.p_value > 0) & (scores.p_value <= 1)).all()
    assert see(image, looker(model)).n_scored == len(scores.p_value)


def test_band_without_width_gives_p_values_all_the_same() -> None:
    model = WindowModel(published_rule.MODE, SMALL, network(SIDE, "sigmoid"), ANY, "")
    p_value = score_windows(model.detector(), amorphous()).p_value
    assert np.isfinite(p_value).all()
    assert ((p_value > 0) & (p_value <= 1)).all()


def test_another_crystal_is_said_to_be_one_and_nothing_is_listed() -> None:
    image = damaged()
    detector = even_model().detector()
    usual = median_square(score_windows(detector, image).residuals)
    known, other = (replace(even_model(), usual_square=usual * share) for share in (0.5, 0.2))

    assert see(image, looker(known)).condition == "ok"
    sight = see(image, looker(other))
    assert (sight.condition, sight.faults, sight.findings) == ("stale", ("model_stale",), ())
    assert "residual 5.0 times the usual (limit 4)" in sight.note
