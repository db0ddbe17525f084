"""A network of ours in onnxruntime: checked before it is believed."""

from collections.abc import Mapping
from typing import Any

import onnxruntime

from latticewatch.detectors.protocols import ModelError

Sides = tuple[int, ...]


def open_session(
    network: bytes,
    inputs: Mapping[str, Sides | None],
    outputs: Mapping[str, Sides | None],
    where: str,
    *,
    n_threads: int = 1,
) -> onnxruntime.InferenceSession:
    """Open a network that `onnx_checks.refuse_foreign` let pass.

    Parameters
    ----------
    network
        ONNX file.
    inputs, outputs
        Names, and sides of each but the first, which is any number; None: whatever it says.
    where
        Name of the model, for messages.
    n_threads
        That share an operator.

    Raises
    ------
    ModelError
        The file is damaged, or has other inputs or outputs.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
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
    _refuse_other(session.get_outputs(), outputs, where)
    return session


def _refuse_other(
    found: Any,  # noqa: ANN401 - nodes of onnxruntime
    wanted: Mapping[str, Sides | None],
    where: str,
) -> None:
    """Refuse inputs or outputs of other names, types or sides, and a fixed first side."""
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
