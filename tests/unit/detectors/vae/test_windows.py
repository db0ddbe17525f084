"""Windows follow the lattice; the level of one is taken from what surrounds its cell."""

import numpy as np
import pytest

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.stale import Freshness
from latticewatch.detectors.vae.windows import cell_points, level_weights, matching_lock
from support.vae_models import reference, square_frame

HEXAGON = np.array([[20.0, 0.0], [10.0, 17.3205]])


def test_cell_of_a_honeycomb_has_its_symmetry() -> None:
    cell = cell_points(HEXAGON, 1.5, 23)
    np.testing.assert_array_equal(cell, cell[::-1, ::-1])
    area = cell.sum() * 1.5**2
    assert area == pytest.approx(1.1**2 * 20 * 17.3205, rel=0.1)


def test_level_is_taken_outside_the_cell() -> None:
    weights = level_weights(HEXAGON, 1.7, 33)
    assert weights.sum() == pytest.approx(1.0)
    assert not weights[cell_points(HEXAGON, 1.7, 33)].any()


def test_cell_larger_than_its_window_is_refused() -> None:
    with pytest.raises(ValueError, match="fills"):
        level_weights(HEXAGON * 10, 1.7, 33)


def test_halves_of_the_reference_share_no_pixel() -> None:
    known = reference()
    reach = known.windows.span_px / 2
    for frame in range(known.n_frames):
        own = known.frame == frame
        lower = known.places_yx[own & (known.half == 0), 0]
        upper = known.places_yx[own & (known.half == 1), 0]
        assert upper.min() - reach > lower.max() + reach
        first, second = known.halves[frame]
        assert lower.max() + reach <= first.last + 1
        assert upper.min() - reach >= second.first - 1


def test_lock_of_another_net_is_not_used() -> None:
    rule = reference().rule
    own = own_lock(square_frame(0).copy())
    other = own_lock(square_frame(0, scale=1.3).copy())
    assert own is not None
    assert matching_lock(rule, own) is own
    assert matching_lock(rule, other) is None
    assert matching_lock(rule, None) is None


def test_frame_like_the_reference_is_not_stale() -> None:
    assert not Freshness(0.5, 0.01, 0.0, 1.005, 0.005).is_stale


@pytest.mark.parametrize(
    ("freshness", "reason"),
    [
        (Freshness(3.5, 0.0, 0.0, 1.0, 0.0), "score"),
        (Freshness(float("nan"), 0.0, 0.0, 1.0, 0.0), "score"),
        (Freshness(0.0, 0.2, 0.0, 1.0, 0.0), "flagged"),
        (Freshness(0.0, 0.0, 0.0, 1.06, 0.0), "period"),
        (Freshness(0.0, 0.0, 0.0, 1.0, 0.09), "angle"),
    ],
)
def test_each_reason_is_told_with_its_limit(freshness: Freshness, reason: str) -> None:
    assert freshness.reasons == (reason,)
    assert "limit" in freshness.told[0]


def test_settings_out_of_range_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match=r"window_px = 32.*trim = 0.5"):
        VaeParameters(window_px=32, trim=0.5)
