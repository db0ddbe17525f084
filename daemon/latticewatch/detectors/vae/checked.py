"""What every fit on a stack of windows checks of its training; needs torch and onnx."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae.parameters import LEAST_KL_NATS, MOST_UNEXPLAINED
from latticewatch.detectors.vae.runtime import open_session
from latticewatch.detectors.vae.shape import Trained

# float32 adds up in another order in the two runtimes. Over the largest number drawn; measured
# 1e-7 to 2e-6.
_PARITY = 1e-5


def refuse_collapsed(trained: Trained) -> None:
    """Refuse a training that learned nothing, as FitError."""
    # Written so that NaN fails.
    if not trained.kl >= LEAST_KL_NATS or not trained.unexplained < MOST_UNEXPLAINED:
        raise FitError(
            f"the training collapsed: divergence {trained.kl:.2g} nats (at least "
            f"{LEAST_KL_NATS:g}), {trained.unexplained:.0%} of what could be learned was not "
            f"(below {MOST_UNEXPLAINED:.0%}): give more frames, more epochs, or another seed"
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

    plain, shape = to_onnx(trained.shape, trained.weights), trained.shape
    wanted = redraw(trained, some)
    inputs = {"windows": (1, shape.window_px, shape.window_px)}
    drawn_sides = (1, shape.drawn_px, shape.drawn_px)
    session = open_session(plain, inputs, drawn_sides, "the fitted model")
    drawn = session.run(None, {"windows": some[:, None]})[0][:, 0]
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
