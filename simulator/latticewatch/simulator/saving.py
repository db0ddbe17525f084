"""Simulated frames and their truth in files, instead of on a socket."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latticewatch.simulator.microscope import Microscope
from latticewatch.simulator.settings import SimulatorError


def save_frames(microscope: Microscope, n_frames: int, path: Path) -> Path | None:
    """Write frames 0 to `n_frames` - 1 and what they show.

    Parameters
    ----------
    microscope
        Where they come from.
    n_frames
        At least one.
    path
        NAME.npy takes the frames, written one by one, with the truth beside it in
        NAME.truth.json: a list with one record per frame. NAME.npz holds everything: `frames`
        (N, H, W), `pixel_size_nm`, and `truth`, that JSON as one string.

    Returns
    -------
    Path or None
        The truth's own file, where it has one.

    Raises
    ------
    SimulatorError
        The name ends otherwise.
    """
    shape = (n_frames, *microscope.settings.shape_yx)
    truth = json.dumps([microscope.truth(index).record() for index in range(n_frames)])
    if path.suffix == ".npy":
        mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=shape)
        _fill(mapped, microscope)
        mapped.flush()
        beside = path.with_suffix(".truth.json")
        beside.write_text(truth + "\n", encoding="utf-8")
        return beside
    if path.suffix == ".npz":
        frames = np.empty(shape, np.uint16)
        _fill(frames, microscope)
        pixel_size_nm = microscope.settings.pixel_size_nm
        np.savez_compressed(path, frames=frames, pixel_size_nm=pixel_size_nm, truth=truth)
        return None
    raise SimulatorError(f"save = {path}: must end in .npy or .npz")


def _fill(frames: NDArray[np.uint16], microscope: Microscope) -> None:
    for index in range(len(frames)):
        frames[index], _ = microscope.frame(index)
