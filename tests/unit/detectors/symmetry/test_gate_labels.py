"""Labels follow the rule of the paper, and each mistake has its line."""

import numpy as np
import pytest

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate_labels import (
    LabelledTiles,
    PlacedLabel,
    tiles_of_mask,
    tiles_of_rows,
    together,
)

FRAME = np.arange(128.0 * 128.0).reshape(128, 128)


def verdict(value: int, share: float, other: int = 0, other_share: float = 0.0) -> str:
    """What becomes of a tile with these shares of two values."""
    mask = np.zeros(128 * 128, np.uint8)
    first, second = round(share * mask.size), round(other_share * mask.size)
    mask[:first] = value
    mask[first : first + second] = other
    found = tiles_of_mask(FRAME, mask.reshape(128, 128))
    if found.n_dropped:
        assert len(found.tiles) == 0
        return "dropped"
    return "defect" if found.is_defect[0] else "clean"


@pytest.mark.parametrize(
    ("share", "wanted"),
    [(0.0, "clean"), (0.009, "clean"), (0.02, "dropped"), (0.09, "dropped"), (0.11, "defect")],
)
def test_share_of_defects_decides(share: float, wanted: str) -> None:
    assert verdict(255, share) == wanted


@pytest.mark.parametrize(
    ("share", "wanted"),
    [
        (0.009, "clean"),
        (0.05, "dropped"),
        (0.11, "defect"),
        (0.5, "defect"),
        (0.89, "defect"),
        (0.95, "dropped"),
        (0.995, "clean"),
        (1.0, "clean"),
    ],
)
def test_boundary_is_a_defect_and_the_other_domain_is_not(share: float, wanted: str) -> None:
    assert verdict(127, share) == wanted


def test_amorphous_patch_in_the_other_domain_is_a_defect() -> None:
    assert verdict(255, 0.2, 127, 0.8) == "defect"


def test_mask_of_true_and_false_is_one_of_defects() -> None:
    mask = np.zeros((128, 128), np.bool_)
    mask[:64] = True
    assert tiles_of_mask(FRAME, mask).is_defect.tolist() == [True]


def test_tiles_lie_side_by_side_in_row_major_order() -> None:
    frame = np.arange(200 * 150).reshape(200, 150)
    found = tiles_of_mask(frame, np.zeros((200, 150), np.uint8), tile_px=64)
    assert found.tiles[:, 0, 0].tolist() == [frame[y, x] for y in (0, 64, 128) for x in (0, 64)]


@pytest.mark.parametrize(
    ("frame", "mask", "told"),
    [
        (FRAME, np.zeros((64, 128)), "64 x 128 for a frame of 128 x 128"),
        (FRAME, np.zeros((128, 128, 3)), "128 x 128 x 3"),
        (FRAME, np.full((128, 128), 128), "holds 128, expected 0"),
        (FRAME, np.eye(128), "holds 1, expected 0"),
        (FRAME, np.full((128, 128), np.nan), "holds nan, expected 0"),
        (np.zeros((100, 300)), np.zeros((100, 300)), "holds no tile of 128 px"),
    ],
)
def test_mistaken_masks_are_refused_in_one_line(
    frame: np.ndarray, mask: np.ndarray, told: str
) -> None:
    with pytest.raises(FitError) as refusal:
        tiles_of_mask(frame, mask, name="mask.png")
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_places_are_middles_of_tiles() -> None:
    frame = np.arange(300 * 400).reshape(300, 400)
    rows = [PlacedLabel(3, (150, 200), is_defect=True), PlacedLabel(3, (0, 399), is_defect=False)]
    found = tiles_of_rows({3: frame}, rows)
    assert found.is_defect.tolist() == [True, False]
    assert found.tiles[0, 0, 0] == frame[150 - 64, 200 - 64]
    assert found.tiles[1, 0, 0] == frame[0, 400 - 128]


def test_a_frame_may_be_the_tile() -> None:
    tiles = {k: np.full((64, 64), float(k)) for k in range(3)}
    found = tiles_of_rows(tiles, [PlacedLabel(k, None, is_defect=k == 1) for k in range(3)])
    assert found.tiles[:, 0, 0].tolist() == [0.0, 1.0, 2.0]
    assert found.is_defect.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("shape", "place", "told"),
    [
        ((300, 400), (300, 0), "one.tif: the label at y_px, x_px = (300, 0) is outside"),
        ((300, 400), (0, -1), "outside of the frame of 300 x 400"),
        ((300, 100), (0, 0), "holds no tile of 128 px"),
        ((300, 400), None, "labelled as a whole, but is 300 x 400"),
        ((64, 63), None, "expected a square tile"),
        ((16, 16), None, "16"),
    ],
)
def test_places_that_are_none_are_named(
    shape: tuple[int, int], place: tuple[int, int] | None, told: str
) -> None:
    rows = [PlacedLabel(0, place, is_defect=True)]
    with pytest.raises(FitError) as refusal:
        tiles_of_rows({0: np.zeros(shape)}, rows, names={0: "one.tif"})
    assert told in str(refusal.value)


def test_no_places_are_refused() -> None:
    with pytest.raises(FitError, match="expected rows that name a place"):
        tiles_of_rows({0: FRAME}, [])


def test_tiles_of_several_frames_are_put_together() -> None:
    one = LabelledTiles(np.zeros((2, 64, 64), np.float32), np.array([True, False]), 3)
    none = LabelledTiles(np.zeros((0, 64, 64), np.float32), np.zeros(0, np.bool_), 4)
    both = together([one, none, one])
    assert both.is_defect.tolist() == [True, False, True, False]
    assert both.n_dropped == 10


def test_tiles_of_two_sides_are_refused() -> None:
    parts = [
        LabelledTiles(np.zeros((1, side, side), np.float32), np.array([True])) for side in (64, 128)
    ]
    with pytest.raises(FitError, match="64, 128, expected tiles of one side"):
        together(parts)
