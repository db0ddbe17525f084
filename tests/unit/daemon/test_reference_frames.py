"""Frames that a fit is given, and what is known of them."""

from pathlib import Path

import numpy as np
import pytest

from latticewatch.adapters.recorded import open_recording
from latticewatch.daemon.reference_frames import reference_of


def test_too_many_reference_frames_are_thinned_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.npy"
    np.save(path, np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((1, 16, 16), np.uint8))
    monkeypatch.setattr("latticewatch.daemon.reference_frames.MOST_REFERENCE_PIXELS", 4 * 256)

    reference = reference_of([open_recording(path)])

    assert [int(image[0, 0]) for image in reference.images] == [0, 3, 6, 9]
    assert reference.provenance == {"inputs": [{"name": "many.npy", "frames": [0, 3, 6, 9]}]}


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "x.npy" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        np.save(path, np.zeros((2, 16, 16), np.uint8))

    reference = reference_of([open_recording(path) for path in paths])

    entry = {"name": "x.npy", "frames": [0, 1]}
    assert reference.provenance == {"inputs": [entry, entry]}


@pytest.mark.parametrize(
    ("names", "polarity"),
    [
        (["HAADF.npy"], "bright"),
        (["a_BF.npy", "b_ABF.npy"], "dark"),
        (["HAADF.npy", "BF.npy"], "auto"),
        (["frame.npy"], "auto"),
    ],
)
def test_names_of_the_files_say_whether_columns_are_bright(
    tmp_path: Path, names: list[str], polarity: str
) -> None:
    for name in names:
        np.save(tmp_path / name, np.ones((32, 32), np.uint16))

    reference = reference_of([open_recording(tmp_path / name) for name in names])

    assert reference.polarity == polarity
