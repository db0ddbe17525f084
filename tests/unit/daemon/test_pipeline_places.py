"""Places of defects in the units of the microscope: fractions of its field, and nanometres."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.wire.frames import PartialContext, Roi
from support.crystals import Bench, places, specimen

PIXEL_NM = 0.0131
SHAPE_YX = (384, 512)
PIXELS, TRUTH = specimen(shape_yx=SHAPE_YX, seed=4)
FOV_NM_YX = (SHAPE_YX[0] * PIXEL_NM, SHAPE_YX[1] * PIXEL_NM)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def nanometres(pixel_yx: NDArray[np.float64], angle_rad: float) -> NDArray[np.float64]:
    """From the middle of the frame, y down, turned so that +x goes towards +y."""
    y, x = ((pixel_yx - (np.array(SHAPE_YX) - 1) / 2) * PIXEL_NM).T
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.stack([y * cos + x * sin, x * cos - y * sin], axis=1)


def test_frame_without_calibration_has_no_nanometres(bench: Bench) -> None:
    event = bench.judge(PIXELS)

    assert event.n_defects > 3
    assert not event.calibrated
    assert all(defect.nm_yx is None for defect in event.defects)
    assert event.lattice is not None
    assert event.lattice.period_nm is None


def test_fractions_count_pixels_from_the_corner_of_the_first(bench: Bench) -> None:
    event = bench.judge(PIXELS)

    frac_yx = np.array([defect.frac_yx for defect in event.defects])
    assert np.allclose(frac_yx, (places(event) + 0.5) / SHAPE_YX, atol=1e-12)


@pytest.mark.parametrize("angle_rad", [0.0, 0.3, -1.2])
def test_calibrated_frame_has_nanometres_about_its_centre(bench: Bench, angle_rad: float) -> None:
    context = PartialContext(fov_nm_yx=FOV_NM_YX, center_nm_yx=(12.5, -3.0), rotation_rad=angle_rad)

    event = bench.judge(PIXELS, calibrated=True, context=context)

    nm_yx = np.array([defect.nm_yx for defect in event.defects])
    assert event.calibrated
    assert event.context.fov_nm_yx == FOV_NM_YX
    from_middle = nanometres(places(event), angle_rad)
    assert np.allclose(nm_yx - from_middle, (12.5, -3.0), atol=1e-9)


def test_period_in_nanometres_is_that_of_the_crystal(bench: Bench) -> None:
    context = PartialContext(fov_nm_yx=FOV_NM_YX, center_nm_yx=(0.0, 0.0), rotation_rad=0.2)

    event = bench.judge(PIXELS, calibrated=True, context=context)

    assert event.lattice is not None
    assert event.lattice.period_nm == pytest.approx(0.316, rel=0.005)


def test_part_of_the_field_reports_fractions_of_the_whole(bench: Bench) -> None:
    context = PartialContext(size_yx=(1536, 2048))
    roi = Roi(center_frac_yx=(0.25, 0.6), size_frac_yx=(0.25, 0.25))

    event = bench.judge(PIXELS, context=context, roi=roi)

    own = (places(event) + 0.5) / SHAPE_YX
    frac_yx = np.array([defect.frac_yx for defect in event.defects])
    assert np.allclose(frac_yx, np.array([0.25, 0.6]) + 0.25 * (own - 0.5), atol=1e-12)
    assert event.roi == roi


def test_lattice_of_the_event_meets_the_crystal(bench: Bench) -> None:
    """From its origin by its vectors one comes to columns and not between them."""
    event = bench.judge(specimen(shape_yx=SHAPE_YX, seed=4, perfect=True)[0])
    assert event.lattice is not None
    lattice = event.lattice
    basis = np.array([lattice.a_px_yx, lattice.b_px_yx])
    steps = np.array([(i, j) for i in range(-3, 4) for j in range(-3, 4)])
    columns = np.round(np.array(lattice.origin_px_yx) + steps @ basis).astype(int)
    image = specimen(shape_yx=SHAPE_YX, seed=4, perfect=True)[0].astype(float)

    on = [image[y - 2 : y + 3, x - 2 : x + 3].mean() for y, x in columns]

    assert np.mean(on) > np.quantile(image, 0.85)
    assert lattice.domains == 1
    assert lattice.rms_px < 1.5
