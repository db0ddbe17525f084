"""NumPy's own files: npy mapped, npz read whole. Nothing is unpickled."""

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded.recording import Recording, recording_of_array
from latticewatch.wire.frames import SIDE_MIN_PX

# Names that say what they are go first, so that maps and masks beside them are left alone.
FRAME_NAMES = ("frames", "images", "image", "data")
PIXEL_SIZE_NAME = "pixel_size_nm"


def open_npy(path: Path) -> Recording:
    """Map one array of frames."""
    try:
        array: NDArray[Any] = npy_format.open_memmap(path, mode="r")
    except Exception as error:  # its parser has more kinds of errors than numpy documents
        raise InputError(f"{path}: no readable npy file: {_one_line(error)}") from error
    return recording_of_array(path, array)


def open_npz(path: Path, wanted: str = "") -> Recording:
    """Read the frames of an archive, and `pixel_size_nm` (one number, or [y, x]) if it is there.

    Parameters
    ----------
    path
        Of the archive.
    wanted
        Name of the array; empty: the one that says what it is, or the only one that can be frames.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = _choose_frames(path, archive, wanted)
            array = _read(archive, name)
            size_nm = (
                _pixel_size_nm_yx(path, _read(archive, PIXEL_SIZE_NAME))
                if f"{PIXEL_SIZE_NAME}.npy" in archive.namelist()
                else None
            )
    except InputError:
        raise
    except Exception as error:  # of zip, of each compression in it, and of the parser
        raise InputError(f"{path}: no readable npz file: {_one_line(error)}") from error
    label = path.with_name(f"{path.name}:{wanted}") if wanted else path
    return recording_of_array(label, array, pixel_size_nm_yx=size_nm, attrs={"array": name})


def _choose_frames(path: Path, archive: zipfile.ZipFile, wanted: str) -> str:
    """Name of the array to read, from the headers alone."""
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    if wanted:
        if wanted not in names:
            raise InputError(f"{path}: no array {wanted} among {', '.join(names)}")
        return wanted
    known = [name for name in FRAME_NAMES if name in names]
    images = [name for name in known + names if _is_image(archive, name)]
    if not images:
        found = ", ".join(names) or "no arrays at all"
        raise InputError(f"{path}: no array of frames among {found}")
    if images[0] not in known and len(images) > 1:
        raise InputError(
            f"{path}: {', '.join(images)} may all be frames: say {path.name}:{images[0]}, or give "
            f"one of them the name {FRAME_NAMES[0]}"
        )
    return images[0]


def _is_image(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(f"{name}.npy") as member:
        shape, dtype = _header(member)
    return len(shape) in (2, 3) and min(shape[-2:]) >= SIDE_MIN_PX and dtype.kind in "buif"


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy_format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = npy_format.read_array_header_1_0(member)
    else:
        shape, _, dtype = npy_format.read_array_header_2_0(member)
    return shape, dtype


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = npy_format.read_array(member, allow_pickle=False)
    return array


def _pixel_size_nm_yx(path: Path, value: NDArray[Any]) -> tuple[float, float]:
    if value.size not in (1, 2) or value.dtype.kind not in "fiu":
        raise InputError(f"{path}: {PIXEL_SIZE_NAME} = {value}: expected a length, or [y, x]")
    size_y_nm, size_x_nm = (float(size) for size in np.broadcast_to(value.ravel(), (2,)))
    return size_y_nm, size_x_nm


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
