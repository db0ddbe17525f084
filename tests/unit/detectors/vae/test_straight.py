"""The layer past the convolutions: where it starts, what it exports to, what damage teaches it."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.vae.export import to_onnx
from latticewatch.detectors.vae.shape import NetworkShape, Trained

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)

SHAPE = NetworkShape(16, (2, 4), 3, (), 12, "plain", straight=True)


def windows(n: int) -> NDArray[np.float32]:
    """Make windows of three patterns, and noise."""
    rng = np.random.default_rng(3)
    patterns = rng.normal(size=(3, 16, 16))
    return (np.tensordot(rng.normal(size=(n, 3)), patterns, 1) + 0.5).astype(np.float32)


def trained(epochs: int, *, spoilt: bool = False) -> Trained:
    from latticewatch.detectors.vae.training import Recipe, TrainingSet, train

    def spoil(batch: Any, dice: object) -> Any:  # noqa: ANN401 - tensors
        del dice
        return torch.zeros_like(batch)

    given = windows(60)
    recipe = Recipe(epochs=epochs, rate=1e-4, from_components=True)
    return train(TrainingSet(given[:50], given[50:], spoil if spoilt else None), SHAPE, recipe)


def test_it_starts_at_the_principal_components() -> None:
    found = trained(1)
    assert found.unexplained < 0.02


def test_exported_it_draws_what_torch_draws() -> None:
    import onnxruntime

    from latticewatch.detectors.vae.network import redraw

    found, some = trained(1), windows(7)
    session = onnxruntime.InferenceSession(to_onnx(found.shape, found.weights))
    drawn = session.run(None, {"windows": some[:, None]})[0][:, 0]
    assert drawn.shape == (7, 12, 12)
    np.testing.assert_allclose(drawn, redraw(found, some), atol=2e-5)


def test_what_the_encoder_did_not_see_it_cannot_draw() -> None:
    plain, blind = trained(3), trained(3, spoilt=True)
    assert blind.history[-1, 0] > 5.0 * plain.history[-1, 0]
