"""A trained network as an ONNX graph, written operator by operator.

No exporter traces anything: the graph is what `network.ConvVae.forward` says, in operators that
every runtime has.
"""

import numpy as np

from latticewatch.detectors.onnx_writer import GraphWriter
from latticewatch.detectors.vae.shape import KERNEL_PX, STRIDE, NetworkShape, Weights

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
    inputs: dict[str, tuple[int, ...]] = {WINDOWS: (1, shape.window_px, shape.window_px)}
    if sampled:
        inputs[NOISE] = (shape.latents,)
    return graph.written(inputs, {REDRAWN: (1, shape.drawn_px, shape.drawn_px)})


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


class _Graph(GraphWriter):
    """A graph that knows the layers of a trained network."""

    def __init__(self, weights: Weights) -> None:
        super().__init__("vae")
        self._weights = weights

    def layer(self, name: str) -> tuple[str, str]:
        """Weight and bias of a layer, as constants."""
        weight, bias = f"{name}.weight", f"{name}.bias"
        return (
            self.constant(weight, self._weights[weight]),
            self.constant(bias, self._weights[bias]),
        )
