"""A model file is read whole and right, or refused in one line."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors import artifact
from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.protocols import ModelError

ARRAYS: dict[str, NDArray[np.generic]] = {
    "mean": np.linspace(0, 1, 50, dtype=np.float32),
    "counts": np.arange(12, dtype=np.int64).reshape(3, 4),
}
HEADER = {"gamma": 0.25, "provenance": {"frames": ["a.npy"]}}


def write(path: Path) -> str:
    return write_artifact(path, detector="patterson", header=HEADER, arrays=ARRAYS)


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    write(tmp_path / "good.model")
    return (tmp_path / "good.model").read_bytes()


def refusal_of(path: Path) -> str:
    with pytest.raises(ModelError) as refusal:
        Artifact.read(path)
    message = str(refusal.value)
    assert "\n" not in message
    assert path.name in message
    return message


def read_or_refused(path: Path) -> Artifact | str:
    """Give the artifact, or the message of its refusal; nothing else may come out."""
    try:
        return Artifact.read(path)
    except ModelError as refusal:
        return str(refusal)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.model"
    sha256 = write(path)

    read = Artifact.read(path)

    assert read.detector == "patterson"
    assert read.sha256 == sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {name: read.header[name] for name in HEADER} == HEADER
    assert read.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert read.arrays[name].dtype == array.dtype
        assert np.array_equal(read.arrays[name], array)
        assert not read.arrays[name].flags.writeable


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    write(tmp_path / "a.model")
    reversed_arrays = dict(reversed(ARRAYS.items()))
    write_artifact(
        tmp_path / "b.model", detector="patterson", header=HEADER, arrays=reversed_arrays
    )

    assert (tmp_path / "a.model").read_bytes() == (tmp_path / "b.model").read_bytes()


def test_other_numbers_have_another_digest(tmp_path: Path) -> None:
    other = ARRAYS | {"mean": np.linspace(0, 2, 50, dtype=np.float32)}

    changed = write_artifact(
        tmp_path / "b.model", detector="patterson", header=HEADER, arrays=other
    )

    assert changed != write(tmp_path / "a.model")


def test_writing_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.model")
    write(tmp_path / "a.model")

    assert [path.name for path in tmp_path.iterdir()] == ["a.model"]


def test_number_that_json_does_not_know_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_artifact(
            tmp_path / "a.model", detector="x", header={"gamma": float("nan")}, arrays=ARRAYS
        )

    assert not list(tmp_path.iterdir())


def test_absent_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal_of(tmp_path / "absent.model")


def test_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "folder.model").mkdir()

    refusal_of(tmp_path / "folder.model")


@pytest.mark.parametrize("sixteenths", range(16))
def test_truncated_file_is_refused(tmp_path: Path, good: bytes, sixteenths: int) -> None:
    path = tmp_path / "cut.model"
    path.write_bytes(good[: len(good) * sixteenths // 16])

    refusal_of(path)


def test_every_flipped_byte_is_refused_or_means_nothing(tmp_path: Path, good: bytes) -> None:
    """Dates and attributes of members mean nothing; all that is read is under a check sum."""
    path = tmp_path / "flipped.model"
    n_refused = 0
    for place in range(len(good)):
        damaged = bytearray(good)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        read = read_or_refused(path)
        if isinstance(read, Artifact):
            assert read.header["gamma"] == HEADER["gamma"]
            assert all(np.array_equal(read.arrays[name], ARRAYS[name]) for name in ARRAYS)
        else:
            assert "\n" not in read
            n_refused += 1

    assert n_refused > 0.8 * len(good)


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_of_the_directory_is_refused_or_means_nothing(
    tmp_path: Path, good: bytes, bit: int
) -> None:
    """Flags and methods of compression are bits: encrypted, patched, unknown."""
    path = tmp_path / "flipped.model"
    for place in (*range(64), *range(good.rindex(b"PK\x01\x02") - 70, len(good))):
        damaged = bytearray(good)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        read = read_or_refused(path)
        assert isinstance(read, Artifact) or "\n" not in read


def test_file_larger_than_any_model_is_not_read(
    tmp_path: Path, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.model"
    path.write_bytes(good)
    monkeypatch.setattr(artifact, "_MOST_FILE_BYTES", len(good) - 1)

    assert "bytes" in refusal_of(path)
