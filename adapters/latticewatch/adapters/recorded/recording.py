"""A recording: frames of one shape and type in a file, read one by one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded.pixels import conversion_attrs, refuse_wide, wire_pixels
from latticewatch.wire.frames import SIDE_MAX_PX, SIDE_MIN_PX, Context

# Chosen: far finer than any scan of atoms (10 pm), and far coarser than any lattice of columns. A
# slip between metres and nanometres falls out, and whatever is computed from them stays finite.
MIN_PIXEL_SIZE_NM, MAX_PIXEL_SIZE_NM = 0.0005, 1000.0

# What `wire_pixels` can convert without deciding anything for the user.
READABLE_TYPES = ("bool", "u1", "u2", "u4", "u8", "i2", "i4", "i8", "f2", "f4", "f8")


class WireFrame(NamedTuple):
    """One frame as it may be sent.

    Attributes
    ----------
    pixels : (H, W)
        Of a wire type and contiguous.
    attrs
        For the header's `attrs`: where the frame comes from, what was chosen on reading, and what
        was changed to send it.
    """

    pixels: NDArray[Any]  # one of the wire's pixel types
    attrs: dict[str, str | int]


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
        Only where the file states it in units of length; 0.0005..1000 nm.
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
        if not all(SIDE_MIN_PX <= side <= SIDE_MAX_PX for side in self.shape_yx):
            rows, columns = self.shape_yx
            raise InputError(
                f"{self.path}: frames of {rows} x {columns} px: expected "
                f"{SIDE_MIN_PX}..{SIDE_MAX_PX} rows and columns, in the order (frame, row, column)"
            )
        if self.n_frames < 1:
            raise InputError(f"{self.path}: holds no frame")
        # Written so that NaN fails.
        sizes_nm = self.pixel_size_nm_yx or ()
        if not all(MIN_PIXEL_SIZE_NM <= size <= MAX_PIXEL_SIZE_NM for size in sizes_nm):
            raise InputError(
                f"{self.path}: pixel size of {' x '.join(f'{size:g}' for size in sizes_nm)} nm: "
                f"must be {MIN_PIXEL_SIZE_NM:g}..{MAX_PIXEL_SIZE_NM:g} nm: check its unit"
            )

    @property
    def name(self) -> str:
        """Name of the file as text that can be sent: what is not UTF-8 in it becomes "?"."""
        return self.path.name.encode(errors="replace").decode()

    @property
    def context(self) -> Context | None:
        """Field of view for the header, centred on the origin; None where nm are not known."""
        if self.pixel_size_nm_yx is None:
            return None
        (rows, columns), (size_y_nm, size_x_nm) = self.shape_yx, self.pixel_size_nm_yx
        return Context(
            size_yx=self.shape_yx,
            fov_nm_yx=(rows * size_y_nm, columns * size_x_nm),
            center_nm_yx=(0.0, 0.0),
        )

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
            The file is damaged at this frame, or its integers of 64 bits fit no smaller type.
        """
        if not 0 <= index < self.n_frames:
            raise IndexError(f"{self.path}: frame {index}: the file has 0..{self.n_frames - 1}")
        pixels = self.read(index)
        if pixels.shape != self.shape_yx or pixels.dtype != self.dtype:
            raise InputError(
                f"{self.path}: frame {index} is {pixels.shape} {pixels.dtype}, frame 0 was "
                f"{self.shape_yx} {self.dtype}: split the file"
            )
        try:
            refuse_wide(pixels)
        except ValueError as error:
            raise InputError(f"{self.path}: frame {index}: {error}") from error
        pixels.flags.writeable = False
        return pixels

    def wire_frame(self, index: int) -> WireFrame:
        """Read one frame as it may be sent, and what its header says of it; raises as `frame`."""
        stored = self.frame(index)
        source: dict[str, str | int] = {"recording": self.name, "recording_index": index}
        return WireFrame(wire_pixels(stored), {**self.attrs, **conversion_attrs(stored), **source})


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
