"""A network that redraws whole windows, at run time: onnxruntime, one thread, no torch."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae.graph import refuse_foreign

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
        refuse_foreign(network, where)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                network, options, providers=["CPUExecutionProvider"]
            )
        # Whatever it raises, of classes that it does not name: the file is of no use.
        except Exception as error:
            told = " ".join(str(error).split())[:200]
            raise ModelError(f"{where}: the network cannot be loaded: {told}") from error
        inputs = {one.name: list(one.shape[1:]) for one in self._session.get_inputs()}
        sides = [1, window_px, window_px]
        wanted = {"windows", "noise"} if sampled else {"windows"}
        if set(inputs) != wanted or inputs["windows"] != sides:
            names = ", ".join(sorted(wanted))
            raise ModelError(
                f"{where}: the network reads {inputs}, expected {names} with windows of {sides}"
            )
        if list(self._session.get_outputs()[0].shape[1:]) != sides:
            raise ModelError(f"{where}: the network does not redraw whole windows")
        self.n_latents = int(inputs["noise"][0]) if sampled else 0

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
