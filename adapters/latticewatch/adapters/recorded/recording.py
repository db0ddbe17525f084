"""A recording: frames of one shape and type in a file, read one by one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError

MIN_SIDE_PX, MAX_SIDE_PX = 16, 8192  # as in the header of a frame

# What `wire_pixels` can convert without deciding anything for the user.
READABLE_TYPES = ("bool", "u1", "u2", "u4", "i2", "i4", "f2", "f4", "f8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One file of frames. It holds no open file, so there is nothing to close.

    Attributes
    ----------
    path : Path
        The file.
    n_frames : int
        At least one.
    shape_yx : tuple of int
        Rows and columns of every frame, 16..8192 each.
    dtype : np.dtype
        As stored: any byte order, one of `READABLE_TYPES`.
    read : callable
        Gives one frame by its number; `frame` checks the number.
    pixel_size_nm_yx : tuple of float, optional
        Only where the file states it in units of length.
    attrs : Mapping
        What was chosen or left out on reading, in words.
    """

    path: Path
    n_frames: int
    shape_yx: tuple[int, int]
    dtype: np.dtype[Any]  # any of READABLE_TYPES: known only when the file is open
    read: Callable[[int], NDArray[Any]] = field(repr=False)
    pixel_size_nm_yx: tuple[float, float] | None = None
    attrs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dtype.newbyteorder("=") not in [np.dtype(name) for name in READABLE_TYPES]:
            raise InputError(
                f"{self.path}: pixels of {self.dtype}: expected one of {', '.join(READABLE_TYPES)}"
            )
        if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in self.shape_yx):
            rows, columns = self.shape_yx
            raise InputError(
                f"{self.path}: frames of {rows} x {columns} px: expected "
                f"{MIN_SIDE_PX}..{MAX_SIDE_PX} rows and columns, in the order (frame, row, column)"
            )
        if self.n_frames < 1:
            raise InputError(f"{self.path}: holds no frame")

    def frame(self, index: int) -> NDArray[Any]:
        """Read one frame.

        Parameters
        ----------
        index
            0..n_frames - 1.

        Returns
        -------
        (H, W)
            As stored, read-only, possibly a view into the mapped file.

        Raises
        ------
        InputError
            The file is damaged at this frame.
        """
        if not 0 <= index < self.n_frames:
            raise IndexError(f"{self.path}: frame {index}: the file has 0..{self.n_frames - 1}")
        pixels = self.read(index)
        if pixels.shape != self.shape_yx or pixels.dtype != self.dtype:
            raise InputError(
                f"{self.path}: frame {index} is {pixels.shape} {pixels.dtype}, frame 0 was "
                f"{self.shape_yx} {self.dtype}: split the file"
            )
        pixels.flags.writeable = False
        return pixels


def recording_of_array(
    path: Path,
    array: NDArray[Any],
    *,
    pixel_size_nm_yx: tuple[float, float] | None = None,
    attrs: Mapping[str, str] | None = None,
) -> Recording:
    """Make a recording of one array.

    Parameters
    ----------
    path
        The file it came from.
    array : (H, W) or (N, H, W)
        Shared with the frames, not copied.
    pixel_size_nm_yx, attrs
        As in `Recording`.
    """
    if array.ndim not in (2, 3):
        raise InputError(
            f"{path}: array of {array.ndim} dimensions {array.shape}: expected (row, column) or "
            "(frame, row, column)"
        )
    frames = array.reshape((-1, *array.shape[-2:])) if array.size else array[np.newaxis][:0]
    return Recording(
        path=path,
        n_frames=len(frames),
        shape_yx=(frames.shape[-2], frames.shape[-1]),
        dtype=frames.dtype,
        read=lambda index: frames[index],
        pixel_size_nm_yx=pixel_size_nm_yx,
        attrs=attrs or {},
    )
