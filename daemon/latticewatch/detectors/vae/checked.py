"""What every fit on a stack of windows checks of its training; needs torch and onnx."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae.shape import Trained
from latticewatch.detectors.vae.whole import WholeNetwork

# Below this the latent space says nothing of the window: nats.
_LEAST_KL = 1.0
# Of what can be learned beyond the mean window, the share that a network may at most have missed.
_MOST_UNEXPLAINED = 0.95
# float32 adds up in another order in the two runtimes. Over the largest number drawn; measured
# 1e-7 to 2e-6.
_PARITY = 1e-5


def refuse_collapsed(trained: Trained) -> None:
    """Refuse a training that learned nothing, as FitError."""
    # Written so that NaN fails.
    if not trained.kl >= _LEAST_KL or not trained.unexplained <= _MOST_UNEXPLAINED:
        raise FitError(
            f"the network learned nothing beyond the mean window (divergence {trained.kl:.2f} nats,"
            f" {trained.unexplained:.0%} unexplained): more windows or epochs, or another seed"
        )


def checked_export(
    trained: Trained, some: NDArray[np.float32], *, sampled: bool = False
) -> tuple[bytes, float]:
    """Write a network as ONNX, and compare what it draws of some windows with torch.

    Returns
    -------
    network, parity
        The largest difference over the largest number drawn, of latent means.

    Raises
    ------
    FitError
        It is more than 1e-5.
    """
    from latticewatch.detectors.vae.export import to_onnx
    from latticewatch.detectors.vae.network import redraw

    plain = to_onnx(trained.shape, trained.weights)
    wanted = redraw(trained, some)
    drawn = WholeNetwork(plain, trained.shape.window_px).redraw(some)
    parity = float(np.abs(drawn - wanted).max() / np.abs(wanted).max())
    if not parity <= _PARITY:
        raise FitError(f"the exported network draws otherwise than torch, by {parity:.1e}")
    network = to_onnx(trained.shape, trained.weights, sampled=True) if sampled else plain
    return network, parity


def told_of(trained: Trained, n_learned: int, n_held_out: int, parity: float) -> dict[str, object]:
    """Return what a model file says of a training on a stack."""
    return {
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        "loss": trained.held_out_loss,
        "kl": trained.kl,
        "unexplained": trained.unexplained,
        "parity": parity,
        "n_learned": n_learned,
        "n_held_out": n_held_out,
        # Nobody can tell from a stack which windows overlap: the label says what is known.
        "calibrated_on": "held-out windows of the same stack, may overlap those of the fit",
    }
