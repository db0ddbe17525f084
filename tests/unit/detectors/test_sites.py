"""Sites are extrema with neighbours; missing ones are added, and noise has none."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.sites import SiteFinder, SiteRule, View, expected_places
from latticewatch.kernels.neighbours import NOBODY
from support.crystals import CRYSTALS, Image, image_of, in_force, net_frame, specimen

BASIS = [[20.0, 3.0], [-3.0, 20.0]]
RULE = SiteRule(
    smooth_sigma_px=2.6,
    polarity=1,
    floor=-1e30,
    min_distance_px=5,
    basis_px_yx=np.array(BASIS),
)
PERIOD_PX = RULE.period_px


def columns_inside(margin_px: float = 0.0) -> list[NDArray[np.float64]]:
    steps = range(-30, 31)
    every = [np.array([i, j]) @ np.array(BASIS) for i in steps for j in steps]
    return [yx for yx in every if ((yx >= margin_px) & (yx <= 255 - margin_px)).all()]


def without_column(frame: Image, yx: NDArray[np.float64], share: float = 1.0) -> Image:
    y, x = np.indices(frame.shape)
    bump = 25.0 * np.exp(-((y - yx[0]) ** 2 + (x - yx[1]) ** 2) / 2 / 3.0**2)
    changed: Image = (frame - share * bump).astype(np.float32)
    return changed


def middle_column() -> NDArray[np.float64]:
    return min(columns_inside(), key=lambda yx: float(np.abs(yx - 128).max()))


def nearest(view: View, yx: NDArray[np.float64]) -> int:
    return int(np.argmin(np.linalg.norm(view.places_yx - yx, axis=1)))


def distance(view: View, yx: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(view.places_yx - yx, axis=1).min())


def test_every_column_is_a_linked_site_at_its_place() -> None:
    view = SiteFinder(RULE).prepare(net_frame(BASIS))

    assert view.is_periodic
    assert view.linked > 0.95
    errors = [distance(view, yx) for yx in columns_inside(margin_px=6)]
    assert max(errors) < 1.0
    assert np.median(errors) < 0.4


def test_basis_of_the_frame_is_measured_and_not_taken_from_the_model() -> None:
    stretched = [[1.02 * part for part in row] for row in BASIS]

    view = SiteFinder(RULE).prepare(net_frame(stretched))

    assert np.allclose(view.basis_px_yx, stretched, atol=0.1)
    assert view.period_px == pytest.approx(1.02 * PERIOD_PX, rel=3e-3)


def test_scatter_of_clean_columns_is_below_half_a_pixel() -> None:
    assert SiteFinder(RULE).prepare(net_frame(BASIS)).rms_px < 0.5
    assert SiteFinder(RULE).prepare(net_frame(BASIS, seed=None)).rms_px < 0.15


def test_vacancy_is_a_site_that_its_neighbours_predict() -> None:
    gone = middle_column()

    view = SiteFinder(RULE).prepare(without_column(net_frame(BASIS), gone))

    site = nearest(view, gone)
    assert distance(view, gone) < 0.1 * PERIOD_PX
    assert view.predicted[site]
    assert np.count_nonzero(np.linalg.norm(view.places_yx - gone, axis=1) < 0.5 * PERIOD_PX) == 1


def test_two_vacancies_side_by_side_are_both_predicted() -> None:
    first = middle_column()
    second = first + np.array(BASIS)[0]
    frame = without_column(without_column(net_frame(BASIS), first), second)

    view = SiteFinder(RULE).prepare(frame)

    assert distance(view, first) < 0.15 * PERIOD_PX
    assert distance(view, second) < 0.15 * PERIOD_PX


def test_complete_crystal_has_nothing_to_predict_inside() -> None:
    view = SiteFinder(RULE).prepare(net_frame(BASIS))

    added = view.places_yx[view.predicted]
    assert not ((added > 10) & (added < 245)).all(axis=1).any()


def test_all_sites_lie_inside_the_frame_and_apart() -> None:
    for seed in range(4):
        view = SiteFinder(RULE).prepare(net_frame(BASIS, seed=seed))
        assert (view.places_yx >= 0).all()
        assert (view.places_yx <= 255).all()
        gaps = np.linalg.norm(view.places_yx[:, None] - view.places_yx[None], axis=2)
        np.fill_diagonal(gaps, np.inf)
        assert gaps.min() > 0.25 * PERIOD_PX


def test_site_beside_the_lattice_is_no_site() -> None:
    extra = middle_column() + np.array([10.0, 10.0])

    view = SiteFinder(RULE).prepare(without_column(net_frame(BASIS), extra, share=-1.0))

    assert distance(view, extra) > 0.25 * PERIOD_PX


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_crystal_to_any_model(crystal: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    finder = SiteFinder(in_force(crystal).detector.model.rule)

    for noise in (rng.normal(size=(384, 384)), rng.poisson(0.05, (384, 384))):
        assert not finder.prepare(noise.astype(np.float32)).is_periodic


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0, 1e30])
def test_constant_frame_is_no_crystal(value: float) -> None:
    view = SiteFinder(RULE).prepare(np.full((128, 128), value, np.float32))

    assert not view.is_periodic
    assert (view.image == 0).all()


@pytest.mark.parametrize("shape_yx", [(16, 16), (16, 700), (700, 16), (33, 47)])
def test_too_few_sites_are_no_crystal(shape_yx: tuple[int, int]) -> None:
    view = SiteFinder(RULE).prepare(net_frame(BASIS, shape_yx=shape_yx))

    # A long strip holds enough sites, and then they are in place.
    assert not view.is_periodic or len(view.places_yx) >= 20


def test_frames_of_changing_shape_share_a_finder() -> None:
    finder = SiteFinder(RULE)
    first = finder.prepare(net_frame(BASIS)).places_yx.copy()
    finder.prepare(net_frame(BASIS, shape_yx=(64, 300)))
    finder.prepare(np.zeros((16, 16), np.float32))

    assert np.array_equal(finder.prepare(net_frame(BASIS)).places_yx, first)


@pytest.mark.parametrize(("gain", "offset"), [(1.5, 0.0), (1.0, 20.0), (1.5, 20.0), (0.01, -7.0)])
def test_levels_know_nothing_of_gain_and_offset(gain: float, offset: float) -> None:
    frame = image_of(specimen(seed=3)[0])
    finder = SiteFinder(in_force().detector.model.rule)
    plain = finder.level(frame).copy()

    changed = finder.level((np.float32(gain) * frame + np.float32(offset)).astype(np.float32))

    assert np.abs(changed - plain).max() < 1e-4


def test_two_and_ninety_eight_per_cent_of_the_pixels_are_at_zero_and_one() -> None:
    image = SiteFinder(RULE).level(net_frame(BASIS))

    assert np.quantile(image, 0.02) == pytest.approx(0.0, abs=2e-3)
    assert np.quantile(image, 0.98) == pytest.approx(1.0, abs=2e-3)


def test_frame_is_not_changed() -> None:
    frame = net_frame(BASIS)
    before = frame.copy()

    SiteFinder(RULE).prepare(frame)

    assert np.array_equal(frame, before)


def test_neighbours_know_where_a_displaced_column_belongs() -> None:
    home = middle_column()
    moved = home + np.array([0.0, 4.0])
    frame = without_column(without_column(net_frame(BASIS), home), moved, share=-1.0)
    view = SiteFinder(RULE).prepare(frame)

    wanted = expected_places(view, np.array([nearest(view, moved)]))

    assert np.linalg.norm(wanted[0] - home) < 0.5


def test_site_without_neighbours_is_expected_where_it_is() -> None:
    alone = np.array([[50.0, 60.0]])
    nobody = np.full((1, 4), NOBODY, np.int32)
    view = replace(SiteFinder(RULE).prepare(net_frame(BASIS)), places_yx=alone, links=nobody)

    assert np.array_equal(expected_places(view, np.array([0])), alone)
