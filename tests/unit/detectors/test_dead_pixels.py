"""A dead pixel becomes the same thing when a model is fitted and when it judges."""

from pathlib import Path

import numpy as np
import pytest

from latticewatch.daemon.pixel_check import PixelCheck
from latticewatch.detectors.dead_pixels import fill_dead
from latticewatch.detectors.fit import _read_lot
from support.crystals import Image

RNG = np.random.default_rng(4)


def skewed(n_dead: int) -> Image:
    """Mean and median differ: a few pixels are bright."""
    image = RNG.exponential(100.0, (600, 500)).astype(np.float32)
    image[RNG.integers(0, 600, n_dead), RNG.integers(0, 500, n_dead)] = np.nan
    return image


def test_a_fit_sees_the_pixels_that_the_daemon_sees(tmp_path: Path) -> None:
    image = skewed(n_dead=200)
    np.savez(tmp_path / "frames.npz", frame=image)

    (fitted,) = _read_lot(tmp_path / "frames.npz", None, None).frames

    assert np.array_equal(fitted, PixelCheck().check(image, None).image)


@pytest.mark.parametrize("dead", [np.nan, np.inf, -np.inf])
def test_dead_pixels_become_the_median_of_the_others(dead: float) -> None:
    image = skewed(n_dead=0)
    image[5, 7] = dead
    median = float(np.nanmedian(np.where(np.isfinite(image), image, np.nan)))

    finite = fill_dead(image)

    assert np.argwhere(~finite).tolist() == [[5, 7]]
    assert image[5, 7] == pytest.approx(median, rel=0.05)


def test_one_spark_does_not_decide_what_dead_pixels_become() -> None:
    image = skewed(n_dead=200)
    image[0, 0] = 1e30
    dead = ~np.isfinite(image)

    fill_dead(image)

    assert (image[dead] < 100.0).all()


def test_the_largest_floats_do_not_overflow() -> None:
    image = np.full((20, 20), 3e38, np.float32)
    image[3, 3] = np.nan

    fill_dead(image)

    assert np.isfinite(image).all()


def test_one_living_pixel_is_found_wherever_it_is() -> None:
    for place in range(60):
        image = np.full((300, 300), np.nan, np.float32)
        image[150, place] = 7.0
        fill_dead(image)
        assert (image == 7.0).all()


def test_nothing_finite_becomes_zero() -> None:
    image = np.full((20, 20), np.nan, np.float32)

    assert not fill_dead(image).any()
    assert (image == 0).all()


def test_nothing_dead_changes_nothing() -> None:
    image = skewed(n_dead=0)
    before = image.copy()

    assert fill_dead(image).all()
    assert np.array_equal(image, before)
