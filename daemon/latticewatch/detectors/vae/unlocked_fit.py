"""Fit the default for windows without a lattice on a stack of them; needs torch and onnx."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.checked import checked_export, refuse_collapsed, told_of
from latticewatch.detectors.vae.damage import local_damage
from latticewatch.detectors.vae.shape import NetworkShape, Progress
from latticewatch.detectors.vae.stack import (
    prepare,
    split,
    usable_windows,
    zero_of,
)
from latticewatch.detectors.vae.unlocked import (
    UnlockedDetector,
    UnlockedRule,
    header_of,
    tail_of,
)


@dataclass(frozen=True, slots=True)
class UnlockedFitSettings:
    """How it is fitted. Chosen on strips of the SrTiO3 training windows, with defects of our own.

    Attributes
    ----------
    encoder, latents
        Of the network; its decoder is one dense layer. With 40 latents 77 % of those defects were
        found where 60 find 82.
    epochs, rate
        Of the training.
    noise_sd
        Of a pixel, over the brightest one.
    damage
        Strength of what is done to the windows that it learns from, over the brightest pixel.
    sigma_px, held_out, seed
        As `PublishedFitSettings`.
    """

    encoder: tuple[int, ...] = (8, 16, 32)
    latents: int = 60
    epochs: int = 60
    rate: float = 1e-3
    noise_sd: float = 0.03
    damage: float = 0.6
    sigma_px: float = 2.0
    held_out: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class UnlockedFit:
    """What a model file keeps of a fit; fields as `patch_fit.PublishedFit`."""

    network: bytes
    rule: UnlockedRule
    header: dict[str, object]
    arrays: dict[str, NDArray[np.generic]]
    parity: float


def fit_unlocked(
    windows: NDArray[np.generic],
    settings: UnlockedFitSettings | None = None,
    *,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> UnlockedFit:
    """Fit network and p-values on bulk windows without labels.

    Parameters
    ----------
    windows, settings, progress, checkpoint
        As `patch_fit.fit_windows`.

    Raises
    ------
    FitError
        Too few windows, or a training that learned nothing.
    """
    from latticewatch.detectors.vae.training import Recipe, TrainingSet, train

    chosen = settings or UnlockedFitSettings()
    kept = usable_windows(windows)
    side, zero = kept.shape[1], zero_of(kept)
    both = split(kept, chosen.held_out, chosen.seed)
    learned, held_out = (prepare(one, chosen.sigma_px, zero) for one in both)
    middle, spread = float(learned.mean()), float(learned.std())
    rule = UnlockedRule(
        window_px=side,
        step_px=max(side // 2, 1),
        sigma_px=chosen.sigma_px,
        zero=zero,
        middle=middle,
        spread=spread,
    )
    # No more components than windows to take them from.
    latents = min(chosen.latents, len(learned) // 4)
    shape = NetworkShape(side, chosen.encoder, latents, (), side, "plain", straight=True)
    recipe = Recipe(
        epochs=chosen.epochs,
        rate=chosen.rate,
        noise_sd=chosen.noise_sd / spread,
        from_components=True,
        seed=chosen.seed,
    )
    given = TrainingSet(
        (learned - middle) / spread,
        (held_out - middle) / spread,
        spoil=local_damage(chosen.damage / spread),
    )
    trained = train(given, shape, recipe, progress=progress, checkpoint=checkpoint)
    refuse_collapsed(trained)
    network, parity = checked_export(trained, given.held_out[:64])
    scores = UnlockedDetector(network, rule).score_windows(both[1]).scores
    start, scale = tail_of(scores)
    rule = replace(rule, tail_start=start, tail_scale=scale)
    header = header_of(rule) | told_of(trained, len(learned), len(held_out), parity)
    header |= {"seed": chosen.seed}
    arrays: dict[str, NDArray[np.generic]] = {
        "network_onnx": np.frombuffer(network, np.uint8),
        "scores": scores,
        "history": trained.history,
    }
    return UnlockedFit(network, rule, header, arrays, parity)
