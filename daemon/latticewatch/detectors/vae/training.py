"""The training of the network; with `network.py` the only file that needs torch at its top."""

import hashlib
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae.network import ConvVae, middle_of
from latticewatch.detectors.vae.shape import NetworkShape, Progress, Step, Trained

Loss = Literal["cross_entropy", "gauss"]
Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Windows (B, 1, S, S) and the dice to windows that show the same, as another frame would."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained; Adam with a cosine from `rate` to a twentieth of it.

    Attributes
    ----------
    epochs, batch
        At most so many rounds over all windows, so many windows a step.
    rate
        Of Adam at the start.
    loss
        "cross_entropy" of each pixel (levels within 0..1, output sigmoid), or "gauss": half the
        squared difference over `noise_sd` squared (output plain). Summed over pixels.
    noise_sd
        Of a pixel, on the scale of the windows; "gauss" only.
    beta
        Weight of the Kullback-Leibler divergence.
    from_components
        Begin at the principal components: `ConvVae.start_from`.
    patience
        Epochs without a lower held-out loss after which it stops.
    seed
        Of first weights, order, latent samples and augmentation.
    """

    epochs: int = 150
    batch: int = 16
    rate: float = 1e-3
    loss: Loss = "gauss"
    noise_sd: float = 0.05
    beta: float = 1.0
    from_components: bool = False
    patience: int = 30
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Windows to learn from (N, S, S), and others to judge by (M, S, S).

    `spoil` changes what the encoder sees, and not what is to be drawn: a network that has met local
    damage redraws what bulk would be there, and not the damage. `changes` names it, and what else
    is done to the windows: a checkpoint of other changes is no part of this training.
    """

    windows: NDArray[np.float32]
    held_out: NDArray[np.float32]
    spoil: Augment | None = None
    changes: str = ""


def train(
    given: TrainingSet,
    shape: NetworkShape,
    recipe: Recipe,
    *,
    augment: Augment | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> Trained:
    """Train a network.

    Parameters
    ----------
    given
        Windows.
    shape, recipe
        Of the network and its training.
    augment
        Applied to each batch.
    progress
        Told after each epoch.
    checkpoint
        A file that is written after each epoch, and continued from where it belongs to the same
        windows, shape and recipe: the result is that of a training that was never stopped.
    """
    training = _Training(given, shape, recipe, augment)
    saved = _Checkpoint(checkpoint, _digest(given, shape, recipe))
    saved.restore(training)
    began, first = time.monotonic(), len(training.history)
    while len(training.history) < recipe.epochs and not training.is_done:
        training.run_epoch()
        saved.save(training)
        if progress is not None:
            done = len(training.history)
            each = (time.monotonic() - began) / (done - first)
            loss, held = training.history[-1]
            progress(Step(done, recipe.epochs, loss, held, each * (recipe.epochs - done)))
    trained: Trained = training.result()
    return trained


def jitter(gain_sd: float, noise_sd: float, blur_points: float) -> Augment:
    """Make of a window what another frame would show: another gain, and noise of a lower dose.

    Parameters
    ----------
    gain_sd
        Standard deviation of the gain, about 1.
    noise_sd
        Most of the noise that is added, on the scale of the windows; each window has a share.
    blur_points
        Standard deviation of the blur that the noise of a frame has been through, points.
    """
    reach = int(np.ceil(3.0 * blur_points))
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / blur_points) ** 2)
    kernel = line[:, None] * line
    kernel = (kernel / kernel.square().sum().sqrt())[None, None]

    def augment(windows: Tensor, dice: torch.Generator) -> Tensor:
        changed = windows
        if gain_sd:
            factor = torch.randn(len(windows), 1, 1, 1, generator=dice)
            changed = changed * (1.0 + gain_sd * factor)
        if noise_sd:
            share = torch.rand(len(windows), 1, 1, 1, generator=dice)
            grain = torch.randn(windows.shape, generator=dice)
            changed = changed + noise_sd * share * functional.conv2d(grain, kernel, padding=reach)
        return changed

    return augment


