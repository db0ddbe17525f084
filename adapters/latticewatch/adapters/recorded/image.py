"""PNG and JPEG: one frame a file."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded.recording import Recording, recording_of_array

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"  # neither occurs within the coded pixels


def open_image(path: Path) -> Recording:
    """Decode one picture; of colours the first channel is taken."""
    try:
        import imagecodecs
    except ImportError as error:
        raise InputError(
            f'{path}: imagecodecs reads pictures: pip install "latticewatch[io]"'
        ) from error
    encoded = _read_bytes(path)
    try:
        # By what it is, not by its name: a JPEG that is called PNG is common.
        if encoded.startswith(PNG_SIGNATURE):
            picture: NDArray[Any] = imagecodecs.png_decode(encoded)
        elif encoded.startswith(JPEG_SIGNATURE):
            # The decoder paints what was cut off in grey, and a grey area is full of defects.
            if encoded.rfind(JPEG_END) < encoded.rfind(JPEG_SCAN):
                raise InputError(f"{path}: picture is cut off: copy the file again")
            picture = imagecodecs.jpeg_decode(encoded)
        else:
            raise InputError(f"{path}: neither PNG nor JPEG")
    except (RuntimeError, ValueError, MemoryError) as error:  # what the decoders raise
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged picture: {' '.join(str(error).split())}") from error
    if picture.ndim == 2:
        return recording_of_array(path, picture)
    return recording_of_array(
        path, picture[..., 0], attrs={"channel": f"first of {picture.shape[-1]}"}
    )


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
