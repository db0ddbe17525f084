"""An autoencoder in onnxruntime: one thread, checked before it is believed."""

from collections.abc import Mapping

import onnxruntime

from latticewatch.detectors import onnx_session
from latticewatch.detectors.onnx_session import Sides
from latticewatch.detectors.vae.graph import refuse_foreign


def open_session(
    network: bytes, inputs: Mapping[str, Sides | None], drawn: Sides, where: str
) -> onnxruntime.InferenceSession:
    """Open a network.

    Parameters
    ----------
    network
        ONNX file.
    inputs
        Names, and sides of each but the first, which is any number; None: whatever it says.
    drawn
        Sides of `redrawn`, its only output.
    where
        Name of the model, for messages.

    Raises
    ------
    ModelError
        The file is too large, damaged, holds what our networks do not, or has other inputs.
    """
    refuse_foreign(network, where)
    return onnx_session.open_session(network, inputs, {"redrawn": drawn}, where)
