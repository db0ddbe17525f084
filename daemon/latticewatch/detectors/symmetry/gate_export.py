"""A fitted head on its frozen network as one ONNX graph; needs the `train` extra."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.onnx_writer import GraphWriter
from latticewatch.detectors.symmetry.gate import LOGITS, NOVELTY, OUTPUTS, GateHeader
from latticewatch.detectors.symmetry.gate_features import PREPARED
from latticewatch.detectors.symmetry.gate_input import SIDE_PX

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Affine:
    """x to x W^T + b, the standardisation of features folded in.

    Attributes
    ----------
    weight : (M, F)
    bias : (M,)
    """

    weight: Numbers
    bias: Numbers


@dataclass(frozen=True, slots=True)
class Head:
    """What a fit adds to the frozen network.

    Attributes
    ----------
    defect
        M = 1: features to the log-odds of a defect.
    novelty
        Features to numbers whose length is 1 at the limit of what is known.
    """

    defect: Affine
    novelty: Affine


def to_onnx(features: bytes, head: Head, header: GateHeader) -> bytes:
    """Write a gate: the feature network, and a head on it.

    Raises
    ------
    ImportError
        The `train` extra is not installed.
    """
    graph = GraphWriter("gate")
    (seen,) = graph.take_over(features)
    add_affine(graph, "defect", seen, head.defect, to=LOGITS)
    add_novelty(graph, seen, head.novelty)
    return gate_of(graph, header)


def gate_of(graph: GraphWriter, header: GateHeader) -> bytes:
    """Write a graph that has the two outputs of a gate."""
    outputs = {name: (width,) for name, width in OUTPUTS.items()}
    return graph.written({PREPARED: (1, SIDE_PX, SIDE_PX)}, outputs, header.notes())


def add_novelty(graph: GraphWriter, features: str, novelty: Affine) -> None:
    """Add the output that tells how far features are from those that were learned."""
    apart = add_affine(graph, "novelty", features, novelty)
    square = graph.add("ReduceSumSquare", apart, axes=[1], keepdims=1)
    graph.add("Sqrt", square, to=NOVELTY)


def add_affine(graph: GraphWriter, name: str, flow: str, layer: Affine, *, to: str = "") -> str:
    """Add one Gemm; returns the name of its output."""
    weight = graph.constant(f"{name}.weight", layer.weight.astype(np.float32))
    bias = graph.constant(f"{name}.bias", layer.bias.astype(np.float32))
    return graph.add("Gemm", flow, weight, bias, to=to, transB=1)
