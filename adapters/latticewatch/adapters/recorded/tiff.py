"""TIFF: stacks mapped where they lie uncompressed in one piece, else decoded page by page."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded.recording import Recording, recording_of_array

File = Any  # TiffFile: its annotations change from release to release
Series = Any  # TiffPageSeries, likewise

# ImageJ is the one common writer that puts a unit of length beside the resolution; the inches and
# centimetres of the standard's own tag are dots for a printer.
NM_PER_UNIT = {
    "pm": 1e-3,
    "A": 0.1,
    "Å": 0.1,
    "angstrom": 0.1,
    "nm": 1.0,
    "um": 1e3,
    "\u00b5m": 1e3,  # micro sign
    "\u03bcm": 1e3,  # Greek mu
    "\\u00B5m": 1e3,  # as ImageJ escapes it
    "micron": 1e3,
    "microns": 1e3,
}

# Axes of a page: where the channel is, if there is one.
FIRST_CHANNEL: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "YX": lambda page: page,
    "YXS": lambda page: page[..., 0],
    "SYX": lambda page: page[0],
}


def open_tiff(path: Path) -> Recording:
    """Open the first series of pages; of colours the first channel is taken."""
    tifffile = _import_tifffile(path)
    try:
        with tifffile.TiffFile(path) as tif:
            _refuse_cut_chain(path, tif)
            series = tif.series[0]
            if series.dataoffset is not None and series.axes.endswith("YX"):
                return _map(path, tif, series)
            return _decode(path, tif, series)
    except InputError:
        raise
    except Exception as error:  # each decoder has errors of its own, and damage finds them all
        raise _damaged(path, error) from error


def _map(path: Path, tif: File, series: Series) -> Recording:
    array: NDArray[Any] = np.memmap(
        path,
        dtype=series.dtype.newbyteorder(tif.byteorder),
        mode="r",
        offset=series.dataoffset,
        shape=series.shape,
    )
    return recording_of_array(
        path,
        array.reshape((-1, *series.shape[-2:])),
        pixel_size_nm_yx=_pixel_size_nm_yx(tif),
        attrs=_notes(tif, series),
    )


def _decode(path: Path, tif: File, series: Series) -> Recording:
    pages, handle = list(series.pages), tif.filehandle
    axes = pages[0].axes
    if axes not in FIRST_CHANNEL or pages[0].dtype is None:
        raise InputError(f"{path}: pages with axes {axes}: expected rows and columns (YX)")

    def read(index: int) -> NDArray[Any]:
        try:
            handle.open()  # the pages remember where they lie; the file stays closed in between
            page = pages[index].asarray(maxworkers=1)
        except Exception as error:
            raise _damaged(f"{path}: frame {index}", error) from error
        finally:
            handle.close()
        return np.ascontiguousarray(FIRST_CHANNEL[axes](page))

    rows, columns = (pages[0].shape[axes.index(axis)] for axis in "YX")
    return Recording(
        path=path,
        n_frames=len(pages),
        shape_yx=(rows, columns),
        dtype=np.dtype(pages[0].dtype),
        read=read,
        pixel_size_nm_yx=_pixel_size_nm_yx(tif),
        attrs=_notes(tif, series),
    )


def _refuse_cut_chain(path: Path, tif: File) -> None:
    """Follow the chain of pages to its end mark; raise where it leads out of the file.

    tifffile stops there without an error, and a stack would just be shorter than it was.
    """
    form, handle = tif.tiff, tif.filehandle
    order: Literal["little", "big"] = "little" if form.byteorder == "<" else "big"

    def number_at(position: int, n_bytes: int) -> int:
        handle.seek(position)
        data = handle.read(n_bytes)
        if len(data) < n_bytes:
            raise InputError(f"{path}: cut off after page {len(seen)}: copy the file again")
        return int.from_bytes(data, order)

    seen: set[int] = set()
    link = form.offsetsize  # the header ends with the first link
    while (page := number_at(link, form.offsetsize)) and page not in seen:
        link = page + form.tagnosize + number_at(page, form.tagnosize) * form.tagsize
        seen.add(page)


def _notes(tif: File, series: Series) -> dict[str, str]:
    """Say what was chosen, where there was a choice."""
    notes = {}
    axes = series.keyframe.axes
    if "S" in axes:
        notes["channel"] = f"first of {series.keyframe.shape[axes.index('S')]}"
    if len(tif.series) > 1:
        notes["series"] = f"first of {len(tif.series)}"
    if series.keyframe.photometric == 0:
        notes["photometric"] = "zero is white: values as stored"
    return notes


def _pixel_size_nm_yx(tif: File) -> tuple[float, float] | None:
    unit_nm = NM_PER_UNIT.get((tif.imagej_metadata or {}).get("unit", ""))
    sizes = []
    for name in ("YResolution", "XResolution"):
        tag = tif.pages[0].tags.get(name)
        pixels, units = tag.value if tag else (0, 0)
        if unit_nm is None or not pixels or not units:
            return None
        sizes.append(units / pixels * unit_nm)
    return sizes[0], sizes[1]


def _import_tifffile(path: Path) -> ModuleType:
    try:
        import tifffile
    except ImportError as error:
        raise InputError(f'{path}: tifffile reads TIFF: pip install "latticewatch[io]"') from error
    log = tifffile.logger()
    if not log.handlers:  # or its own lines about a damaged file go to the terminal beside ours
        log.addHandler(logging.NullHandler())
    return tifffile


def _damaged(what: object, error: Exception) -> InputError:
    text = " ".join(str(error).split()) or type(error).__name__
    if "imagecodecs" in text and "requires" in text:
        return InputError(f'{what}: imagecodecs decodes this TIFF: pip install "latticewatch[io]"')
    return InputError(f"{what}: damaged TIFF: {text}")
