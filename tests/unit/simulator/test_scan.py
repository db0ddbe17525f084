"""The simulator's own geometry against the one that the daemon uses."""

from math import hypot

import numpy as np
import pytest

from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from latticewatch.simulator.scan import (
    DRIFT_RANGE_NM,
    drift_nm_yx,
    gain,
    specimen_to_pixel,
)
from latticewatch.simulator.sources import simulated_shots
from latticewatch.wire.geometry import Geometry
from support.headers import frame


@pytest.mark.parametrize("scan_rotation_deg", [0.0, 25.0, -130.0])
@pytest.mark.parametrize("shape_yx", [(128, 128), (100, 240)])
def test_places_agree_with_the_geometry_of_the_wire(
    shape_yx: tuple[int, int], scan_rotation_deg: float
) -> None:
    settings = MicroscopeSettings(shape_yx=shape_yx, scan_rotation_deg=scan_rotation_deg)
    shot = next(simulated_shots(Microscope(settings), n_frames=1, tell_truth=False))
    geometry = Geometry.from_header(frame(0, shape_yx=shape_yx, **shot.fields))
    nm_yx = np.random.default_rng(1).uniform(-1, 1, (50, 2))
    np.testing.assert_allclose(
        geometry.to_nm(specimen_to_pixel(nm_yx, settings)), nm_yx, atol=1e-12
    )


def test_drift_starts_at_nothing_and_at_its_speed() -> None:
    settings = MicroscopeSettings(drift_nm_s=0.02, fps=10.0)
    assert not drift_nm_yx(settings, 0).any()
    assert hypot(*drift_nm_yx(settings, 1)) == pytest.approx(0.002, rel=1e-4)


def test_drift_never_leaves_the_crystal_nor_exceeds_its_speed() -> None:
    settings = MicroscopeSettings(drift_nm_s=1.0, fps=10.0)
    path = np.array([drift_nm_yx(settings, index) for index in range(3000)])
    assert abs(path).max() <= DRIFT_RANGE_NM
    assert np.hypot(*np.diff(path, axis=0).T).max() <= 0.1 + 1e-12


def test_truth_moves_with_the_drift() -> None:
    microscope = Microscope(
        MicroscopeSettings(drift_nm_s=0.5, fps=10.0, scan_rotation_deg=30.0, seed=5)
    )
    first, later = microscope.truth(0), microscope.truth(1)
    assert first.kind == later.kind
    moved = later.pixel_yx - first.pixel_yx
    np.testing.assert_allclose(moved, np.broadcast_to(later.drift_px_yx, moved.shape), atol=1e-9)
    assert hypot(*later.drift_px_yx) == pytest.approx(0.05 / 0.0131, rel=1e-3)


@pytest.mark.parametrize("percent", [0.0, 10.0])
def test_gain_swings_by_what_was_asked(percent: float) -> None:
    settings = MicroscopeSettings(gain_change_percent=percent, fps=10.0)
    gains = [gain(settings, index) for index in range(200)]
    assert max(gains) == pytest.approx(1 + percent / 100, rel=1e-3)
    assert min(gains) == pytest.approx(1 - percent / 100, rel=1e-3)
