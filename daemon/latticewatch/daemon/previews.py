"""Pictures for whoever watches: when they are made, which of them are sent, and in what form.

The loop and the late thread ask whether one is due and leave what they drew; the outbox thread
says who listens and takes what is to be sent. Nobody waits for anybody.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from latticewatch.daemon.outcome import Outcome
from latticewatch.daemon.sights import Picture
from latticewatch.wire.events import FrameRef, Preview, PreviewFrame

__all__ = ["Previews", "preview_of"]

# Protocol 4.3: ten a second, 512 pixels a side.
LEAST_BETWEEN_NS: Final = 100_000_000
MOST_SIDE_PX: Final = 512
# Of values that nobody bounds: the few most extreme may all be shown alike.
_EXTREME_PERCENTILE = 99.8
# Of severities: where nothing stands out, the limit itself is in the middle of the scale.
_LEAST_HIGH = 2.0


class Previews:
    """The newest picture of each layer, and whether anybody wants to see one.

    Attributes
    ----------
    is_wanted
        Somebody listens, as of the last time that the outbox looked.
    """

    def __init__(self) -> None:
        self.is_wanted = False
        self._due_ns = 0
        self._newest: dict[str, tuple[Picture, FrameRef, str]] = {}

    def is_due(self, now_ns: int) -> bool:
        """Tell whether a picture drawn now would be sent; monotonic time."""
        return self.is_wanted and now_ns >= self._due_ns

    def keep(self, outcome: Outcome) -> None:
        """Take the pictures of an event in place of older ones."""
        event = outcome.event
        for picture in outcome.pictures:
            self._newest[picture.layer] = (picture, event.frame, event.source)

    def take(self, now_ns: int) -> list[tuple[Preview, bytes]]:
        """Return what is to be sent now, header and pixels of each; for the outbox thread."""
        if not self.is_wanted:
            self._newest.clear()
            return []
        layers = list(self._newest)
        if not layers or now_ns < self._due_ns:
            return []
        # Those of one frame stay together, and the next ones wait for as long as all of them cost.
        self._due_ns = now_ns + len(layers) * LEAST_BETWEEN_NS
        return [preview_of(*self._newest.pop(layer)) for layer in layers]


def preview_of(picture: Picture, frame: FrameRef, source: str) -> tuple[Preview, bytes]:
    """Header and pixels of a preview.

    Known values are 1 to 255; 0 says that nothing is known of a place, never that it is clean.
    """
    values, step_px = _on_frame(picture, frame.shape_yx)
    values, step_px = _shrunk(values, step_px)
    low, high = _limits(values, signed=picture.signed)
    known = np.isfinite(values)
    levels = np.rint(255 * (np.where(known, values, low) - low) / (high - low))
    pixels = np.where(known, np.clip(levels, 1, 255), 0).astype(np.uint8)
    header = Preview(
        source=source,
        frame=PreviewFrame(session=frame.session, seq=frame.seq),
        layer=picture.layer,
        shape_yx=(pixels.shape[0], pixels.shape[1]),
        step_px=step_px,
        low=low,
        high=high,
    )
    return header, pixels.tobytes()


def _on_frame(picture: Picture, shape_yx: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """Values at the middles of squares that begin in the corner of the frame, and their side."""
    step_px = picture.step_px
    half = (step_px - 1) / 2
    if picture.first_px_yx == (half, half):
        return picture.values, step_px
    at = [
        (np.arange(max(1, int(size // step_px))) * step_px + half - first) / step_px
        for size, first in zip(shape_yx, picture.first_px_yx, strict=True)
    ]
    places = np.stack(np.meshgrid(*at, indexing="ij"))
    known = np.isfinite(picture.values)
    weight = map_coordinates(known.astype(np.float32), places, order=1, mode="grid-constant")
    values = map_coordinates(
        np.where(known, picture.values, 0), places, order=1, mode="grid-constant"
    )
    out = np.full(weight.shape, np.nan, np.float32)
    np.divide(values, weight, out=out, where=weight > 0)
    return out, step_px


def _shrunk(values: NDArray[np.float32], step_px: float) -> tuple[NDArray[np.float32], float]:
    """Means over squares of values, so few that they fit a preview."""
    factor = math.ceil(max(values.shape) / MOST_SIDE_PX)
    if factor == 1:
        return values, step_px
    # Of a strip that is narrower than a square, one row of means.
    side = [min(factor, n) for n in values.shape]
    n_yx = [n // each for n, each in zip(values.shape, side, strict=True)]
    kept = values[: n_yx[0] * side[0], : n_yx[1] * side[1]]
    squares = kept.reshape(n_yx[0], side[0], n_yx[1], side[1])
    known = np.isfinite(squares)
    n_known = known.sum(axis=(1, 3))
    total = np.where(known, squares, 0).sum(axis=(1, 3))
    out = np.full(n_known.shape, np.nan, np.float32)
    np.divide(total, n_known, out=out, where=n_known > 0)
    return out, step_px * factor


def _limits(values: NDArray[np.float32], *, signed: bool) -> tuple[float, float]:
    known = np.abs(values[np.isfinite(values)])
    most = float(np.percentile(known, _EXTREME_PERCENTILE)) if len(known) else 0.0
    if signed:
        most = max(most, 1e-12)
        return -most, most
    return 0.0, max(most, _LEAST_HIGH)
