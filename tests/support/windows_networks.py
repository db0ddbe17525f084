"""A network with weights by chance, and windows of a small made-up lattice."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.vae.export import to_onnx
from latticewatch.detectors.vae.shape import NetworkShape, Output


def network(side: int, output: Output, *, sampled: bool = False, strength: float = 0.3) -> bytes:
    """Write a network that redraws whole windows; skips where onnx is not installed.

    With strength 0 it draws the same whatever it is shown.
    """
    pytest.importorskip("onnx")
    shape = NetworkShape(side, (4, 4), 3, (), side, output)
    rng = np.random.default_rng(1)
    sides = {
        "encoder.0": (4, 1, 3, 3),
        "encoder.2": (4, 4, 3, 3),
        "mean": (3, shape.n_encoded),
        "log_variance": (3, shape.n_encoded),
        "seed": (side**2, 3),
    }
    weights = {
        f"{k}.weight": rng.normal(0, strength, v).astype(np.float32) for k, v in sides.items()
    }
    weights |= {f"{k}.bias": np.zeros(v[0], np.float32) for k, v in sides.items()}
    return to_onnx(shape, weights, sampled=sampled)


def lattice_windows(n: int, seed: int, side: int = 24) -> NDArray[np.uint16]:
    """Make windows (N, S, S) of a square lattice of 12 px with noise, a third of a period about."""
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0.0, 2.0, (n, 2, 1))
    waves = np.cos(2 * np.pi * np.arange(side) / 12.0 + phases)
    clean = (waves[:, 0, :, None] + waves[:, 1, None, :] + 2.2) * 200.0
    return rng.poisson(clean).astype(np.uint16)
