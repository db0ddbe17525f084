"""The published rule: preparation, difference map, average near maximum, band and verdict."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae.published import (
    PublishedDetector,
    average_near_maximum,
    band_of,
    dice_of,
    difference_map,
)
from latticewatch.detectors.vae.published_rule import PublishedRule, header_of, rule_from
from latticewatch.detectors.vae.stack import prepare, zero_of
from reference import published as slow
from support.windows_networks import network

COARSE = st.sampled_from([0.0, 0.25, -0.25, 0.5, -0.5, 0.75])
SIDE = 32
RULE = PublishedRule(window_px=SIDE, step_px=16, band_mean=0.0, band_sd=0.02)


def pixels(seed: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def planted(corner_yx: tuple[int, int]) -> NDArray[np.float32]:
    """One window whose largest difference lies in a corner, another strong one opposite."""
    window = np.zeros((1, 64, 64), np.float32)
    y, x = corner_yx
    window[0, y, x] = 0.9
    window[0, 63 - y, 63 - x] = 0.8
    return window


def test_preparation_is_that_of_the_definition() -> None:
    window = pixels(1, (1, 64, 64))
    blurred = ndimage.gaussian_filter(window[0] / 255.0, 2.0, mode="nearest", truncate=4.0)
    prepared = prepare(window, 2.0, 0.0)
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared[0], blurred / blurred.max(), atol=1e-6)


@pytest.mark.parametrize(("dtype", "factor"), [("<u2", 257), (">u2", 100), ("f4", 0.01), ("i4", 9)])
def test_type_and_gain_of_the_pixels_do_not_matter(dtype: str, factor: float) -> None:
    window = pixels(2, (3, 32, 32))
    other = (window.astype(np.float64) * factor).astype(dtype)
    np.testing.assert_allclose(prepare(other, 2.0, 0.0), prepare(window, 2.0, 0.0), atol=1e-6)


def test_floats_below_zero_move_the_zero_and_others_do_not() -> None:
    window = np.array([[[-2.0, 3.0], [np.nan, 1.0]]])
    assert zero_of(window) == -2.0
    assert zero_of(window + 5.0) == 0.0
    assert zero_of(np.full((1, 2, 2), np.nan)) == 0.0


@pytest.mark.parametrize("spoiler", [np.nan, np.inf, -np.inf])
def test_a_window_with_a_spoilt_pixel_or_without_light_is_nan_and_no_other(spoiler: float) -> None:
    windows = np.stack([pixels(3, (32, 32)).astype(np.float32) for _ in range(3)])
    windows[1, 4, 5] = spoiler
    windows[2] = 0.0
    prepared = prepare(windows, 2.0, 0.0)
    assert np.isfinite(prepared[0]).all()
    assert np.isnan(prepared[1:]).all()


def test_differences_below_the_cut_are_none_and_the_cut_itself_is_one() -> None:
    prepared = np.array([[[0.5, 0.75, 0.0, 0.25]]], np.float32)
    map_ = difference_map(prepared, np.full((1, 1, 4), 0.5, np.float32), 0.25)
    assert map_.tolist() == [[[0.0, 0.25, -0.5, -0.25]]]


@given(arrays(np.float32, (3, 9, 7), elements=COARSE), st.integers(0, 6))
def test_score_agrees_with_the_definition(windows: NDArray[np.float32], half: int) -> None:
    expected = [slow.average_near_maximum(one, half) for one in windows]
    np.testing.assert_allclose(average_near_maximum(windows, half), expected, atol=1e-12)


@pytest.mark.parametrize("corner_yx", [(0, 0), (2, 3), (0, 40), (30, 1)])
def test_only_the_box_that_ends_at_the_edge_ships(corner_yx: tuple[int, int]) -> None:
    """In the authors' programs the box wraps round."""
    window = planted(corner_yx)
    shipped = average_near_maximum(window, 6)[0]
    assert shipped == pytest.approx(slow.average_near_maximum(window[0], 6))
    assert shipped != pytest.approx(slow.average_that_wraps(window[0], 6), rel=0.1)


def test_a_box_away_from_the_edge_is_that_of_the_authors() -> None:
    window = planted((20, 25))
    wrapping = slow.average_that_wraps(window[0], 6)
    assert average_near_maximum(window, 6)[0] == pytest.approx(wrapping)


def test_a_missing_column_scores_negative_and_no_difference_scores_zero() -> None:
    windows = np.zeros((2, 64, 64), np.float32)
    windows[1, 30:34, 30:34] = -0.5
    scores = average_near_maximum(windows, 6)
    assert scores[0] == 0.0
    assert scores[1] == pytest.approx(-0.5 * 16 / 169)


def test_band_is_mean_and_deviation_and_a_flat_set_gets_a_tenth() -> None:
    assert band_of(np.array([0.0, 0.2, np.nan])) == pytest.approx((0.1, 0.1))
    rule = replace(RULE, band_mean=0.1, band_sd=0.1)
    assert rule.band == pytest.approx((-0.05, 0.25))
    assert replace(rule, band_sd=0.0).band == pytest.approx((0.0, 0.2))
    with pytest.raises(ValueError, match="no bulk window"):
        band_of(np.array([np.nan]))


