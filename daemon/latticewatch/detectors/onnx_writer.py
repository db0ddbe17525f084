"""ONNX graphs written operator by operator; needs the `train` extra.

No exporter traces anything: a graph says what its writer says, in operators that every runtime has.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
# Of the file format: read by onnxruntime since 1.13.
_IR_VERSION = 8


class GraphWriter:
    """Operators and constants in the order of a graph.

    Parameters
    ----------
    name
        Of the graph.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[Any] = []  # Any: messages of onnx, which has no types
        self._constants: list[Any] = []

    def take_over(self, written: bytes) -> tuple[str, ...]:
        """Begin with all operators and constants of another graph; returns its outputs."""
        import onnx

        graph = onnx.load_model_from_string(written).graph
        self._nodes.extend(graph.node)
        self._constants.extend(graph.initializer)
        return tuple(str(one.name) for one in graph.output)

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Keep an array under a name, which it returns."""
        from onnx import numpy_helper

        array = np.asarray(values, order="C")
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, to: str = "", **attributes: object) -> str:
        """Add an operator; returns the name of its output."""
        from onnx import helper

        output = to or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def written(
        self,
        inputs: Mapping[str, tuple[int, ...]],
        outputs: Mapping[str, tuple[int, ...]],
        notes: Mapping[str, str] | None = None,
    ) -> bytes:
        """Write the file.

        Parameters
        ----------
        inputs, outputs
            Names, and sides of each but the first, which is any number; float32.
        notes
            Texts that travel in the file, by name.
        """
        from onnx import TensorProto, checker, helper

        def of(named: Mapping[str, tuple[int, ...]]) -> list[Any]:
            return [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *sides])
                for name, sides in named.items()
            ]

        graph = helper.make_graph(self._nodes, self._name, of(inputs), of(outputs), self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = _IR_VERSION
        helper.set_model_props(model, dict(notes or {}))
        checker.check_model(model)
        written: bytes = model.SerializeToString(deterministic=True)
        return written
