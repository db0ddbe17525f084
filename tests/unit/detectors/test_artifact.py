"""A model file is read whole and right, or refused in one line; nothing in it is ever run."""

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors import artifact
from latticewatch.detectors.artifact import FORMAT_VERSION, Artifact, write_artifact
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


def packed(arrays: dict[str, NDArray[Any]]) -> bytes:  # Any: also what a model may not hold
    content = io.BytesIO()
    np.savez(content, allow_pickle=True, **arrays)
    return content.getvalue()


def assembled(members: dict[str, bytes | str], method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def forged(arrays: bytes, **changes: object) -> bytes:
    """Make a file whose digests are right, whatever it holds: damage with intent."""
    header: dict[str, object] = {
        "format_version": FORMAT_VERSION,
        "detector": "patterson",
        "sha256": {"arrays.npz": hashlib.sha256(arrays).hexdigest()},
    }
    return assembled({"model.json": json.dumps(header | changes), "arrays.npz": arrays})


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


GOOD_ARRAYS = packed({"mean": np.arange(3.0)})
DEEP = "[" * 100_000 + "]" * 100_000
NOT_MODELS: dict[str, bytes] = {
    "empty": b"",
    "text": b"not a model\n",
    "a pickle": pickle.dumps({"mean": [1.0]}),
    "an npz alone": GOOD_ARRAYS,
    "header missing": assembled({"arrays.npz": GOOD_ARRAYS}),
    "arrays missing": assembled({"model.json": "{}"}),
    "header is a list": assembled({"model.json": "[1]", "arrays.npz": GOOD_ARRAYS}),
    "header is no JSON": assembled({"model.json": "{", "arrays.npz": GOOD_ARRAYS}),
    "header is no text": assembled({"model.json": b"\xff\xfe\xff", "arrays.npz": GOOD_ARRAYS}),
    "header is nested": assembled({"model.json": DEEP, "arrays.npz": GOOD_ARRAYS}),
    "no detector": forged(GOOD_ARRAYS, detector=None),
    "detector is a number": forged(GOOD_ARRAYS, detector=7),
    "no version": forged(GOOD_ARRAYS, format_version=None),
    "future version": forged(GOOD_ARRAYS, format_version=FORMAT_VERSION + 1),
    "version as text": forged(GOOD_ARRAYS, format_version="1"),
    "no digests": forged(GOOD_ARRAYS, sha256=None),
    "digests are text": forged(GOOD_ARRAYS, sha256="arrays.npz"),
    "wrong digest": forged(GOOD_ARRAYS, sha256={"arrays.npz": "00" * 32}),
    "arrays are no ZIP": forged(b"numbers"),
    "arrays are one npy": forged(b"\x93NUMPY\x01\x00" + b"\x00" * 200),
    "NaN": forged(packed({"mean": np.array([1.0, np.nan])})),
    "infinity": forged(packed({"mean": np.array([1.0, -np.inf])})),
    "complex numbers": forged(packed({"mean": np.array([1j])})),
    "words": forged(packed({"mean": np.array(["one"])})),
    "times": forged(packed({"mean": np.array(["2020-01-01"], "M8[s]")})),
    "foreign byte order": forged(packed({"mean": np.arange(3, dtype=">f4")})),
    "fields": forged(packed({"mean": np.zeros(2, [("a", "<f4"), ("b", "<f4")])})),
    "objects": forged(packed({"mean": np.array([{"a": 1}], object)})),
    "member that is no array": forged(assembled({"mean.npy": b"12345"})),
    "member cut short": forged(
        assembled({"mean.npy": b"\x93NUMPY\x01\x00\x46\x00" + b"{'descr': '<f4', 'for"})
    ),
}


@pytest.mark.parametrize("name", NOT_MODELS)
def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bad.model"
    path.write_bytes(NOT_MODELS[name])

    refusal_of(path)


def npy_claiming(shape: str, descr: str = "'<f4'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\x00" * 8


@pytest.mark.parametrize(
    "member",
    [
        npy_claiming("(1000000000000,)"),
        npy_claiming("(1000000, 1000000, 1000000, 1000000)"),
        npy_claiming("(-5,)"),
        npy_claiming("('a',)"),
        npy_claiming("(2,)", "'V'"),
        npy_claiming("(2,)", "'|O'"),
        npy_claiming("(2,)", "[('a', '<f4'), 3]"),
        npy_claiming("(" * 60),
    ],
)
def test_array_that_lies_about_itself_is_refused(tmp_path: Path, member: bytes) -> None:
    path = tmp_path / "lie.model"
    path.write_bytes(forged(assembled({"mean.npy": member})))

    refusal_of(path)


class Intruder:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.mkdir, (self.folder,)


def test_pickle_in_a_model_is_never_run(tmp_path: Path) -> None:
    folder = tmp_path / "was run"
    path = tmp_path / "bad.model"
    path.write_bytes(forged(packed({"mean": np.array([Intruder(folder)], object)})))

    refusal_of(path)

    assert not folder.exists()


def test_file_larger_than_any_model_is_not_read(
    tmp_path: Path, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.model"
    path.write_bytes(good)
    monkeypatch.setattr(artifact, "_MOST_FILE_BYTES", len(good) - 1)

    assert "bytes" in refusal_of(path)


def bomb(n_bytes: int) -> bytes:
    return assembled({"mean.npy": b"\x00" * n_bytes}, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    "content",
    [
        assembled({"model.json": "{}", "arrays.npz": b"\x00" * 2_000_000}, zipfile.ZIP_DEFLATED),
        assembled({"model.json": "{}", "other": b"\x00" * 2_000_000}, zipfile.ZIP_DEFLATED),
        forged(bomb(2_000_000)),
    ],
    ids=["arrays", "another member", "an array in the arrays"],
)
def test_file_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "_MOST_FILE_BYTES", 1_000_000)
    path = tmp_path / "bomb.model"
    path.write_bytes(content)

    assert "unpack" in refusal_of(path)


def test_header_larger_than_any_header_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "large.model"
    path.write_bytes(assembled({"model.json": " " * (2**20 + 1), "arrays.npz": GOOD_ARRAYS}))

    assert "larger than" in refusal_of(path)
