"""Frame buffers that change hands between the loop and the worker, so that no frame is copied."""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

# One that the loop writes, one that waits, one in hand; a fourth while one is handed over.
_MOST: Final = 4


class ImagePool:
    """Buffers that nobody uses. Any thread may take one or give one back.

    Whoever has taken a buffer owns it, alone, until it is given back; one that is never given back
    is replaced by a new one.
    """

    def __init__(self) -> None:
        self._free: deque[NDArray[np.float32]] = deque(maxlen=_MOST)

    def take(self, shape_yx: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a buffer of this shape, new only where none is free; its values mean nothing."""
        while True:
            try:
                image = self._free.popleft()
            except IndexError:
                return np.empty(shape_yx, np.float32)
            # Of another shape: left from before the source changed it.
            if image.shape == shape_yx:
                return image

    def give_back(self, image: NDArray[np.float32]) -> None:
        """Leave a buffer to the next who asks; the giver must not touch it again."""
        self._free.append(image)
