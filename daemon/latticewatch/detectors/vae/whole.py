"""A network that redraws whole windows, at run time: onnxruntime, one thread, no torch."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.runtime import open_session

_BATCH = 256  # more windows at once no longer fit into the cache


class WholeNetwork:
    """Redraws windows.

    Parameters
    ----------
    network
        ONNX graph of `export.to_onnx`.
    window_px
        Side of the windows.
    sampled
        The graph takes noise, and decodes a sample of the latent space.
    where
        Name of the model, for messages.

    Raises
    ------
    ModelError
        The graph is too large, damaged, foreign, or reads or draws something else.
    """

    def __init__(
        self, network: bytes, window_px: int, *, sampled: bool = False, where: str = "model"
    ) -> None:
        sides = (1, window_px, window_px)
        inputs = {"windows": sides} | ({"noise": None} if sampled else {})
        self._session = open_session(network, inputs, sides, where)
        noise = [one.shape for one in self._session.get_inputs() if one.name == "noise"]
        self.n_latents = int(noise[0][1]) if noise else 0

    def redraw(
        self, windows: NDArray[np.float32], noise: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Redraw windows (N, S, S), for samples with noise (N, L); NaN gives NaN."""
        redrawn = np.empty_like(windows)
        for start in range(0, len(windows), _BATCH):
            part = slice(start, start + _BATCH)
            given = {"windows": windows[part, None]}
            if noise is not None:
                given["noise"] = noise[part]
            redrawn[part] = self._session.run(None, given)[0][:, 0]
        # ReLU may turn NaN into 0.
        redrawn[np.isnan(windows).any(axis=(1, 2))] = np.nan
        return redrawn
