"""Fit the published mode on a stack of bulk windows; needs torch and onnx (the `train` extra)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae.checked import checked_export, refuse_collapsed, told_of
from latticewatch.detectors.vae.published import PublishedDetector, band_of
from latticewatch.detectors.vae.published_rule import Latent, PublishedRule, header_of
from latticewatch.detectors.vae.shape import NetworkShape, Progress, Trained
from latticewatch.detectors.vae.stack import prepare, split, usable_windows, zero_of

# Filters of encoder and decoder. `paper` is the published network; of `small`, with a fourteenth of
# the work and a fifth of the weights, it keeps and finds as much.
_FILTERS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "paper": ((64, 128, 128), (32, 128, 128, 64)),
    "small": ((16, 32, 32), (32, 32, 32, 16)),
}
_LATENTS = 20
_LEAST_SIDE_PX = 24  # three strides leave 2 x 2 numbers


@dataclass(frozen=True, slots=True)
class PublishedFitSettings:
    """How the published mode is fitted.

    Attributes
    ----------
    network
        "small" or "paper".
    epochs
        The authors took 200, at a tenth of our rate; these are enough for their figures. None: 60
        of the small network, 13 of theirs, each about a minute and a half.
    rate
        Of Adam at the start.
    sigma_px
        Blur of a window: 2 in the paper; later 1.0 for CdTe and 1.4 for SrTiO3.
    latent
        See `PublishedRule`.
    held_out
        Share of the windows that the network does not learn from: the band is theirs.
    seed
        Of everything that is drawn.
    """

    network: Literal["small", "paper"] = "small"
    epochs: int | None = None
    rate: float = 1e-3
    sigma_px: float = 2.0
    latent: Latent = "mean"
    held_out: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PublishedFit:
    """What a model file keeps of a fit of the published mode.

    Attributes
    ----------
    network
        ONNX graph.
    rule
        With the band of the held-out windows.
    header
        All of it in words and numbers, for JSON.
    arrays
        The graph again, as bytes; scores of the held-out windows; history of the training.
    parity
        Largest difference between the ONNX graph and torch, of a drawing from 0 to 1.
    """

    network: bytes
    rule: PublishedRule
    header: dict[str, object]
    arrays: dict[str, NDArray[np.generic]]
    parity: float


def fit_windows(
    windows: NDArray[np.generic],
    settings: PublishedFitSettings | None = None,
    *,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> PublishedFit:
    """Fit the published network and its band on bulk windows without labels.

    Parameters
    ----------
    windows : (N, S, S)
        Any real type. Ones with pixels that are not finite, and dark ones, are left out; of equal
        ones the first is kept.
    settings
        Of the fit.
    progress
        Told after each epoch.
    checkpoint
        File by which a training that was stopped goes on.

    Raises
    ------
    FitError
        Too few windows, a side that the network cannot redraw, or a training that learned nothing.

    Notes
    -----
    The held-out windows are drawn at random. Where windows of the stack overlap, as random crops
    of one frame do, the band is too narrow for windows from elsewhere: of the SrTiO3 set a band of
    13 % nominal flags half of other bulk (tests/accuracy/README.md).
    """
    chosen = settings or PublishedFitSettings()
    kept = usable_windows(windows)
    rule = PublishedRule(
        window_px=kept.shape[1],
        step_px=max(kept.shape[1] // 2, 1),
        sigma_px=chosen.sigma_px,
        latent=chosen.latent,
        zero=zero_of(kept),
    )
    learned, held_out = split(kept, chosen.held_out, chosen.seed)
    trained = _train(learned, held_out, rule, chosen, progress, checkpoint)
    some = prepare(held_out[:64], rule.sigma_px, rule.zero)
    network, parity = checked_export(trained, some, sampled=rule.latent == "sample")
    scores = PublishedDetector(network, rule).score_windows(held_out).scores
    mean, sd = band_of(scores)
    rule = replace(rule, band_mean=mean, band_sd=sd)
    header = header_of(rule) | told_of(trained, len(learned), len(held_out), parity)
    header |= {"network": chosen.network, "seed": chosen.seed}
    arrays: dict[str, NDArray[np.generic]] = {
        "network_onnx": np.frombuffer(network, np.uint8),
        "scores": scores,
        "history": trained.history,
    }
    return PublishedFit(network, rule, header, arrays, parity)


def _train(
    learned: NDArray[np.generic],
    held_out: NDArray[np.generic],
    rule: PublishedRule,
    chosen: PublishedFitSettings,
    progress: Progress | None,
    checkpoint: Path | None,
) -> Trained:
    from latticewatch.detectors.vae.training import Recipe, TrainingSet, train

    encoder, decoder = _FILTERS[chosen.network]
    side = rule.window_px
    if side % (1 << len(encoder)) or side < _LEAST_SIDE_PX:
        multiple = 1 << len(encoder)
        raise FitError(
            f"windows of {side} px: expected a multiple of {multiple}, {_LEAST_SIDE_PX} or more"
        )
    shape = NetworkShape(side, encoder, _LATENTS, decoder, side, "sigmoid")
    default = 60 if chosen.network == "small" else 13
    n_epochs = default if chosen.epochs is None else chosen.epochs
    recipe = Recipe(epochs=n_epochs, rate=chosen.rate, loss="cross_entropy", seed=chosen.seed)
    given = TrainingSet(
        prepare(learned, rule.sigma_px, rule.zero), prepare(held_out, rule.sigma_px, rule.zero)
    )
    trained = train(given, shape, recipe, progress=progress, checkpoint=checkpoint)
    refuse_collapsed(trained)
    return trained
