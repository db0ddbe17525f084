"""Columns and sites of drawn crystals."""

import numpy as np
import pytest

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.motifs.columns import columns_of, nearest_sites, shells, sites_of
from latticewatch.detectors.motifs.features import shape_for
from latticewatch.detectors.motifs.parameters import MotifParameters
from support.crystals import net_frame
from support.motif_models import lock_of
from support.motif_scenes import Recipe, motif_scene


@pytest.mark.parametrize("crystal", ["ws2", "square", "graphene"])
@pytest.mark.parametrize("angle_deg", [0.0, 20.0])
def test_columns_are_those_that_were_drawn(crystal: str, angle_deg: float) -> None:
    scene = motif_scene(3, Recipe(crystal=crystal, angle_deg=angle_deg, side_px=320, n_each=4))

    columns = columns_of(scene.image, lock_of(scene.image))

    assert columns is not None
    assert columns.n_sublattices == 2
    assert columns.nearest_px == pytest.approx(scene.bond_px, rel=0.03)
    assert columns.second_px == pytest.approx(scene.second_px, rel=0.03)
    assert columns.sigma_px == pytest.approx(scene.sigma_px, rel=0.15)
    assert columns.height[0] == 1.0


def test_every_site_has_a_place_also_where_the_column_is_absent() -> None:
    scene = motif_scene(3, Recipe(side_px=320, n_each=6))
    lock = lock_of(scene.image)
    columns = columns_of(scene.image, lock)
    assert columns is not None

    sites = sites_of(lock, columns, (320, 320))

    absent = scene.ideal_yx[scene.kind == scene.names.index("both S absent")]
    assert len(absent)
    apart = np.linalg.norm(absent[:, None] - sites.places_yx, axis=2).min(axis=1)
    assert apart.max() < 1.0


def test_dark_columns_are_found_where_they_are_told_to_be_dark() -> None:
    scene = motif_scene(3, Recipe(side_px=320, n_each=4))
    dark = 5 - scene.image
    lock = lock_of(dark)

    columns = columns_of(dark, lock, -1)

    assert columns is not None
    assert columns.contrast == -1
    assert columns.nearest_px == pytest.approx(scene.bond_px, rel=0.03)


def test_nearest_site_is_the_nearest_of_all() -> None:
    scene = motif_scene(3, Recipe(side_px=320, n_each=0, dose=0.0, jitter_px=0.0))
    lock = lock_of(scene.image)
    columns = columns_of(scene.image, lock)
    assert columns is not None
    places = np.random.default_rng(0).uniform(60, 260, (200, 2))

    site_yx, address, off_px = nearest_sites(lock, columns, places)

    sites = sites_of(lock, columns, (320, 320))
    apart = np.linalg.norm(places[:, None] - sites.places_yx, axis=2)
    assert off_px == pytest.approx(apart.min(axis=1), abs=0.02)
    again, same, off_again = nearest_sites(lock, columns, site_yx)
    assert off_again.max() < 0.02
    assert np.array_equal(same, address)
    assert nearest_sites(lock, columns, np.empty((0, 2)))[0].shape == (0, 2)
    assert again == pytest.approx(site_yx, abs=0.02)


def test_shells_of_a_dumbbell_are_far_apart() -> None:
    nearest, second = shells(np.array([[0.0, 0.0], [0.0, 0.25]]), np.diag([20.0, 28.0]))

    assert nearest == 7.0
    assert second == 20.0


@pytest.mark.parametrize("bond_px", [5.0, 8.0, 12.0, 18.0, 28.0])
@pytest.mark.parametrize("crystal", ["ws2", "square"])
def test_patch_holds_the_first_shell_and_not_the_second(bond_px: float, crystal: str) -> None:
    recipe = Recipe(crystal=crystal, bond_px=bond_px, sigma_px=bond_px / 4, n_each=0, side_px=400)
    scene = motif_scene(3, recipe)
    columns = columns_of(scene.image, lock_of(scene.image))
    assert columns is not None

    shape = shape_for(columns, MotifParameters())

    assert 0.93 * scene.bond_px <= shape.reach_px <= 1.42 * scene.bond_px
    assert shape.reach_px < scene.second_px
    assert shape.radius_px <= 20
    assert shape.side >= 2 * shape.radius_px


def test_frame_without_a_column_has_none() -> None:
    lock = lock_of(net_frame([[0.0, 20.0], [20.0, 0.0]]))

    assert columns_of(np.full((256, 256), 3.0, np.float32), lock) is None
    assert own_lock(np.full((256, 256), 3.0, np.float32)) is None


@pytest.mark.parametrize(
    "wrong",
    [{"n_max": 1}, {"route": "best"}, {"components": 1}, {"seed": -1}, {"polarity": "grey"}],
)
def test_settings_without_sense_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MotifParameters(**wrong)  # type: ignore[arg-type] # that is what is tested
