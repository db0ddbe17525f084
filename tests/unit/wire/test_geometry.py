"""Pixel, fraction and nanometre, against the formulas and an independent chain."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.wire.frames import Context, FrameHeader, Roi
from latticewatch.wire.geometry import Geometry, turn

WORKED = Geometry(
    shape_yx=(128, 192),
    calibrated=True,
    context=Context(
        size_yx=(512, 1024), fov_nm_yx=(8.0, 16.0), center_nm_yx=(1.5, -2.0), rotation_rad=0.3
    ),
    roi=Roi(center_frac_yx=(0.40, 0.65), size_frac_yx=(0.25, 0.1875), rotation_rad=0.2),
)
DEFECT = np.array([40.25, 150.5])


def random_geometry(random: np.random.Generator, *, calibrated: bool) -> Geometry:
    def pair(low: float, high: float) -> tuple[float, float]:
        y, x = random.uniform(low, high, 2)
        return float(y), float(x)

    def sides(low: int, high: int) -> tuple[int, int]:
        y, x = random.integers(low, high, 2)
        return int(y), int(x)

    return Geometry(
        shape_yx=sides(16, 8192),
        calibrated=calibrated,
        context=Context(
            size_yx=sides(1, 65_536),
            fov_nm_yx=pair(0.5, 2000.0) if calibrated else None,
            center_nm_yx=pair(-1e4, 1e4) if calibrated else None,
            rotation_rad=float(random.uniform(-math.tau, math.tau)),
        ),
        roi=Roi(
            center_frac_yx=pair(-1.0, 2.0),
            size_frac_yx=pair(0.01, 4.0),
            rotation_rad=float(random.uniform(-math.tau, math.tau)),
        ),
    )


def chain_in_words(geometry: Geometry, pixel_yx: NDArray[np.float64]) -> tuple[list[float], ...]:
    """The chain of protocol.md 8 for one pixel, one coordinate at a time."""

    def turn(y: float, x: float, angle: float) -> tuple[float, float]:
        return (
            x * math.sin(angle) + y * math.cos(angle),
            x * math.cos(angle) - y * math.sin(angle),
        )

    context, roi = geometry.context, geometry.roi
    field = context.fov_nm_yx if geometry.calibrated and context.fov_nm_yx else context.size_yx
    y, x = (
        field[axis]
        * roi.size_frac_yx[axis]
        * ((pixel_yx[axis] + 0.5) / geometry.shape_yx[axis] - 0.5)
        for axis in (0, 1)
    )
    turned = turn(y, x, roi.rotation_rad)
    frac = [roi.center_frac_yx[axis] + turned[axis] / field[axis] for axis in (0, 1)]
    if context.fov_nm_yx is None or context.center_nm_yx is None:
        return frac, []
    y, x = (context.fov_nm_yx[axis] * (frac[axis] - 0.5) for axis in (0, 1))
    turned = turn(y, x, context.rotation_rad)
    return frac, [context.center_nm_yx[axis] + turned[axis] for axis in (0, 1)]


def test_worked_example_of_the_protocol() -> None:
    np.testing.assert_allclose(WORKED.to_fraction(DEFECT), [0.37683646, 0.70715110], atol=5e-9)
    np.testing.assert_allclose(WORKED.to_nm(DEFECT), [1.53817634, 1.45756256], atol=5e-9)
    covariance_pm2 = 1e6 * WORKED.covariance_nm(np.array([0.04, 0.01, 0.09]))
    np.testing.assert_allclose(covariance_pm2, [14.626, 6.455, 17.113], atol=5e-4)
    sigma_pm = np.sqrt(covariance_pm2[[0, 2]])
    np.testing.assert_allclose(sigma_pm, [3.82, 4.14], atol=5e-3)


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_thousand_random_geometries_agree_and_return(calibrated: bool) -> None:
    random = np.random.default_rng(20_250_101)
    for _ in range(1000):
        geometry = random_geometry(random, calibrated=calibrated)
        pixels = random.uniform(-0.5, 1.0, (3, 2)) * geometry.shape_yx
        frac, nm = chain_in_words(geometry, pixels[0])
        np.testing.assert_allclose(geometry.to_fraction(pixels)[0], frac, atol=1e-9)
        back = geometry.from_fraction(geometry.to_fraction(pixels))
        np.testing.assert_allclose(back / geometry.shape_yx, pixels / geometry.shape_yx, atol=1e-9)
        if calibrated:
            field = max(geometry.context.fov_nm_yx or ())
            np.testing.assert_allclose(geometry.to_nm(pixels)[0], nm, atol=1e-9 * field)
            back = geometry.from_nm(geometry.to_nm(pixels))
            np.testing.assert_allclose(
                back / geometry.shape_yx, pixels / geometry.shape_yx, atol=1e-8
            )


def test_covariance_is_that_of_turned_points() -> None:
    random = np.random.default_rng(7)
    points = DEFECT + random.multivariate_normal([0, 0], [[0.04, 0.01], [0.01, 0.09]], 2000)
    full = np.cov(points.T)
    sent = WORKED.covariance_nm(np.array([full[0, 0], full[0, 1], full[1, 1]]))
    expected = np.cov(WORKED.to_nm(points).T)
    np.testing.assert_allclose(sent, [expected[0, 0], expected[0, 1], expected[1, 1]], rtol=1e-9)


def test_many_places_at_once_give_each_the_same() -> None:
    places = np.array([[40.25, 150.5], [0.0, 0.0], [127.0, 191.0]])
    covariances = np.array([[0.04, 0.01, 0.09], [1.0, 0.0, 1.0]])
    for row, place in enumerate(places):
        np.testing.assert_array_equal(WORKED.to_nm(places)[row], WORKED.to_nm(place))
    for row, covariance in enumerate(covariances):
        np.testing.assert_array_equal(
            WORKED.covariance_nm(covariances)[row], WORKED.covariance_nm(covariance)
        )
    assert WORKED.to_nm(np.empty((0, 2))).shape == (0, 2)
    assert WORKED.covariance_nm(np.empty((0, 3))).shape == (0, 3)


def test_positive_angle_turns_x_towards_y() -> None:
    along_x = np.array([0.0, 1.0])
    np.testing.assert_allclose(turn(along_x, math.pi / 2), [1.0, 0.0], atol=1e-15)


def test_edges_of_the_frame_are_zero_and_one() -> None:
    plain = Geometry(
        shape_yx=(64, 96), calibrated=False, context=Context(size_yx=(64, 96)), roi=Roi()
    )
    corners = np.array([[-0.5, -0.5], [63.5, 95.5]])
    np.testing.assert_allclose(plain.to_fraction(corners), [[0, 0], [1, 1]], atol=1e-15)


def test_uncalibrated_frame_has_no_nanometres() -> None:
    plain = Geometry(
        shape_yx=(64, 96), calibrated=False, context=Context(size_yx=(64, 96)), roi=Roi()
    )
    for ask in (plain.to_nm, plain.from_nm):
        with pytest.raises(ValueError, match="only for a calibrated frame"):
            ask(DEFECT)
    with pytest.raises(ValueError, match="needs fov_nm_yx and center_nm_yx"):
        Geometry(shape_yx=(64, 96), calibrated=True, context=Context(size_yx=(1, 1)), roi=Roi())


def test_geometry_of_a_header_has_the_defaults_filled_in() -> None:
    header = FrameHeader(
        source="haadf1",
        session="0" * 32,
        seq=0,
        shape_yx=(64, 96),
        dtype="u1",
        t_complete_ns=1,
        t_source="software",
        dropped=0,
    )
    geometry = Geometry.from_header(header)
    assert geometry.context == Context(size_yx=(64, 96))
    assert geometry.roi == Roi()


@pytest.mark.parametrize("calibrated", [False, True])
def test_another_field_of_view_moves_no_fraction_and_gives_pixels_that_area(
    calibrated: bool,
) -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        given = random_geometry(random, calibrated=calibrated)

        scaled = replace(given, calibrated=True, context=given.scaled_context(0.02))

        assert np.prod(scaled.pixel_sides) == pytest.approx(0.02**2)
        assert np.allclose(scaled.to_fraction(DEFECT), given.to_fraction(DEFECT), atol=1e-9)
        assert scaled.context.rotation_rad == given.context.rotation_rad
        expected = given.context.center_nm_yx if calibrated else (0.0, 0.0)
        assert scaled.context.center_nm_yx == expected


def test_sides_of_a_pixel_are_steps_along_its_axes() -> None:
    corner = WORKED.to_nm(np.array([0.0, 0.0]))
    steps = [WORKED.to_nm(np.array(step)) - corner for step in ([1.0, 0.0], [0.0, 1.0])]

    assert WORKED.pixel_sides == pytest.approx(np.linalg.norm(steps, axis=1))