class _Training:
    """State of a training between two epochs."""

    def __init__(
        self,
        given: TrainingSet,
        shape: NetworkShape,
        recipe: Recipe,
        augment: Augment | None,
    ) -> None:
        self.dice = torch.Generator().manual_seed(recipe.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)  # first weights
            self.network = ConvVae(shape)
        self.optimiser = torch.optim.Adam(self.network.parameters(), recipe.rate)
        self.windows = torch.from_numpy(np.ascontiguousarray(given.windows)[:, None])
        self.held_out = torch.from_numpy(np.ascontiguousarray(given.held_out)[:, None])
        self.recipe, self.augment, self.spoil = recipe, augment, given.spoil
        if recipe.from_components:
            self.network.start_from(self.windows)
        self.history: list[tuple[float, float]] = []
        self.best = {name: value.clone() for name, value in self.network.state_dict().items()}

    @property
    def best_epoch(self) -> int:
        return 1 + int(np.argmin([held for _, held in self.history]))

    @property
    def is_done(self) -> bool:
        return bool(self.history) and (len(self.history) - self.best_epoch >= self.recipe.patience)

    def run_epoch(self) -> None:
        recipe, n_windows = self.recipe, len(self.windows)
        share = len(self.history) / max(recipe.epochs - 1, 1)
        rate = recipe.rate * (0.05 + 0.95 * 0.5 * (1.0 + float(np.cos(np.pi * share))))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        total = 0.0
        for rows in torch.randperm(n_windows, generator=self.dice).split(recipe.batch):
            batch = self.windows[rows]
            if self.augment is not None:
                batch = self.augment(batch, self.dice)
            seen = batch if self.spoil is None else self.spoil(batch, self.dice)
            mean, log_variance = self.network.encode(seen)
            dice = torch.randn(mean.shape, generator=self.dice)
            drawn = self.network.decode(mean + dice * torch.exp(0.5 * log_variance))
            loss = self._misfit(drawn, batch) + recipe.beta * _divergence(mean, log_variance)
            self.optimiser.zero_grad(set_to_none=True)
            loss.mean().backward()
            self.optimiser.step()
            total += float(loss.detach().sum())
        self.history.append((total / n_windows, self._held_out_loss()[0]))
        if self.best_epoch == len(self.history):
            state = self.network.state_dict()
            self.best = {name: value.clone() for name, value in state.items()}

    def _misfit(self, drawn: Tensor, batch: Tensor) -> Tensor:
        """Nats (B,) by which the drawing misses the middle of the windows."""
        wanted = middle_of(batch, drawn.shape[-1])
        if self.recipe.loss == "cross_entropy":
            each = functional.binary_cross_entropy_with_logits(drawn, wanted, reduction="none")
        else:
            each = (drawn - wanted).square() / (2.0 * self.recipe.noise_sd**2)
        return each.sum((1, 2, 3))

    @torch.no_grad()
    def _held_out_loss(self) -> tuple[float, float]:
        """Loss and divergence per held-out window, of latent means."""
        self.network.eval()
        mean, log_variance = self.network.encode(self.held_out)
        divergence = _divergence(mean, log_variance)
        misfit = self._misfit(self.network.decode(mean), self.held_out)
        loss = misfit + self.recipe.beta * divergence
        return float(loss.mean()), float(divergence.mean())

    @torch.no_grad()
    def result(self) -> Trained:
        self.network.load_state_dict(self.best)
        side = self.network.shape.drawn_px
        wanted = middle_of(self.held_out, side)
        flat = middle_of(self.windows, side).mean(0, keepdim=True).expand_as(wanted)
        floor = wanted
        if self.recipe.loss == "cross_entropy":  # of levels, where a drawing is logits
            flat, floor = (torch.logit(one, eps=1e-6) for one in (flat, floor))
        return Trained(
            shape=self.network.shape,
            weights={name: value.numpy().copy() for name, value in self.best.items()},
            history=np.array(self.history),
            kl=self._held_out_loss()[1],
            flat_loss=float(self._misfit(flat, self.held_out).mean()),
            floor_loss=float(self._misfit(floor, self.held_out).mean()),
            best_epoch=self.best_epoch,
        )


def _divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence (B,) from a standard normal law, in closed form."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)


def _digest(given: TrainingSet, shape: NetworkShape, recipe: Recipe) -> str:
    """Name what a training learns from and how."""
    digest = hashlib.sha256(repr((asdict(shape), asdict(recipe), given.changes)).encode())
    for array in (given.windows, given.held_out):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class _Checkpoint:
    """A training on disk, as plain arrays: nothing that could run code."""

    def __init__(self, path: Path | None, digest: str) -> None:
        self._path, self._digest = path, digest

    def save(self, training: _Training) -> None:
        if self._path is None:
            return
        arrays: dict[str, NDArray[np.generic]] = {
            "digest": np.array(self._digest),
            "history": np.array(training.history),
            "dice": training.dice.get_state().numpy(),
        }
        for name, parameter in training.network.named_parameters():
            state = training.optimiser.state[parameter]
            arrays[f"now/{name}"] = parameter.detach().numpy()
            arrays[f"best/{name}"] = training.best[name].numpy()
            arrays[f"step/{name}"] = state["step"].numpy()
            arrays[f"first/{name}"] = state["exp_avg"].numpy()
            arrays[f"second/{name}"] = state["exp_avg_sq"].numpy()
        draft = self._path.with_name(self._path.name + ".part")
        with draft.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type] # numpy takes any names but its own
        draft.replace(self._path)

    def restore(self, training: _Training) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            with np.load(self._path, allow_pickle=False) as saved:
                self._take(saved, training)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, RuntimeError) as error:
            told = " ".join(f"{type(error).__name__} {error}".split())[:120]
            raise FitError(
                f"{self._path}: no checkpoint of a training ({told}): remove it, or name another"
            ) from error

    def _take(
        self,
        saved: Any,  # noqa: ANN401 - arrays of an npz by name
        training: _Training,
    ) -> None:
        if str(saved["digest"]) != self._digest:
            raise FitError(
                f"{self._path}: is of another training, of other frames or settings: remove it, "
                "or name another"
            )
        with torch.no_grad():
            training.history = [(float(loss), float(held)) for loss, held in saved["history"]]
            training.dice.set_state(torch.from_numpy(saved["dice"]))
            for name, parameter in training.network.named_parameters():
                parameter.copy_(torch.from_numpy(saved[f"now/{name}"]))
                training.best[name] = torch.from_numpy(saved[f"best/{name}"])
                training.optimiser.state[parameter] = {
                    "step": torch.from_numpy(saved[f"step/{name}"]),
                    "exp_avg": torch.from_numpy(saved[f"first/{name}"]),
                    "exp_avg_sq": torch.from_numpy(saved[f"second/{name}"]),
                }
