"""Pixels fall into the bins of the definition, and cells are found where they lie."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.cells import (
    CELL_BINS,
    add_to_cell,
    cell_index,
    leave_out,
    place_cells,
    predict,
)
from reference import cells as slow
from support.images import images, random_image

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 40)
STEPS = st.integers(1, 9)
NODES = st.integers(2, 6)
# Two vectors of 8 and 9 px that are neither along the axes nor at right angles.
BASIS_PX = np.array([[7.5, 2.8], [-3.1, 8.4]])
RECIPROCAL_PER_PX = np.linalg.inv(BASIS_PX).T
ROUNDING = 1e-6  # turns, where the bin of a pixel at an edge is open


def smooth_phase(seed: int, shape: tuple[int, int], turns_a_node: float) -> NDArray[np.float32]:
    """Draw a phase that changes from block to block by no more than so much."""
    rng = np.random.default_rng(seed)
    along_y, along_x = np.indices(shape)
    slopes = rng.uniform(-0.4, 0.4, (2, 2, 1, 1))
    bumps = rng.uniform(-0.1, 0.1, (2, *shape))
    whole = rng.integers(-3, 4, (2, 1, 1))
    phase = whole + turns_a_node * (slopes[0] * along_y + slopes[1] * along_x + bumps)
    return np.asarray(phase, np.float32)


def pixels(shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.moveaxis(np.indices(shape).astype(np.float64), 0, -1)


def indexed(phase: NDArray[np.float32], step: int, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Bins (H, W, 2) along both vectors."""
    out = np.full(shape, 65535, np.uint16)
    cell_index(RECIPROCAL_PER_PX, phase, step, out)
    return np.stack([out // CELL_BINS, out % CELL_BINS], axis=-1).astype(np.int64)


def placed(
    wanted: NDArray[np.float64], phase: NDArray[np.float32], step: int
) -> NDArray[np.float64]:
    out = np.full(wanted.shape, np.nan)
    place_cells(wanted, BASIS_PX, phase, step, out)
    return out


@example(1, (28, 13), (3, 2), 1)  # far beyond the last block
@given(SEEDS, st.tuples(SIDES, SIDES), st.tuples(NODES, NODES), STEPS)
def test_bin_is_the_floor_of_the_fraction_but_for_rounding_at_its_edges(
    seed: int, shape: tuple[int, int], nodes: tuple[int, int], step: int
) -> None:
    # Grids larger and smaller than the frame, too.
    phase = smooth_phase(seed, nodes, 3.0)
    found = indexed(phase, step, shape)
    turns = slow.cell_coordinates(RECIPROCAL_PER_PX, phase, step, pixels(shape))
    rounded = [found == slow.bins(turns + error) for error in (-ROUNDING, 0.0, ROUNDING)]
    assert np.any(rounded, axis=0).all()


def test_pixels_on_a_bin_edge_are_few() -> None:
    phase = smooth_phase(1, (10, 12), 0.1)
    turns = slow.cell_coordinates(RECIPROCAL_PER_PX, phase, 7, pixels((70, 90)))
    assert (indexed(phase, 7, (70, 90)) == slow.bins(turns)).mean() > 0.999


def test_phase_of_a_whole_turn_changes_no_bin() -> None:
    phase = smooth_phase(2, (6, 6), 0.1)
    moved = indexed(phase + np.float32(2.0), 8, (50, 50))
    assert (moved == indexed(phase, 8, (50, 50))).mean() > 0.995


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_phase_that_is_no_number_still_gives_a_bin_of_the_cell(value: float) -> None:
    out = np.full((20, 20), 65535, np.uint16)
    cell_index(RECIPROCAL_PER_PX, np.full((2, 4, 4), value, np.float32), 5, out)
    assert out.max() < CELL_BINS**2


@pytest.mark.parametrize("nodes", [(1, 5), (5, 1), (0, 0)])
def test_phase_of_fewer_than_two_blocks_is_refused(nodes: tuple[int, int]) -> None:
    phase = np.zeros((2, *nodes), np.float32)
    with pytest.raises(ValueError, match="2 x 2"):
        indexed(phase, 4, (20, 20))
    with pytest.raises(ValueError, match="2 x 2"):
        placed(np.zeros((1, 2)), phase, 4)


@given(images(), st.data())
def test_sums_of_bins_agree_with_the_definition(
    image: NDArray[np.float32], data: st.DataObject
) -> None:
    # Few bins, so that several pixels share one; and the last.
    some = st.sampled_from([0, 1, 127, 128, CELL_BINS**2 - 1])
    index = data.draw(arrays(np.uint16, image.shape, elements=some))
    used = data.draw(arrays(np.uint8, image.shape, elements=st.integers(0, 1)))
    total, count = np.full(CELL_BINS**2, 0.5), np.full(CELL_BINS**2, 3, np.int64)
    add_to_cell(image, index, used, total, count)
    expected = slow.add_to_cell(image, index, used)
    np.testing.assert_allclose(total - 0.5, expected[0], rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(count - 3, expected[1])


BOXES = st.lists(st.tuples(*[st.integers(-5, 45)] * 4), max_size=4)


@given(SEEDS, st.tuples(SIDES, SIDES), BOXES)
def test_what_is_left_out_of_a_cell_might_never_have_been_in_it(
    seed: int, shape: tuple[int, int], boxes: list[tuple[int, int, int, int]]
) -> None:
    rng = np.random.default_rng(seed)
    image, index = rng.normal(size=shape).astype(np.float32), rng.integers(0, 9, shape)
    used = (rng.random(shape) < 0.8).astype(np.uint8)
    bins = index.astype(np.uint16)
    total, count = slow.add_to_cell(image, bins, used)
    before = int(used.sum())
    places = np.array(boxes, np.int64).reshape(-1, 4)
    n_left_out = leave_out(image, bins, used, places, total, count)
    y, x = np.indices(shape)
    for top, bottom, left, right in boxes:
        assert not used[(top <= y) & (y < bottom) & (left <= x) & (x < right)].any()
    assert n_left_out == before - int(used.sum())
    expected = slow.add_to_cell(image, bins, used)
    np.testing.assert_allclose(total, expected[0], atol=1e-9)
    np.testing.assert_array_equal(count, expected[1])


@given(SEEDS, st.tuples(SIDES, SIDES))
def test_prediction_is_the_value_of_the_bin(seed: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    index = rng.integers(0, CELL_BINS**2, shape).astype(np.uint16)
    cell = rng.normal(size=CELL_BINS**2).astype(np.float32)
    out = np.full(shape, np.nan, np.float32)
    predict(index, cell, out)
    np.testing.assert_array_equal(out, cell[index])


def test_nan_of_a_bin_reaches_its_own_pixels_only() -> None:
    index = np.arange(12, dtype=np.uint16).reshape(3, 4)
    cell = np.zeros(CELL_BINS**2, np.float32)
    cell[5] = np.nan
    out = np.empty(index.shape, np.float32)
    predict(index, cell, out)
    assert np.argwhere(np.isnan(out)).tolist() == [[1, 1]]


def test_frame_that_repeats_its_cell_is_predicted() -> None:
    cell = random_image(3, (1, CELL_BINS**2))[0]
    index = np.empty((60, 60), np.uint16)
    cell_index(RECIPROCAL_PER_PX, smooth_phase(4, (8, 8), 0.05), 8, index)
    total, count = np.zeros(CELL_BINS**2), np.zeros(CELL_BINS**2, np.int64)
    add_to_cell(cell[index], index, np.ones(index.shape, np.uint8), total, count)
    mean, out = (total / np.maximum(count, 1)).astype(np.float32), np.empty((60, 60), np.float32)
    predict(index, mean, out)
    np.testing.assert_array_equal(out, cell[index])


@given(SEEDS, st.tuples(NODES, NODES), STEPS, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_place_agrees_with_the_definition(
    seed: int, nodes: tuple[int, int], step: int, share_y: float, share_x: float
) -> None:
    # By 1 % of a turn per lattice vector, from block to block.
    phase = smooth_phase(seed, nodes, 0.01 * step / 9)
    # From a block before the frame to the last pixel that may be left over behind the last block.
    reach = (np.array(nodes) + 2) * step - 1
    place = np.array([[share_y, share_x]]) * reach - step
    wanted = slow.cell_coordinates(RECIPROCAL_PER_PX, phase, step, place)
    expected = slow.place_cell(wanted[0], RECIPROCAL_PER_PX, phase, step)
    np.testing.assert_allclose(placed(wanted, phase, step)[0], expected, atol=1e-5)


@given(SEEDS, STEPS, st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)))
def test_cell_coordinates_at_the_place_are_those_wanted_up_to_the_far_edge(
    seed: int, step: int, share_yx: tuple[float, float]
) -> None:
    # All but one pixel of a block is left over behind the last one.
    side = 6 * step - 1
    phase = smooth_phase(seed, (5, 5), 0.01 * step / 9)
    wanted = slow.cell_coordinates(
        RECIPROCAL_PER_PX, phase, step, np.array([share_yx]) * (side - 1)
    )
    found = slow.cell_coordinates(RECIPROCAL_PER_PX, phase, step, placed(wanted, phase, step))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_cells_far_outside_keep_the_phase_of_the_edge() -> None:
    phase = smooth_phase(5, (5, 5), 0.01)
    far = placed(np.array([[1e3, -1e3]]), phase, 8)[0]
    turns = RECIPROCAL_PER_PX @ far - [1e3, -1e3]
    assert np.abs(turns + phase.mean(axis=(1, 2))).max() < 0.1


def test_place_that_is_not_a_number_stays_so_and_spoils_no_other() -> None:
    phase = smooth_phase(6, (5, 5), 0.01)
    wanted = np.array([[np.nan, 1.0], [2.0, 3.0], [np.inf, 0.0], [1e300, 1.0]])
    found = placed(wanted, phase, 8)
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], placed(wanted[1:2], phase, 8)[0])
