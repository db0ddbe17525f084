"""A gate has its say on the tiles that it knows, at its own size of tiles."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.gated_tiles import gated, side_of_whole

Image = NDArray[np.float32]


@dataclass
class Verdicts:
    p_defect: NDArray[np.float64]
    known: NDArray[np.bool_]


@dataclass
class BrightIsDefect:
    """Calls bright tiles defects, and knows none that is darker than zero."""

    tile_px: int
    network: bytes = b""

    def judge(self, tiles: Image) -> Verdicts:
        assert tiles.shape[1:] == (self.tile_px, self.tile_px)
        assert tiles.dtype == np.float32
        assert tiles.flags.c_contiguous
        mean = tiles.mean(axis=(1, 2))
        return Verdicts(np.where(mean > 1, 0.9, 0.1), mean >= 0)


def frame_of(values: list[list[float]], side_px: int) -> Image:
    return np.kron(np.array(values, np.float32), np.ones((side_px, side_px), np.float32)).astype(
        np.float32
    )


def test_a_tile_is_clean_if_all_tiles_of_the_gate_inside_are() -> None:
    frame = frame_of([[0, 0, 0, 0], [0, 0, 5, 0]], 64)
    clean = gated(BrightIsDefect(64), frame, 128, np.ones((1, 2), bool))
    assert clean.tolist() == [[True, False]]


def test_where_the_gate_does_not_know_typicality_does() -> None:
    frame = frame_of([[-1, -1, 0, -1, 5, -1]], 64)
    typical = np.array([[True, False, False, True, True, True]])
    assert gated(BrightIsDefect(64), frame, 64, typical).tolist() == [
        [True, False, True, True, False, True]
    ]


def test_pixels_beyond_the_last_whole_tile_have_no_say() -> None:
    frame = np.pad(frame_of([[0, 0]], 96), ((0, 40), (0, 90)), constant_values=9)
    assert gated(BrightIsDefect(96), frame, 96, np.zeros((1, 2), bool)).all()


@pytest.mark.parametrize(("tile_px", "gate_px"), [(128, 128), (128, 96), (64, 128), (512, 32)])
def test_sides_are_whole_multiples_of_those_of_the_gate(tile_px: int, gate_px: int) -> None:
    side_px = side_of_whole(tile_px, gate_px)
    assert side_px % gate_px == 0
    assert gate_px <= side_px <= max(tile_px, gate_px)
