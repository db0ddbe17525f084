"""Frames of any period come out alike."""

import numpy as np
import pytest

from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from latticewatch.detectors.symmetry.preprocess import Preprocess, Preprocessor, scaled_to


@pytest.mark.parametrize(
    ("period_px", "binning"), [(6.0, 1), (8.0, 1), (14.3, 2), (18.0, 2), (27.0, 3), (36.0, 4)]
)
def test_binning_brings_a_period_to_about_eight_pixels(period_px: float, binning: int) -> None:
    assert scaled_to(period_px, (1024, 1024), SymmetryParameters()).binning == binning


def test_a_small_frame_is_binned_no_further_than_leaves_cells() -> None:
    rule = scaled_to(36.0, (256, 256), SymmetryParameters())
    assert rule.binning == 1
    assert rule.inner_sigma_px == pytest.approx(6.0)


def test_widths_are_two_and_three_pixels_at_a_period_of_twelve() -> None:
    rule = scaled_to(12.0, (64, 64), SymmetryParameters())
    assert (rule.binning, rule.inner_sigma_px, rule.outer_sigma_px) == pytest.approx((1, 2, 3))


@pytest.mark.parametrize(
    ("outer_px", "cells"), [(1.2, 1), (2.5, 1), (2.6, 2), (3.0, 2), (6.5, 2), (9.0, 3)]
)
def test_the_border_is_as_wide_as_the_filter_reaches(outer_px: float, cells: int) -> None:
    rule = Preprocess(1, outer_px / 1.5, outer_px)
    assert rule.border_cells == cells
    # A window of the first cell that is judged, and what counts of the blur round it.
    assert 8 * cells - 3 >= 2 * outer_px


def test_brightness_drops_out_and_levels_divide() -> None:
    frame = np.random.default_rng(0).normal(size=(96, 80)).astype(np.float32)
    plain = Preprocessor(Preprocess(1, 2.0, 3.0)).run(frame)[1]
    levelled = Preprocessor(Preprocess(1, 2.0, 3.0, -1.0, 3.0)).run(frame + np.float32(500))[1]
    np.testing.assert_allclose(levelled, plain / 4, atol=2e-4)


def test_binning_averages_and_leaves_out_what_is_over() -> None:
    frame = np.arange(50 * 41, dtype=np.float32).reshape(50, 41)
    binned, filtered = Preprocessor(Preprocess(3, 2.0, 3.0)).run(frame)
    assert binned.shape == filtered.shape == (16, 13)
    assert binned[1, 2] == pytest.approx(frame[3:6, 6:9].mean())


def test_a_second_frame_of_the_same_size_allocates_nothing_new() -> None:
    ready = Preprocessor(Preprocess(2, 1.0, 1.5))
    first = ready.run(np.ones((64, 64), np.float32))
    second = ready.run(np.zeros((64, 64), np.float32))
    assert first[0] is second[0]
    assert first[1] is second[1]
