"""Where the specimen is when a frame is scanned, and how the rows are placed.

The geometry is written here anew, without the one the daemon uses: agreement is evidence.
"""

from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from latticewatch.simulator.crystal import rotate
from latticewatch.simulator.settings import MicroscopeSettings

DRIFT_RANGE_NM = 0.6
"""Drift turns back here, so that a finite piece of crystal serves for ever."""

GAIN_PERIOD_S = 17.0
"""A slow swing, seen within a minute and unlike any other period here."""

_DRIFT_DIRECTION_RAD = radians(37.0)


def drift_nm_yx(settings: MicroscopeSettings, index: int) -> NDArray[np.float64]:
    """How far the specimen has moved since frame 0.

    Each axis swings as a sine, so the speed is `drift_nm_s` at first and never more.
    """
    path_nm = settings.drift_nm_s * index / settings.fps
    swing = path_nm / DRIFT_RANGE_NM
    direction = (sin(_DRIFT_DIRECTION_RAD), cos(_DRIFT_DIRECTION_RAD))
    return DRIFT_RANGE_NM * np.array([sin(swing * along) for along in direction])


def gain(settings: MicroscopeSettings, index: int) -> float:
    """Detector gain of a frame against its mean."""
    turn = 2.0 * np.pi * index / settings.fps / GAIN_PERIOD_S
    return 1.0 + settings.gain_change_percent / 100.0 * sin(turn)


def row_shifts_px(settings: MicroscopeSettings, index: int) -> NDArray[np.float32]:
    """Sideways shift of every row of a frame, independent from row to row."""
    rng = np.random.default_rng([settings.seed, 3, index])
    return rng.normal(0.0, settings.jitter_px, settings.shape_yx[0]).astype(np.float32)


def specimen_to_pixel(
    nm_yx: NDArray[np.float64], settings: MicroscopeSettings
) -> NDArray[np.float64]:
    """Convert places in the specimen plane to pixels of the frame; (0, 0) nm is its centre."""
    centre_yx = (np.array(settings.shape_yx) - 1.0) / 2.0
    return rotate(nm_yx, -settings.scan_rotation_rad) / settings.pixel_size_nm + centre_yx


def field_of_view_nm_yx(settings: MicroscopeSettings) -> tuple[float, float]:
    """Size of the frame in the specimen plane."""
    rows, columns = settings.shape_yx
    return rows * settings.pixel_size_nm, columns * settings.pixel_size_nm
