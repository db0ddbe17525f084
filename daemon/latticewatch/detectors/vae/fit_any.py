"""Which fit of the autoencoder a job asks for, and its result as a model file holds it."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae import fit
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.shape import Step
from latticewatch.detectors.vae.twin_fit import fit_linear
from latticewatch.detectors.vae.window_fit import WindowFitSettings, fit_on_windows, is_stack

Plain = dict[str, Any]  # Any: JSON
Tell = Callable[[Plain], None]
Frames = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Made:
    """A model as its file holds it, and what the fit says of it."""

    header: Plain
    arrays: dict[str, NDArray[Any]]  # Any: bytes and floats
    report: Plain
    told: str


def fit_any(given: Plain, frames: Frames, labels: list[str], tell: Tell) -> Made:
    """Fit what is asked for.

    Parameters
    ----------
    given
        Settings: "scorer" both or pca; "preset" as_published; "checkpoint", a file; others are
        those of `VaeParameters`.
    frames, labels
        Of the reference; many small squares are windows of a crystal, without a lattice.
    tell
        Takes how far the training is.

    Raises
    ------
    FitError
        The frames do not permit it, or settings contradict each other.
    """
    settings = dict(given)
    scorer, preset = settings.pop("scorer", "both"), settings.pop("preset", None)
    checkpoint = settings.pop("checkpoint", None)
    file = None if checkpoint is None else Path(checkpoint)
    if preset not in (None, "as_published") or scorer not in ("both", "pca"):
        raise FitError(
            f"scorer {scorer!r:.40}, preset {preset!r:.40}: expected both or pca, and "
            "as_published or none"
        )
    network = settings.pop("network", None)
    if network is not None and preset is None:
        raise FitError("--network is of the published mode: add --as-published")
    windows = is_stack(frames)
    if scorer == "pca":
        if windows or preset:
            raise FitError(
                "--scorer pca looks at sites of a lattice: give frames, not windows, "
                "and not --as-published"
            )
        return _linear(settings, frames, labels)
    if windows or preset:
        mode = "unlocked" if preset is None else "as_published"
        asked = WindowFitSettings(mode=mode, network=network or "small", **_known(settings))
        return _on_windows(asked, frames, tell, file)
    return _on_sites(settings, frames, labels, tell, file)


def _linear(settings: Plain, frames: Frames, labels: list[str]) -> Made:
    parameters = _parameters(settings)
    model, report = fit_linear(frames, parameters, labels)
    told = f"{report.n_sites} sites, {report.rank} components of {report.n_windows} windows"
    header = {**model.header(), "parameters": dataclasses.asdict(parameters)}
    return Made(header, model.arrays(), dataclasses.asdict(report), told)


def _known(settings: Plain) -> Plain:
    """Take what a fit on windows knows of the settings; FitError if there is more."""
    # Windows are redrawn as they are: bright or dark columns make no difference.
    foreign = sorted(set(settings) - {"epochs", "seed", "polarity"})
    if foreign:
        raise FitError(f"settings {foreign}: fits on windows take epochs and seed")
    _parameters(settings)  # refuses what is out of range
    return {name: settings[name] for name in ("epochs", "seed") if name in settings}


def _on_windows(asked: WindowFitSettings, frames: Frames, tell: Tell, file: Path | None) -> Made:
    def say(step: Step) -> None:
        tell(_progress(step.epoch, step.n_epochs, step.seconds_left, step.loss, step.held_out_loss))

    fit.require_torch()
    made = fit_on_windows(frames, asked, progress=say, checkpoint=file)
    report = made.report
    told = f"{report.n_windows} windows, mode {report.mode}, ONNX parity {report.onnx_parity:.1e}"
    return Made(made.header, made.arrays, dataclasses.asdict(report), told)


def _on_sites(
    settings: Plain, frames: Frames, labels: list[str], tell: Tell, file: Path | None
) -> Made:
    parameters = _parameters(settings)

    def say(done: int, of: int, loss: float, held_out: float, seconds_left: float) -> None:
        tell(_progress(done, of, seconds_left, loss, held_out))

    model, report = fit.fit(frames, parameters, labels, progress=say, checkpoint=file)
    told = (
        f"{report.n_sites} sites, {report.epochs} epochs, divergence {report.kl:.1f} nats, "
        f"ONNX parity {report.onnx_parity:.1e}"
    )
    header = {**model.header(), "parameters": dataclasses.asdict(parameters)}
    return Made(header, model.arrays(), dataclasses.asdict(report), told)


def _parameters(settings: Plain) -> VaeParameters:
    # JSON has lists only.
    plain: Plain = {
        name: tuple(one) if isinstance(one, list) else one for name, one in settings.items()
    }
    try:
        return VaeParameters(**plain)
    except (TypeError, ValueError) as error:
        raise FitError(f"settings {sorted(settings)}: {error}") from error


def _progress(done: int, of: int, seconds_left: float, loss: float, held_out: float) -> Plain:
    text = f"loss {loss:.1f}, held out {held_out:.1f}"
    return {"done": done, "of": of, "seconds_left": seconds_left, "text": text}
