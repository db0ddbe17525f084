"""The lattice of a frame is found without parameters, and only where there is one."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.detectors.lattice import (
    NULL_STRENGTH,
    find_lattice,
    reduce_basis,
    search_lattice,
)
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.reference_rule import FitError, reference_rule
from support.crystals import CRYSTALS, image_of, net_frame, spans_the_same_net, specimen
from support.empty_frames import DRAWN, MEASURED, empty_frames

SHAPE_YX = (256, 256)
RNG = np.random.default_rng(8)
Y, X = np.indices(SHAPE_YX).astype(np.float64)


def turned(basis: list[list[float]], angle_deg: float) -> list[list[float]]:
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    turn = np.array([[cos, -sin], [sin, cos]])
    return [[float(part) for part in row] for row in np.array(basis) @ turn]


SQUARE = [[20.0, 0.0], [0.0, 20.0]]
HEXAGONAL = [[0.0, 22.6], [22.6 * math.sqrt(0.75), 11.3]]
OBLIQUE = [[18.0, 3.0], [5.0, 24.0]]
NETS = {
    "square": SQUARE,
    "square, turned by 11 degrees": turned(SQUARE, 11.0),
    "square, turned by 45 degrees": turned(SQUARE, 45.0),
    "hexagonal": HEXAGONAL,
    "hexagonal, turned by 11 degrees": turned(HEXAGONAL, 11.0),
    "hexagonal, turned by 29 degrees": turned(HEXAGONAL, 29.0),
    "oblique": OBLIQUE,
    "oblique, turned by 100 degrees": turned(OBLIQUE, 100.0),
    "rectangular, 2 to 5": [[12.0, 0.0], [0.0, 30.0]],
}


@pytest.mark.parametrize("name", NETS)
def test_net_is_found_whatever_its_shape_and_angle(name: str) -> None:
    lattice = find_lattice(net_frame(NETS[name]))

    assert lattice is not None
    assert spans_the_same_net(lattice.basis_px_yx, np.array(NETS[name]))


def test_honeycomb_has_the_lattice_of_its_cell() -> None:
    frame = net_frame(HEXAGONAL, motif=((1 / 3, 1 / 3), (2 / 3, 2 / 3)), sigma_px=2.7)

    lattice = find_lattice(frame)

    assert lattice is not None
    assert spans_the_same_net(lattice.basis_px_yx, np.array(HEXAGONAL))
    assert lattice.period_px == pytest.approx(22.6, rel=0.01)
    assert lattice.cell_area_px2 == pytest.approx(22.6**2 * math.sqrt(0.75), rel=0.02)


def test_dark_columns_have_the_same_lattice() -> None:
    lattice = find_lattice(40.0 - net_frame(OBLIQUE))

    assert lattice is not None
    assert spans_the_same_net(lattice.basis_px_yx, np.array(OBLIQUE))


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_simulated_crystal_has_the_period_of_its_truth(crystal: str) -> None:
    pixels, truth = specimen(crystal, seed=3)

    lattice = find_lattice(image_of(pixels))

    assert lattice is not None
    shortest = np.linalg.norm(lattice.basis_px_yx[0])
    assert shortest == pytest.approx(truth.period_px, rel=0.01)


@pytest.mark.parametrize("shape_yx", [(256, 400), (400, 256), (201, 333)])
def test_frame_need_not_be_square(shape_yx: tuple[int, int]) -> None:
    lattice = find_lattice(net_frame(OBLIQUE, shape_yx=shape_yx))

    assert lattice is not None
    assert spans_the_same_net(lattice.basis_px_yx, np.array(OBLIQUE))


def test_brightness_ramp_does_not_hide_the_lattice() -> None:
    ramp = (0.3 * Y + 0.1 * X).astype(np.float32)

    lattice = find_lattice(net_frame(SQUARE) + ramp)

    assert lattice is not None
    assert spans_the_same_net(lattice.basis_px_yx, np.array(SQUARE))


def test_half_a_frame_of_crystal_shows_its_lattice() -> None:
    crystal = net_frame(SQUARE, shape_yx=(512, 512))
    vacuum = RNG.poisson(5.0, crystal.shape)
    half_vacuum = np.where(np.arange(512) < 256, crystal, vacuum)

    lattice = find_lattice(half_vacuum.astype(np.float32))

    assert lattice is not None
    assert spans_the_same_net(lattice.basis_px_yx, np.array(SQUARE))


EMPTY: dict[str, NDArray[np.floating]] = {
    "normal noise": RNG.normal(size=SHAPE_YX),
    "Poisson noise": RNG.poisson(100.0, SHAPE_YX).astype(np.float64),
    "vacuum": RNG.poisson(0.02, SHAPE_YX).astype(np.float64),
    "zeros": np.zeros(SHAPE_YX),
    "constant": np.full(SHAPE_YX, 700.0),
    "ramp with noise": Y / 10 + RNG.normal(size=SHAPE_YX),
    "step": 1.0 * (X > 100),
    "step with noise": 5.0 * (X > 100) + RNG.normal(size=SHAPE_YX),
    "stripes with noise": np.add(3.0 * np.sin(X / 4), RNG.normal(size=SHAPE_YX)),
    "one pixel": 1.0 * ((X == 100) & (Y == 90)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_frame_without_crystal_has_no_lattice(name: str) -> None:
    assert find_lattice(EMPTY[name].astype(np.float32)) is None


@pytest.mark.parametrize("seed", range(12))
def test_noise_of_any_seed_has_no_lattice(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(192, 256)).astype(np.float32)

    assert find_lattice(noise) is None


# Without noise any leakage of the window stands out of nothing and is a peak. What the peaks make
# up, no site agrees with.
SMOOTH: dict[str, NDArray[np.floating]] = {
    "ramp": Y,
    "slanting ramp": Y + 2 * X,
    "stripes": np.sin(X / 4),
    "checkerboard": (X + Y) % 2,
}


@pytest.mark.parametrize("name", [*EMPTY, *SMOOTH])
def test_frame_without_crystal_is_no_reference(name: str) -> None:
    frame = (EMPTY | SMOOTH)[name].astype(np.float32)

    with pytest.raises(FitError) as refusal:
        reference_rule([frame], PattersonParameters(), [])

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("shape_yx", [(16, 16), (16, 500), (500, 16), (17, 33)])
@pytest.mark.parametrize("content", ["noise", "zeros", "one pixel"])
def test_tiny_frames_have_no_lattice(shape_yx: tuple[int, int], content: str) -> None:
    frame = np.zeros(shape_yx, np.float32)
    if content == "noise":
        frame[:] = np.random.default_rng(1).normal(size=shape_yx)
    if content == "one pixel":
        frame[3, 4] = 1.0

    assert find_lattice(frame) is None


def test_largest_floats_are_looked_at_without_overflow() -> None:
    frame = np.where(RNG.random(SHAPE_YX) < 0.5, 3e38, -3e38).astype(np.float32)

    assert find_lattice(frame) is None


@pytest.mark.parametrize("name", MEASURED)
def test_frame_of_any_noise_has_no_lattice(name: str) -> None:
    for _, frame in empty_frames({name: MEASURED[name]}, 3):
        search = search_lattice(frame)
        assert search.lattice is None
        assert search.strength < search.threshold == NULL_STRENGTH
        assert search.reason.startswith("not periodic: ")


@pytest.mark.parametrize("name", DRAWN)
def test_drawing_without_noise_has_no_lattice(name: str) -> None:
    for _, frame in empty_frames({name: DRAWN[name]}, 3):
        assert find_lattice(frame) is None


@pytest.mark.slow
def test_a_thousand_empty_frames_have_no_lattice() -> None:
    found = [name for name, frame in empty_frames(MEASURED, 40) if find_lattice(frame) is not None]

    assert found == []


@pytest.mark.parametrize("counts", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_crystal_is_found_at_a_third_of_a_count_per_pixel(crystal: str, counts: float) -> None:
    pixels, truth = specimen(crystal, seed=5, dose_e_per_ang2=1e5, rotation_deg=17.0)
    mean = pixels.astype(np.float64) - 100.0
    frame = np.random.default_rng(6).poisson(np.maximum(mean, 0.0) * counts / mean.mean())

    search = search_lattice(frame.astype(np.float32))

    assert search.lattice is not None
    assert search.strength > 2 * search.threshold
    assert search.reason == ""
    shortest = np.linalg.norm(search.lattice.basis_px_yx[0])
    assert shortest == pytest.approx(truth.period_px, rel=0.01)


def test_weak_reflections_of_a_superlattice_are_heeded() -> None:
    """Every second column a little brighter: the cell is twice as large."""
    one = net_frame(SQUARE, shape_yx=(512, 512), seed=None)
    other = net_frame([[20.0, 20.0], [20.0, -20.0]], shape_yx=(512, 512), seed=None)
    frame = RNG.poisson(one + 0.1 * other).astype(np.float32)

    lattice = find_lattice(frame)

    assert lattice is not None
    assert spans_the_same_net(lattice.basis_px_yx, np.array([[20.0, 20.0], [20.0, -20.0]]))


STEPS = st.tuples(*[st.integers(-9, 9)] * 3)
LENGTHS = st.floats(-50.0, 50.0)
VECTORS = st.tuples(LENGTHS, LENGTHS)


@given(STEPS, VECTORS, VECTORS)
def test_reduced_basis_is_the_shortest_of_the_same_net(
    steps: tuple[int, int, int], a_yx: tuple[float, float], b_yx: tuple[float, float]
) -> None:
    over, under, more = steps
    start = np.array([a_yx, b_yx])
    lengths = np.linalg.norm(start, axis=1)
    # Thinner cells than any crystal's only test the rounding of float64.
    assume(lengths.min() > 1 and abs(np.linalg.det(start)) > 0.05 * np.prod(lengths))
    # Shears have determinant 1: any product of them is another basis of the same net.
    mixed = (
        np.array([[1, over], [0, 1]])
        @ np.array([[1, 0], [under, 1]])
        @ np.array([[1, more], [0, 1]])
        @ start
    )

    reduced = reduce_basis(mixed)

    first, second = reduced
    assert np.allclose(abs(np.linalg.det(reduced)), abs(np.linalg.det(start)), rtol=1e-6)
    whole = reduced @ np.linalg.inv(start)
    assert np.allclose(whole, np.round(whole), atol=1e-6)
    # Gauss: a basis is shortest exactly when its vectors are nearly upright on each other.
    assert first @ first <= second @ second * (1 + 1e-9)
    assert 2 * abs(first @ second) <= first @ first * (1 + 1e-9)
    around = [(k, n) for k in range(-4, 5) for n in range(-4, 5) if (k, n) != (0, 0)]
    nearby = np.array(around) @ start
    assert np.linalg.norm(first) <= np.linalg.norm(nearby, axis=1).min() * (1 + 1e-9)
