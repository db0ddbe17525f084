"""A trained network as an ONNX graph, written operator by operator.

No exporter traces anything: the graph is what `network.ConvVae.forward` says, in operators that
every runtime has.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.shape import KERNEL_PX, STRIDE, NetworkShape, Weights

OPSET = 17
# Of the file format: read by onnxruntime since 1.13.
_IR_VERSION = 8
WINDOWS, NOISE, REDRAWN = "windows", "noise", "redrawn"


def to_onnx(shape: NetworkShape, weights: Weights, *, sampled: bool = False) -> bytes:
    """Write a network as ONNX.

    Its input `windows` is (n, 1, S, S) float32, its output `redrawn` (n, 1, C, C).

    Parameters
    ----------
    shape, weights
        Of a trained network.
    sampled
        Decode a sample of the latent space, as published: a second input `noise` (n, latents)
        holds standard normal numbers.
    """
    graph = _Graph(weights)
    encoded = _encoder(graph, shape)
    latent = graph.add("Gemm", encoded, *graph.layer("mean"), transB=1)
    if shape.straight:
        past = graph.constant("straight.weight", weights["straight.weight"])
        flat = graph.add("Flatten", WINDOWS)
        latent = graph.add("Gemm", flat, past, latent, transB=1)
    if sampled:
        log_variance = graph.add("Gemm", encoded, *graph.layer("log_variance"), transB=1)
        half = graph.constant("half", np.array(0.5, np.float32))
        deviation = graph.add("Exp", graph.add("Mul", log_variance, half))
        latent = graph.add("Add", latent, graph.add("Mul", NOISE, deviation))
    drawn = _decoder(graph, shape, latent)
    if shape.output == "sigmoid":
        drawn = graph.add("Sigmoid", drawn)
    graph.add("Identity", drawn, to=REDRAWN)
    return graph.written(shape, sampled=sampled)


def _encoder(graph: "_Graph", shape: NetworkShape) -> str:
    flow = WINDOWS
    for layer in range(len(shape.encoder)):
        named = graph.layer(f"encoder.{2 * layer}")
        flow = graph.add("Conv", flow, *named, kernel_shape=[KERNEL_PX] * 2, strides=[STRIDE] * 2)
        flow = graph.add("Relu", flow)
    return graph.add("Flatten", flow)


def _decoder(graph: "_Graph", shape: NetworkShape, latent: str) -> str:
    flow = graph.add("Gemm", latent, *graph.layer("seed"), transB=1)
    first = shape.decoder[0] if shape.decoder else 1
    sides = [-1, first, shape.seed_px, shape.seed_px]
    flow = graph.add("Reshape", flow, graph.constant("sides", np.array(sides, np.int64)))
    if not shape.decoder:
        return flow
    flow = graph.add("Relu", flow)
    for layer in range(1, len(shape.decoder)):
        flow = graph.add(
            "ConvTranspose",
            flow,
            *graph.layer(f"decoder.{2 * layer - 1}"),
            kernel_shape=[KERNEL_PX] * 2,
            strides=[STRIDE] * 2,
            pads=[1] * 4,
            output_padding=[1] * 2,
        )
        flow = graph.add("Relu", flow)
    last = graph.layer(f"decoder.{2 * len(shape.decoder) - 1}")
    return graph.add("Conv", flow, *last, kernel_shape=[KERNEL_PX] * 2, pads=[1] * 4)


class _Graph:
    """Operators and constants in the order of the graph."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[Any] = []  # Any: messages of onnx, which has no types
        self._constants: list[Any] = []

    def layer(self, name: str) -> tuple[str, str]:
        """Weight and bias of a layer, as constants."""
        both = (f"{name}.weight", f"{name}.bias")
        return tuple(self.constant(one, self._weights[one]) for one in both)  # type: ignore[return-value] # two

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, *inputs: str, to: str = "", **attributes: object) -> str:
        from onnx import helper

        output = to or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def written(self, shape: NetworkShape, *, sampled: bool) -> bytes:
        from onnx import TensorProto, checker, helper

        def of(name: str, *sides: object) -> object:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *sides])

        inputs = [of(WINDOWS, 1, shape.window_px, shape.window_px)]
        if sampled:
            inputs.append(of(NOISE, shape.latents))
        outputs = [of(REDRAWN, 1, shape.drawn_px, shape.drawn_px)]
        graph = helper.make_graph(self._nodes, "vae", inputs, outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = _IR_VERSION
        checker.check_model(model)
        written: bytes = model.SerializeToString(deterministic=True)
        return written