def test_true_means_a_defect_and_nan_is_no_bulk() -> None:
    rule = replace(RULE, band_mean=0.0, band_sd=0.1)
    scores = np.array([0.0, 0.149, 0.151, -0.2, np.nan])
    assert rule.is_bulk(scores).tolist() == [True, True, False, False, False]


def test_each_window_of_a_frame_gets_the_score_it_has_by_itself() -> None:
    detector = PublishedDetector(network(SIDE, "sigmoid"), RULE)
    frame = pixels(5, (70, 80))
    verdicts = detector.score_frame(frame)
    for (y, x), score in zip(verdicts.corners_yx, verdicts.scores, strict=True):
        alone = detector.score_windows(frame[None, y : y + SIDE, x : x + SIDE])
        assert alone.scores[0] == pytest.approx(score, abs=1e-6)


def test_order_and_number_of_the_windows_do_not_matter() -> None:
    detector = PublishedDetector(network(SIDE, "sigmoid"), RULE)
    windows = pixels(6, (300, SIDE, SIDE))
    scores = detector.score_windows(windows).scores
    np.testing.assert_allclose(
        detector.score_windows(windows[::-1]).scores[::-1], scores, atol=1e-6
    )
    np.testing.assert_allclose(detector.score_windows(windows[:7]).scores, scores[:7], atol=1e-6)


def test_gain_changes_no_score() -> None:
    detector = PublishedDetector(network(SIDE, "sigmoid"), RULE)
    frame = pixels(7, (64, 64)).astype(np.float32)
    plain, half = detector.score_frame(frame), detector.score_frame(frame * np.float32(0.5))
    np.testing.assert_allclose(half.scores, plain.scores, atol=1e-5)


def test_spoilt_windows_are_unscored_and_neither_bulk_nor_defect() -> None:
    frame = pixels(8, (64, 96)).astype(np.float32)
    frame[3, 5] = np.nan
    frame[:, 64:] = 0.0
    detector = PublishedDetector(network(SIDE, "sigmoid"), RULE)
    verdicts = detector.score_frame(frame)
    spoilt = [(0, 0), (0, 64), (16, 64), (32, 64)]
    for corner, is_scored, is_defect, score in zip(
        verdicts.corners_yx.tolist(),
        verdicts.is_scored,
        verdicts.is_defect,
        verdicts.scores,
        strict=True,
    ):
        assert is_scored == (tuple(corner) not in spoilt)
        assert is_scored or not is_defect
        assert np.isfinite(score) == is_scored


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_constant_frame_is_no_crash(level: int) -> None:
    detector = PublishedDetector(network(SIDE, "sigmoid"), RULE)
    verdicts = detector.score_frame(np.full((64, 64), level, np.uint8))
    assert verdicts.is_scored.tolist() == [level > 0] * 9


def test_a_frame_smaller_than_a_window_has_no_verdicts() -> None:
    assert (
        len(
            PublishedDetector(network(SIDE, "sigmoid"), RULE)
            .score_frame(pixels(9, (20, 64)))
            .scores
        )
        == 0
    )


def test_samples_are_repeated_by_model_frame_and_window() -> None:
    rule = replace(RULE, latent="sample", cut=0.0)
    frame = pixels(10, (64, 64))
    one, same, other = (
        PublishedDetector(network(SIDE, "sigmoid", sampled=True), rule, digest)
        for digest in ("a", "a", "b")
    )
    scores = one.score_frame(frame, 3).scores
    np.testing.assert_array_equal(scores, same.score_frame(frame, 3).scores)
    assert (scores != one.score_frame(frame, 4).scores).any()
    assert (scores != other.score_frame(frame, 3).scores).any()


def test_dice_of_a_window_do_not_depend_on_those_that_follow() -> None:
    np.testing.assert_array_equal(dice_of("a", 1, 300, 20)[:5], dice_of("a", 1, 5, 20))


@pytest.mark.parametrize("rule", [replace(RULE, latent="sample"), replace(RULE, window_px=64)])
def test_a_network_of_another_shape_is_refused(rule: PublishedRule) -> None:
    with pytest.raises(ModelError, match="the network has"):
        PublishedDetector(network(SIDE, "sigmoid"), rule)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x00" * 5_000_000])
def test_what_is_no_network_of_ours_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="model: the network"):
        PublishedDetector(content, RULE)


def test_a_rule_survives_its_header() -> None:
    rule = replace(RULE, latent="sample", sigma_px=1.4, zero=-3.0)
    assert rule_from(header_of(rule) | {"epochs": 3}) == rule


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("mode", "default"),
        ("cut", 1.5),
        ("cut", "0.2"),
        ("window_px", 64.0),
        ("window_px", True),
        ("band_sd", float("nan")),
        ("band_sd", -1.0),
        ("latent", "dice"),
        ("step_px", None),
    ],
)
def test_a_header_that_no_fit_wrote_is_refused(entry: str, value: object) -> None:
    with pytest.raises(ValueError, match=entry):
        rule_from(header_of(RULE) | {entry: value})
