"""Labels follow the rule of the paper, and each mistake has its line."""

from collections.abc import Mapping

import numpy as np
import pytest

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate_labels import (
    LabelledTiles,
    tiles_of_mask,
    tiles_of_rows,
    tiles_of_stack,
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


def test_rows_are_middles_of_tiles() -> None:
    frames = {"one.tif": np.arange(300 * 400).reshape(300, 400)}
    rows: list[Mapping[str, object]] = [
        {"frame": "one.tif", "y_px": "150", "x_px": "200.4", "label": "defect"},
        {"frame": "", "y_px": 0, "x_px": 399, "label": " Clean "},
    ]
    found = tiles_of_rows(frames, rows)
    assert found.is_defect.tolist() == [True, False]
    assert found.tiles[0, 0, 0] == frames["one.tif"][150 - 64, 200 - 64]
    assert found.tiles[1, 0, 0] == frames["one.tif"][0, 400 - 128]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"frame": "two.tif"}, "row 1: frame 'two.tif', expected one of one.tif"),
        ({"y_px": "here"}, "row 1: y_px = 'here'"),
        ({"x_px": None}, "row 1: x_px = ''"),
        ({"x_px": "nan"}, "row 1: x_px = 'nan'"),
        ({"y_px": "300"}, "outside of the frame of 300 x 400"),
        ({"label": "claen"}, "row 1: label 'claen', expected clean or defect"),
    ],
)
def test_mistaken_rows_are_named(change: Mapping[str, object], told: str) -> None:
    row = {"frame": "one.tif", "y_px": "150", "x_px": "200", "label": "defect"}
    with pytest.raises(FitError) as refusal:
        tiles_of_rows({"one.tif": np.zeros((300, 400))}, [{**row, **change}])
    assert told in str(refusal.value)


def test_empty_table_is_refused() -> None:
    with pytest.raises(FitError, match="columns frame, y_px, x_px, label"):
        tiles_of_rows({"one.tif": FRAME}, [])


def test_stack_takes_names_and_numbers() -> None:
    stack = np.zeros((3, 64, 64), np.uint8)
    numbers = tiles_of_stack(stack, np.array([0, 1, 0]))
    names = tiles_of_stack(stack, np.array(["Bulk", "SF1", "Bulk"]), clean="Bulk")
    assert numbers.is_defect.tolist() == names.is_defect.tolist() == [False, True, False]


@pytest.mark.parametrize("labels", [np.array([0, 2, 1]), np.array(["clean", "claen", "defect"])])
def test_other_labels_of_a_stack_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(FitError, match=r"^labels hold (2|claen), expected"):
        tiles_of_stack(np.zeros((3, 64, 64)), labels)


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
