"""Labels of reference frames: masks and tables, and what is said of bad ones."""

from pathlib import Path

import numpy as np
import pytest

from latticewatch.adapters.errors import InputError
from latticewatch.daemon.fit_labels import TileLabel, gather_labels
from latticewatch.daemon.reference_frames import Reference, gather_frames


@pytest.fixture(name="frames")
def two_frames(tmp_path: Path) -> Reference:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, np.zeros((32, 48), np.uint16))
    return gather_frames([tmp_path / "a.npy", tmp_path / "b.npy"])


def table(folder: Path, text: str) -> list[Path]:
    path = folder / "labels.csv"
    path.write_text(text)
    return [path]


def mask(folder: Path, name: str, values: object, dtype: str = "u1") -> Path:
    np.save(folder / name, np.asarray(values, dtype))
    return folder / name


def test_rows_name_frames_as_messages_do_or_by_number(tmp_path: Path, frames: Reference) -> None:
    text = "frame,y_px,x_px,label\nb.npy,16,0,defect\n0,,,clean\n"

    labels = gather_labels(table(tmp_path, text), frames)

    assert labels.rows == [TileLabel(1, (16, 0), True), TileLabel(0, None, False)]
    assert labels.masks == []


def test_further_columns_and_their_order_do_not_matter(tmp_path: Path, frames: Reference) -> None:
    text = "label,who,x_px,y_px,frame\nClean,me,3,4, a.npy\n"

    assert gather_labels(table(tmp_path, text), frames).rows == [TileLabel(0, (4, 3), False)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("frame,y,x,label\n0,,,clean\n", "no column y_px and no column x_px"),
        ("frame,y_px,x_px,label\nc.npy,,,clean\n", "labels.csv:2: frame 'c.npy' is none"),
        ("frame,y_px,x_px,label\n2,,,clean\n", "a.npy, b.npy"),
        ("frame,y_px,x_px,label\n0,,,good\n", "labels.csv:2: label 'good': expected clean or"),
        ("frame,y_px,x_px,label\n0,,,clean\n0,1.5,2,clean\n", "labels.csv:3: y_px, x_px = '1.5'"),
        ("frame,y_px,x_px,label\n0,1,,clean\n", "expected whole pixels, or nothing"),
        ("frame,y_px,x_px,label\n", "no rows"),
        ("", "no column frame"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, frames: Reference, text: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        gather_labels(table(tmp_path, text), frames)

    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_of_other_bytes_is_refused(tmp_path: Path, frames: Reference) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xff\xfe\x00frame")

    with pytest.raises(InputError, match="not a table of text"):
        gather_labels([path], frames)


def test_masks_follow_the_order_of_the_frames(tmp_path: Path, frames: Reference) -> None:
    drawn = np.zeros((2, 32, 48))
    drawn[1] = 255
    paths = [mask(tmp_path, "m0.npy", drawn[0]), mask(tmp_path, "m1.npy", drawn[1])]

    masks = gather_labels(paths, frames).masks

    assert [int(one.max()) for one in masks] == [0, 255]
    assert {one.dtype for one in masks} == {np.dtype(np.uint8)}


def test_true_of_a_mask_of_truth_values_is_a_defect(tmp_path: Path, frames: Reference) -> None:
    path = mask(tmp_path, "m.npy", np.ones((2, 32, 48)), "bool")

    assert {int(one.max()) for one in gather_labels([path], frames).masks} == {255}


def test_values_that_are_no_bytes_do_not_pass_for_bytes(tmp_path: Path, frames: Reference) -> None:
    path = mask(tmp_path, "m.npy", np.full((2, 32, 48), 256 + 127), "u2")

    assert {int(one.max()) for one in gather_labels([path], frames).masks} == {1}


@pytest.mark.parametrize(
    ("shape", "told"),
    [((32, 48), "1 mask.s. for 2 frame.s."), ((2, 48, 32), "mask is 48 x 32, its frame a.npy is")],
)
def test_masks_of_other_frames_are_one_line(
    tmp_path: Path, frames: Reference, shape: tuple[int, ...], told: str
) -> None:
    path = mask(tmp_path, "m.npy", np.zeros(shape))

    with pytest.raises(InputError, match=told):
        gather_labels([path], frames)


def test_a_table_beside_a_mask_is_refused(tmp_path: Path, frames: Reference) -> None:
    paths = [*table(tmp_path, "frame,y_px,x_px,label\n0,,,clean\n"), tmp_path / "m.npy"]

    with pytest.raises(InputError, match="expected one table of labels, or masks alone"):
        gather_labels(paths, frames)
