"""The published method finds what the authors' does, and tears big classes as theirs does."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from latticewatch.detectors.motifs.published import (
    PublishedSettings,
    find_motifs,
    local_maxima,
    raster_clusters,
    spacing_px,
    whole_patches,
)
from support.images import random_image
from support.motif_scenes import Recipe, motif_scene

SMALL = Recipe(side_px=256, n_each=4)


@pytest.mark.slow
@pytest.mark.parametrize("dose", [200.0, 30.0])
@pytest.mark.parametrize("angle_deg", [7.0, 22.0])
def test_published_layout_tears_big_classes_but_mixes_none(dose: float, angle_deg: float) -> None:
    scene = motif_scene(int(angle_deg), Recipe(dose=dose, angle_deg=angle_deg))
    found = find_motifs(scene.image, PublishedSettings(side=32), scene.places_yx)
    counted = (found.labels >= 0) & (scene.beside < 0)
    kind, label = scene.kind[counted], found.labels[counted]
    most = [np.bincount(kind[label == one]).max() for one in np.unique(label)]
    assert 0.1 <= adjusted_rand_score(kind, label) <= 0.35
    assert sum(most) / len(kind) >= 0.97
    assert 17 <= found.labels.max() + 1 <= 35


def test_classes_of_maxima_have_their_mean_patches() -> None:
    scene = motif_scene(1, SMALL)
    found = find_motifs(scene.image)
    assert found.labels.min() >= 0
    counts = np.bincount(found.labels)
    assert (np.diff(counts) <= 0).all()
    side = spacing_px(scene.image)
    assert found.means.shape == (len(counts), side, side)
    assert len(found.features) == len(found.z) == len(found.layout_yx) == len(found.places_yx)
    assert found.features.shape[1] == 36
    near = np.linalg.norm(found.places_yx[:, None] - scene.places_yx[None], axis=-1).min(axis=1)
    assert np.quantile(near, 0.95) < 2.0


def test_all_66_moments_are_kept_where_asked() -> None:
    scene = motif_scene(1, SMALL)
    settings = PublishedSettings(side=25, rotation_invariant=False, metric="euclidean")
    found = find_motifs(scene.image, settings, scene.places_yx)
    assert found.features.shape[1] == 66
    assert ((found.labels < 0) == ~whole_patches(scene.image, scene.places_yx, 25)[1]).all()


def test_same_image_gives_the_same_classes() -> None:
    image = motif_scene(1, SMALL).image
    np.testing.assert_array_equal(find_motifs(image).labels, find_motifs(image).labels)


@pytest.mark.parametrize("bond_px", [8.0, 12.0, 16.0])
def test_side_is_the_spacing_of_the_lattice(bond_px: float) -> None:
    scene = motif_scene(2, Recipe(bond_px=bond_px, sigma_px=bond_px / 4, n_each=4))
    assert spacing_px(scene.image) == pytest.approx(bond_px * np.sqrt(3), abs=1.0)


def test_even_squares_begin_half_their_side_before_the_pixel() -> None:
    image = random_image(3, (20, 20))
    places = np.array([[8.4, 9.6], [3.0, 10.0], [16.0, 10.0], [17.0, 10.0]])
    patches, inside = whole_patches(image, places, 8)
    assert inside.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(patches[0], image[4:12, 6:14])


def test_weaker_of_two_close_maxima_is_left_out() -> None:
    image = np.zeros((20, 20))
    image[5, 5], image[5, 8], image[14, 14], image[1, 10] = 1.0, 0.9, 0.8, 0.7
    assert local_maxima(image, 0.1, 4.0, 2).tolist() == [[5, 5], [14, 14]]
    assert local_maxima(image, 0.85, 2.0, 2).tolist() == [[5, 5], [5, 8]]
    assert local_maxima(image, 2.0, 2.0, 2).shape == (0, 2)


def test_islands_are_ordered_by_size() -> None:
    rng = np.random.default_rng(4)
    layout = np.concatenate([rng.normal(size=(20, 2)), rng.normal(size=(50, 2)) + 60.0])
    labels = raster_clusters(layout)
    assert labels.tolist() == [1] * 20 + [0] * 50


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_image_that_says_nothing_is_refused(broken: float) -> None:
    image = random_image(5, (64, 64))
    with pytest.raises(ValueError, match="not flat"):
        find_motifs(np.ones_like(image))
    with pytest.raises(ValueError, match="no spacing"):
        find_motifs(np.add.outer(np.arange(64.0), np.arange(64.0)).astype(np.float32))
    with pytest.raises(ValueError, match="patches"):
        find_motifs(image, PublishedSettings(side=33), np.array([[30.0, 30.0]]))
    with pytest.raises(ValueError, match="too small"):
        spacing_px(image[:20])
    image[3, 3] = broken
    with pytest.raises(ValueError, match="finite"):
        find_motifs(image)
