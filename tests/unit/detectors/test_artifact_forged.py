"""A file made with intent, its digests right, is refused all the same; nothing in it is run."""

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
from latticewatch.detectors.artifact import FORMAT_VERSION, Artifact
from latticewatch.detectors.protocols import ModelError


def refusal_of(path: Path) -> str:
    with pytest.raises(ModelError) as refusal:
        Artifact.read(path)
    message = str(refusal.value)
    assert "\n" not in message
    assert path.name in message
    return message


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
