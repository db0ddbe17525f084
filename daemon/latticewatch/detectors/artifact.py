"""Model files: a ZIP of `model.json` and `arrays.npz`, with digests and without pickle.

The archive is written with fixed dates and order, so that equal models are equal files.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.protocols import ModelError

FORMAT_VERSION = 1
_HEADER, _ARRAYS = "model.json", "arrays.npz"
_MOST_FILE_BYTES = 256 * 2**20
_MOST_HEADER_BYTES = 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A fitted model as it lies on disk, checked for form but not for meaning.

    Attributes
    ----------
    detector
        Method that fitted it, e.g. "patterson".
    header
        Parameters, units, provenance: JSON values.
    arrays
        Finite, native, C-contiguous, read-only.
    sha256
        Digest of the whole file, lowercase hex.
    """

    detector: str
    header: Mapping[str, Any]  # Any: JSON
    arrays: Mapping[str, NDArray[np.generic]]
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a model file.

        Raises
        ------
        ModelError
            Not there, too large, not our format, digest wrong, an array that is not plain finite
            numbers. The message is one line and names the file.
        """
        try:
            n_bytes = path.stat().st_size
            if n_bytes > _MOST_FILE_BYTES:
                raise ModelError(f"{path}: {n_bytes} bytes, at most {_MOST_FILE_BYTES} expected")
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
        header, packed = _unzip(path, content)
        return cls(
            detector=str(header["detector"]),
            header=header,
            arrays=_load_arrays(path, packed),
            sha256=hashlib.sha256(content).hexdigest(),
        )


def write_artifact(
    path: Path,
    *,
    detector: str,
    header: Mapping[str, Any],  # Any: JSON
    arrays: Mapping[str, NDArray[np.generic]],
) -> str:
    """Write a model file whole or not at all; returns the SHA-256 of the file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.save(member, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), member.getvalue())
    full = {
        "format_version": FORMAT_VERSION,
        "detector": detector,
        **header,
        "sha256": {_ARRAYS: hashlib.sha256(packed.getvalue()).hexdigest()},
    }
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(full, indent=1, sort_keys=True, allow_nan=False)
        archive.writestr(zipfile.ZipInfo(_HEADER, _EPOCH), text)
        archive.writestr(zipfile.ZipInfo(_ARRAYS, _EPOCH), packed.getvalue())
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(whole.getvalue())
    draft.replace(path)
    return hashlib.sha256(whole.getvalue()).hexdigest()


def _in_one_line(error: Exception) -> str:
    # A flipped bit makes the libraries raise nearly anything, EOFError, NotImplementedError,
    # SyntaxError and MemoryError among it; all of it is one damaged file.
    return " ".join(f"{type(error).__name__} {error}".split())[:200]


def _unzip(path: Path, content: bytes) -> tuple[dict[str, Any], bytes]:  # Any: JSON
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_FILE_BYTES:
                raise ModelError(f"{path}: unpacks to more than {_MOST_FILE_BYTES} bytes")
            if archive.getinfo(_HEADER).file_size > _MOST_HEADER_BYTES:
                raise ModelError(f"{path}: {_HEADER} is larger than {_MOST_HEADER_BYTES} bytes")
            header = json.loads(archive.read(_HEADER))
            packed = archive.read(_ARRAYS)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{path}: not a model file: expected a ZIP of {_HEADER} and {_ARRAYS} "
            f"({_in_one_line(error)})"
        ) from error
    if not isinstance(header, dict) or not isinstance(header.get("detector"), str):
        raise ModelError(f"{path}: {_HEADER} names no detector")
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(f"{path}: format version {version}, this program reads {FORMAT_VERSION}")
    digests = header.get("sha256")
    expected = digests.get(_ARRAYS) if isinstance(digests, dict) else None
    found = hashlib.sha256(packed).hexdigest()
    if found != expected:
        raise ModelError(f"{path}: {_ARRAYS} has SHA-256 {found}, the header says {expected}")
    return header, packed


def _load_arrays(path: Path, packed: bytes) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_FILE_BYTES:
                raise ModelError(f"{path}: arrays unpack to more than {_MOST_FILE_BYTES} bytes")
        # allow_pickle=False: an object array is refused before any of it runs.
        with np.load(io.BytesIO(packed), allow_pickle=False) as loaded:
            for name in loaded.files:
                arrays[name] = np.ascontiguousarray(loaded[name])
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{path}: {_ARRAYS} cannot be loaded: {_in_one_line(error)}") from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or not array.dtype.isnative:
            raise ModelError(f"{path}: array {name} is {array.dtype.str}, expected plain numbers")
        if not np.isfinite(array).all():
            raise ModelError(f"{path}: array {name} holds NaN or infinity")
        array.flags.writeable = False
    return arrays
