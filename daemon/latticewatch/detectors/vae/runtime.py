"""A network of ours in onnxruntime: one thread, checked before it is believed."""

from collections.abc import Mapping
from typing import Any

import onnxruntime

from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae.graph import refuse_foreign

Sides = tuple[int, ...]


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
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # A thread that waits in a loop takes the core of the next frame.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    # Whatever it raises, of classes that it does not name: the file is of no use.
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        raise ModelError(f"{where}: the network cannot be loaded: {told}") from error
    _refuse_other(session.get_inputs(), inputs, where)
    _refuse_other(session.get_outputs(), {"redrawn": drawn}, where)
    return session


def _refuse_other(
    found: Any,  # noqa: ANN401 - nodes of onnxruntime
    wanted: Mapping[str, Sides | None],
    where: str,
) -> None:
    """Refuse inputs or outputs of other names, types or sides, and a fixed number of windows."""
    said = "; ".join(f"{one.name} {one.type} {one.shape}" for one in found) or "none"
    good = len(found) == len(wanted) and all(
        one.name in wanted
        and one.type == "tensor(float)"
        and len(one.shape) > 1
        and not isinstance(one.shape[0], int)
        and (wanted[one.name] is None or tuple(one.shape[1:]) == wanted[one.name])
        for one in found
    )
    if not good:
        told = " and ".join(
            f"{name} of floats (n, {'any' if sides is None else ', '.join(map(str, sides))})"
            for name, sides in wanted.items()
        )
        raise ModelError(f"{where}: the network has {said}, expected {told}")
