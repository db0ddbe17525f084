"""Which reader opens which file, by the end of its name."""

from collections.abc import Callable, Iterable
from pathlib import Path

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded.image import open_image
from latticewatch.adapters.recorded.npy import open_npy, open_npz
from latticewatch.adapters.recorded.recording import Recording
from latticewatch.adapters.recorded.tiff import open_tiff

READERS: dict[str, Callable[[Path], Recording]] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ".tif": open_tiff,
    ".tiff": open_tiff,
    ".png": open_image,
    ".jpg": open_image,
    ".jpeg": open_image,
}


def open_recording(path: Path) -> Recording:
    """Open one file of frames.

    Parameters
    ----------
    path
        npy, npz, TIFF, PNG or JPEG; `FILE.npz:NAME` for one of several arrays in an npz.

    Raises
    ------
    InputError
        There is no such file, it is of another kind or damaged, or the library that reads it is
        not installed.
    """
    archive = _archive_of(path)
    if archive is not None:
        return open_npz(archive, path.name.removeprefix(f"{archive.name}:"))
    reader = READERS.get(path.suffix.lower())
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if reader is None:
        raise InputError(f"{path}: unknown kind of file: expected one of {', '.join(READERS)}")
    return reader(path)


def expand_inputs(paths: Iterable[Path]) -> list[Path]:
    """Replace each folder by the known files in it, sorted by name; hidden ones stay out.

    Raises
    ------
    InputError
        A path does not exist, or a folder holds no known file.
    """
    files: list[Path] = []
    for path in paths:
        if _archive_of(path) is not None:
            files.append(path)
            continue
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        found = _files_in(path) if path.is_dir() else [path]
        if not found:
            raise InputError(f"{path}: no {', '.join(READERS)} in this folder")
        files += found
    return files


def _archive_of(path: Path) -> Path | None:
    """Return the npz file of `FILE.npz:NAME`; None for a path of another form."""
    name, colon, _ = path.name.rpartition(":")
    archive = path.with_name(name) if name else path
    is_archive = bool(colon) and archive.suffix.lower() == ".npz" and archive.is_file()
    return archive if is_archive and not path.exists() else None


def _files_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in READERS and path.is_file() and not path.name.startswith(".")
    )
