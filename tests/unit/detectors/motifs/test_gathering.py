"""Frames of a fit are compared with one that has room, and only patches that are used are cut."""

import tracemalloc

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.motifs.features import FeatureMaker, PatchShape, Taken
from latticewatch.detectors.motifs.gathering import gather, reference_of
from latticewatch.detectors.motifs.parameters import MotifParameters
from support.honeycomb import gaussian_columns
from support.motif_models import SMALL
from support.motif_scenes import motif_scene

Image = NDArray[np.float32]
WIDE = MotifParameters(radius_of_nearest=3.0, widths_to_second=0.0)
PERIOD_PX = 24.0


def hexagons(shape: tuple[int, int], angle_deg: float, seed: int) -> Image:
    """One column in a cell of 24 px."""
    turn = np.radians(angle_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    basis = PERIOD_PX * np.array([[0.0, 1.0], [np.sqrt(0.75), 0.5]]) @ rotation
    places = np.mgrid[-40:41, -40:41].reshape(2, -1).T @ basis + 100
    places = places[((places > -20) & (places < 260)).all(axis=1)]
    counts = 0.02 + gaussian_columns(places, np.ones(len(places)), PERIOD_PX / 6, 240)
    noisy = np.random.default_rng(seed).poisson(200 * counts) / 200
    return np.ascontiguousarray(noisy[: shape[0], : shape[1]], np.float32)


def test_the_largest_frame_is_no_reference_where_it_has_no_room() -> None:
    strip = hexagons((120, 185), 11.0, 0)
    frames = [strip, *(hexagons((148, 148), 40.0, seed) for seed in range(1, 4))]

    reference = reference_of(frames, WIDE, [], None)
    notes: list[str] = []
    found = gather(reference, FeatureMaker(reference.shape), notes, ["strip.tif", "1", "2", "3"])

    assert strip.size > frames[1].size
    assert reference.frames[0].number != 0
    assert np.array_equal(reference.basis_px_yx, reference.frames[0].lock.basis_px_yx)
    assert reference.columns is reference.frames[0].columns
    assert found.n_frames == 3
    assert [note.split(":")[0] for note in notes] == ["strip.tif"]


def test_patches_of_a_part_are_those_of_all() -> None:
    reference = reference_of([motif_scene(1, SMALL).image] * 2, MotifParameters(), [], None)
    maker = FeatureMaker(reference.shape)
    found = gather(reference, maker, [], None)
    rows = np.arange(3, len(found.frame), 7)

    assert set(found.frame[rows]) == {0, 1}
    assert np.array_equal(found.part(rows).patches(maker), found.patches(maker)[rows])


def test_squares_take_little_more_memory_than_they_have_pixels() -> None:
    maker = FeatureMaker(PatchShape(1, 12.0, 10))
    taken = Taken(np.random.default_rng(0).random((256, 256), np.float32))
    places = np.random.default_rng(1).uniform(-5, 261, (4000, 2))

    tracemalloc.start()
    squares = maker.squares(taken, places, 0.3)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert squares.shape == (4000, 25, 25)
    assert most < 2 * squares.nbytes
    assert np.array_equal(squares[-3:], maker.squares(taken, places[-3:], 0.3), equal_nan=True)
