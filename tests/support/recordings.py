"""Frames, the files that hold them, and what reading them gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from latticewatch.adapters.recorded import InputError, open_recording

# Not square, and no frame like another, so that exchanged axes and pages show.
STACK = np.random.default_rng(1).integers(0, 4096, (6, 64, 48)).astype(np.uint16)
COLOURS = np.random.default_rng(2).integers(0, 256, (64, 48, 4)).astype(np.uint8)

Writer = Callable[[Path, NDArray[Any]], object]
WRITERS: dict[str, Writer] = {
    "mapped.npy": lambda path, stack: np.save(path, stack),
    "fortran.npy": lambda path, stack: np.save(path, np.asfortranarray(stack)),
    "stored.npz": lambda path, stack: np.savez(path, frames=stack),
    "deflated.npz": lambda path, stack: np.savez_compressed(path, frames=stack),
    "plain.tif": lambda path, stack: tifffile.imwrite(path, stack),
    "big.tiff": lambda path, stack: tifffile.imwrite(path, stack, bigtiff=True),
    "reversed.tif": lambda path, stack: tifffile.imwrite(path, stack, byteorder=">"),
    "bare.tif": lambda path, stack: tifffile.imwrite(path, stack, metadata=None),
    "lzw.tif": lambda path, stack: tifffile.imwrite(path, stack, compression="lzw"),
    "predicted.tif": lambda path, stack: tifffile.imwrite(
        path, stack, compression="lzw", predictor=True
    ),
    "deflate.TIF": lambda path, stack: tifffile.imwrite(path, stack, compression="zlib"),
    "strips.tif": lambda path, stack: tifffile.imwrite(
        path, stack, compression="zlib", rowsperstrip=7, metadata=None
    ),
    "tiles.tif": lambda path, stack: tifffile.imwrite(
        path, stack, compression="zlib", tile=(16, 32)
    ),
    "imagej.tif": lambda path, stack: tifffile.imwrite(path, stack, imagej=True),
    "microscopy.ome.tif": lambda path, stack: tifffile.imwrite(
        path, stack, metadata={"axes": "TYX"}
    ),
}


def read_all(path: Path) -> NDArray[Any]:
    recording = open_recording(path)
    return np.stack([recording.frame(index) for index in range(recording.n_frames)])


def refusal(path: Path) -> str:
    """One line that names the file, or nothing."""
    try:
        read_all(path)
    except InputError as error:
        text = str(error)
        return text if text.startswith(str(path)) and "\n" not in text else ""
    return ""
