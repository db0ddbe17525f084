"""What a fitted model says of frames that differ from those of its fit, and when it is silent."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.motifs.columns import CellColumns, sites_of
from latticewatch.detectors.motifs.score import NEW, UNSCORED, MotifDetector
from latticewatch.detectors.motifs.stale import Mismatch
from support.motif_models import SMALL, fitted, lock_of, named, recall, refusal, row_of_kinds, stand
from support.motif_scenes import Recipe, motif_scene

Image = NDArray[np.float32]
OTHER = Recipe(side_px=380, n_each=8, angle_deg=33.0)


def slope(amplitude: float) -> Image:
    y, x = np.mgrid[:380, :380] / 380
    wave: Image = (amplitude * np.sin(5.0 * y + 1.0) * np.cos(4.0 * x)).astype(np.float32)
    return wave


@pytest.mark.parametrize("dose", [50.0, 200.0, 800.0])
def test_sites_of_another_frame_turned_and_of_another_dose_get_their_class(dose: float) -> None:
    scene = motif_scene(7, Recipe(side_px=380, n_each=8, angle_deg=33.0, dose=dose))

    assert recall(fitted()[0], scene.image, scene) >= 0.95


@pytest.mark.parametrize(
    ("gain", "offset"), [(0.5, 0.0), (2.0, 0.0), (300.0, 5000.0), (1e-9, -3e-8), (0.5, -40.0)]
)
def test_gain_and_offset_make_no_difference(gain: float, offset: float) -> None:
    scene = motif_scene(7, OTHER)
    image = (gain * scene.image.astype(np.float64) + offset).astype(np.float32)
    model = fitted()[0]
    _, _, level = stand(MotifDetector(model), image)
    _, _, plain = stand(MotifDetector(model), scene.image)

    assert recall(model, image, scene) >= 0.95
    assert level.unit.gain / plain.unit.gain == pytest.approx(gain, rel=0.02)


def test_dark_columns_are_named_as_bright_ones() -> None:
    scene = motif_scene(7, OTHER)

    assert recall(fitted()[0], 5.0 - 0.7 * scene.image, scene, -1) >= 0.95


@pytest.mark.parametrize("amplitude", [0.1, 0.3])
def test_slow_background_makes_no_difference(amplitude: float) -> None:
    scene = motif_scene(7, OTHER)

    assert recall(fitted()[0], scene.image + slope(amplitude), scene) >= 0.95


def test_pristine_sites_are_seldom_new() -> None:
    scene = motif_scene(7, OTHER)
    names, rows = named(fitted()[0], scene.image, scene)
    pristine = (scene.kind[rows] < 2) & (scene.beside[rows] < 0) & (names.class_index != UNSCORED)

    assert (names.class_index[pristine] == NEW).mean() <= 0.01


def test_kind_that_the_fit_has_not_seen_is_new() -> None:
    scene = motif_scene(7, OTHER)
    known = Recipe(side_px=380, n_each=8, kinds=("one S absent", "heavy S"))
    names, rows = named(fitted(1, known)[0], scene.image, scene)
    light = scene.kind[rows] == scene.names.index("light metal")

    assert light.any()
    assert (names.class_index[light & (names.class_index != UNSCORED)] == NEW).mean() >= 0.8


def test_frame_of_another_pixel_size_is_refused_with_both_periods() -> None:
    scene = motif_scene(7, Recipe(side_px=380, bond_px=15.0, sigma_px=3.75, n_each=4))

    told = refusal(MotifDetector(fitted()[0]), scene.image)

    assert "\n" not in told
    assert "24.1" in told
    assert "19.3" in told


@pytest.mark.parametrize("crystal", ["square", "graphene"])
def test_another_crystal_of_the_same_period_is_refused_with_a_number(crystal: str) -> None:
    bond_px = {"square": 20.78 / np.sqrt(2), "graphene": 12.0}[crystal] * {"square": 0.93}.get(
        crystal, 1.0
    )
    scene = motif_scene(7, Recipe(crystal=crystal, side_px=380, bond_px=bond_px, n_each=4))

    told = refusal(MotifDetector(fitted()[0]), scene.image)

    assert "another" in told
    assert any(digit.isdigit() for digit in told)


def test_frame_of_a_few_patches_is_refused() -> None:
    scene = motif_scene(7, OTHER)
    detector = MotifDetector(fitted()[0])
    _, columns, _ = stand(detector, scene.image)
    part = scene.image[:70, :70]
    small = lock_of(scene.image).cut_out((slice(0, 70), slice(0, 70)))

    found = detector.level(part, small, columns)

    assert isinstance(found, Mismatch)
    assert "too small" in str(found)


def test_places_at_the_edge_and_at_nan_are_not_scored() -> None:
    scene = motif_scene(7, OTHER)
    detector = MotifDetector(fitted()[0])
    _, _, level = stand(detector, scene.image)
    pixels = level.taken.pixels.copy()
    pixels[200, 200] = np.nan
    level = replace(level, taken=replace(level.taken, pixels=pixels))
    places = np.array([[3.0, 3.0], [199.0, 203.0], [np.nan, 5.0], [1e9, 0.0], [100.0, 100.0]])

    found = detector.name(level, places)

    assert found.class_index[:4].tolist() == [UNSCORED] * 4
    assert np.isnan(found.z[:4]).all()
    assert np.isnan(found.distance2[:4]).all()
    assert found.class_index[4] != UNSCORED
    assert len(detector.name(level, np.empty((0, 2))).class_index) == 0


def test_sites_beside_vacuum_are_named_like_others() -> None:
    scene = motif_scene(7, Recipe(side_px=380, n_each=0, angle_deg=33.0))
    image = scene.image.copy()
    image[:, 250:] = np.random.default_rng(0).poisson(4.0, (380, 130)) / 200.0

    names, rows = named(fitted()[0], image.astype(np.float32), scene)

    expected = row_of_kinds(fitted()[0], motif_scene(1, SMALL))
    scored = names.class_index != UNSCORED
    wanted = np.array([expected[kind] for kind in scene.kind[rows]])
    assert scored.sum() > 100
    assert (names.class_index == wanted)[scored].mean() >= 0.97


def test_blank_frame_does_not_crash() -> None:
    scene = motif_scene(7, OTHER)
    detector = MotifDetector(fitted()[0])
    lock = lock_of(scene.image)
    blank = np.zeros_like(scene.image)

    assert isinstance(detector.begin(blank, lock), Mismatch)
    columns = detector.begin(scene.image, lock)
    assert isinstance(columns, CellColumns)
    assert isinstance(detector.level(blank, lock, columns), Mismatch)


def test_patches_are_in_the_unit_and_turn_of_the_model() -> None:
    model = fitted()[0]
    scene = motif_scene(7, OTHER)
    detector = MotifDetector(model)
    lock, columns, level = stand(detector, 50 * scene.image + 300)
    sites = sites_of(lock, columns, (380, 380))
    found = detector.name(level, sites.places_yx, sites.sublattice)

    for row in range(2):
        patches = detector.patches(level, sites.places_yx[found.class_index == row])
        mean = patches.mean(axis=0)
        assert mean.shape == model.patches[row].shape
        assert np.abs(mean - model.patches[row]).max() < 0.08


def test_proposed_class_is_known_until_others_are_given() -> None:
    model = fitted()[0]
    scene = motif_scene(7, OTHER)
    detector = MotifDetector(model)
    lock, columns, level = stand(detector, scene.image)
    sites = sites_of(lock, columns, (380, 380))
    before = detector.name(level, sites.places_yx, sites.sublattice)

    class Proposed:
        mean = model.means[0] + 1000.0
        covariance = model.covariances[0]
        n_sites = 5

    detector.with_classes([Proposed()])
    assert detector.n_classes == len(model.classes) + 1
    assert detector.classify(Proposed.mean[None])[0].tolist() == [len(model.classes)]

    detector.with_classes([])
    after = detector.name(level, sites.places_yx, sites.sublattice)
    assert np.array_equal(before.class_index, after.class_index)


def test_no_site_gets_a_class_beyond_the_limit_of_that_class() -> None:
    model = fitted()[0]
    n_components = model.means.shape[1]
    narrow, wide = 1e-6 * np.eye(n_components), np.eye(n_components)
    # So narrow and populous that its density is the higher one nine deviations out, too.
    step = np.zeros(n_components)
    step[0] = 1.0
    pair = replace(
        model,
        classes=(
            replace(model.classes[0], n_members=1_000_000),
            replace(model.classes[1], n_members=1),
        ),
        means=np.stack([np.zeros(n_components), 0.5 * step]),
        covariances=np.stack([narrow, wide]),
        reject_chi2=20.0,
    )
    z = np.stack([0.0 * step, 3e-3 * step, 9e-3 * step, 0.5 * step, 5.1 * step])

    index, probability = MotifDetector(pair).classify(z)

    assert index.tolist() == [0, 0, 1, 1, NEW]
    assert probability[2] == pytest.approx(1.0)
    assert probability[4] < 0.05
    assert np.isfinite(probability).all()
