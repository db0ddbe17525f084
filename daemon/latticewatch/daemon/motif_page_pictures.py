"""Pictures of the page of motifs as text that stands in the page itself; knows matplotlib."""

import base64
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Black and white of the display: single hot pixels must not turn the lattice grey.
DISPLAY_PERCENTILES = (0.5, 99.7)
JPEG_QUALITY = 82  # chosen: marks are drawn over it, so nothing sharp is in it but columns
MEAN_COLOURS = "gray"
ERROR_COLOURS = "magma"


def frame_url(image: NDArray[Any], most_side_px: int) -> str:  # Any: any real pixel type
    """Draw a frame in grey.

    Parameters
    ----------
    image : (H, W)
        As recorded. NaN and infinities are black.
    most_side_px
        A larger frame is drawn smaller.

    Returns
    -------
    str
        ``data:image/jpeg;base64,...``.
    """
    values = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    share = min(1.0, most_side_px / max(values.shape))
    for axis in (0, 1):
        values = _shrunk(values, axis, max(1, math.ceil(share * values.shape[axis])))
    low, high = (float(limit) for limit in np.percentile(values, DISPLAY_PERCENTILES))
    options = {"quality": JPEG_QUALITY, "optimize": True}
    return _url(values, "gray", (low, high), "jpeg", options)


def patch_url(patch: NDArray[np.float32], limits: tuple[float, float], colours: str) -> str:
    """Draw a patch, one pixel for each of its own; NaN is transparent.

    Parameters
    ----------
    patch : (S, S)
        Values.
    limits
        Of the first and the last colour.
    colours
        As matplotlib calls them.

    Returns
    -------
    str
        ``data:image/png;base64,...``.
    """
    return _url(patch, colours, limits, "png", {"optimize": True})


def scale_url(colours: str) -> str:
    """Draw the colours from the first to the last, left to right."""
    return patch_url(np.linspace(0, 1, 128, dtype=np.float32)[None], (0.0, 1.0), colours)


def limits_of(patches: NDArray[np.float32]) -> tuple[float, float]:
    """Smallest and largest of the finite values; 0 and 1 where there is none."""
    known = patches[np.isfinite(patches)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def _shrunk(values: NDArray[np.float32], axis: int, n_out: int) -> NDArray[np.float32]:
    """Means over parts of equal length along an axis; a pixel on a border counts in shares."""
    n_in = values.shape[axis]
    if n_out == n_in:
        return values
    edges = np.linspace(0, n_in, n_out + 1)
    before, after = np.arange(n_in), np.arange(1, n_in + 1)
    shared = np.minimum(edges[1:, None], after) - np.maximum(edges[:-1, None], before)
    weight = (np.maximum(shared, 0) * (n_out / n_in)).astype(np.float32)
    out = np.moveaxis(np.tensordot(weight, values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(out, np.float32)


def _url(
    values: NDArray[np.float32],
    colours: str,
    limits: tuple[float, float],
    form: str,
    options: Mapping[str, object],
) -> str:
    from matplotlib.image import imsave

    low, high = limits
    file = io.BytesIO()
    imsave(
        file,
        values,
        vmin=low,
        vmax=max(high, low + 1e-12 * max(1.0, abs(low))),
        cmap=colours,
        format=form,
        pil_kwargs=dict(options),
    )
    return f"data:image/{form};base64,{base64.b64encode(file.getvalue()).decode()}"
