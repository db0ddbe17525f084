"""The network at run time: onnxruntime, one thread, batches of one size, no torch."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from latticewatch.detectors.vae.runtime import open_session

BATCH = 256  # stays in the cache; 961 windows in one go took 24-42 % longer (methods/vae.md 3.2)
# The last windows of a frame go through the smallest that holds them.
_SIZES = (32, 64, 128, BATCH)


class Redrawer:
    """Draws what bulk would look like in the middle of windows, in buffers that it keeps.

    Parameters
    ----------
    network
        ONNX file: `windows` (n, 1, S, S) to `redrawn` (n, 1, C, C), float32.
    size, drawn
        S and C.
    where
        Name of the model, for messages.

    Raises
    ------
    ModelError
        The file is too large, damaged, holds what our networks do not, or has other inputs.
    """

    def __init__(self, network: bytes, size: int, drawn: int, where: str = "model") -> None:
        inputs = {"windows": (1, size, size)}
        self._session = open_session(network, inputs, (1, drawn, drawn), where)
        self._windows = np.zeros((BATCH, 1, size, size), np.float32)
        self._redrawn = np.zeros((BATCH, 1, drawn, drawn), np.float32)
        self._bindings = [(n, self._bound(n)) for n in _SIZES]

    def _bound(self, n: int) -> onnxruntime.IOBinding:
        """Bind the first so many windows, so that a call allocates neither input nor output."""
        binding = self._session.io_binding()
        for bind, name, array in (
            (binding.bind_input, "windows", self._windows[:n]),
            (binding.bind_output, "redrawn", self._redrawn[:n]),
        ):
            bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding

    def inputs(self, n: int) -> NDArray[np.float32]:
        """Return where `redraw_inputs` reads its windows (N, S, S), at most 256; for writing."""
        windows: NDArray[np.float32] = self._windows[:n, 0]
        return windows

    def redraw(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw the middles of at most 256 windows.

        Parameters
        ----------
        windows : (N, S, S)
            As the network was taught.

        Returns
        -------
        (N, C, C)
            Belongs to this object and lives until the next call.
        """
        self.inputs(len(windows))[:] = windows
        return self.redraw_inputs(len(windows))

    def redraw_inputs(self, n: int) -> NDArray[np.float32]:
        """Draw the middles (N, C, C) of the windows that were written into `inputs`."""
        size, binding = next(one for one in self._bindings if n <= one[0])
        # What is left of the last call changes nothing but the time; NaN among it would be slow.
        self._windows[n:size] = 0.0
        self._session.run_with_iobinding(binding)
        drawn: NDArray[np.float32] = self._redrawn[:n, 0]
        return drawn
