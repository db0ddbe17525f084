"""PNG and JPEG, by what they are and not by their names."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from latticewatch.adapters.recorded import InputError, open_recording
from support.recordings import COLOURS, STACK, read_all, refusal


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_png_reads_back(tmp_path: Path, dtype: str) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(STACK[0].astype(dtype)))
    np.testing.assert_array_equal(read_all(tmp_path / "a.png")[0], STACK[0].astype(dtype))


def test_colours_of_a_png_are_reduced_to_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(COLOURS))
    recording = open_recording(tmp_path / "a.png")
    assert recording.attrs == {"channel": "first of 4"}
    np.testing.assert_array_equal(recording.frame(0), COLOURS[..., 0])


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.JPG", "a.png"])
def test_jpeg_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    (tmp_path / name).write_bytes(imagecodecs.jpeg_encode(smooth, 95))
    assert np.abs(read_all(tmp_path / name)[0].astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_cut_anywhere_is_refused_or_complete(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    encode = imagecodecs.png_encode if name == "a.png" else imagecodecs.jpeg_encode
    whole = encode(STACK[0].astype(np.uint8))
    path.write_bytes(whole)
    expected = read_all(path)
    for length in [*range(0, len(whole), 97), *range(len(whole) - 20, len(whole))]:
        path.write_bytes(whole[:length])
        assert refusal(path) or np.array_equal(read_all(path), expected)


def test_a_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"GIF89a" + bytes(100))
    with pytest.raises(InputError, match="neither PNG nor JPEG"):
        open_recording(tmp_path / "a.png")
