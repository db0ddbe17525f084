"""The network in torch, and its training; the only file that needs torch at its top."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from latticewatch.detectors.vae.shape import (
    KERNEL_PX,
    STRIDE,
    NetworkShape,
    Progress,
    Step,
    Trained,
)

Loss = Literal["cross_entropy", "gauss"]
Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Windows (B, 1, S, S) and the dice to windows that show the same, as another frame would."""


# Of the convolutions in the latent means at the start from principal components, and the
# log-variance there: little, so that the first epochs do not unlearn it.
_START_SHARE = 0.01
_START_LOG_VARIANCE = -3.0


class ConvVae(nn.Module):
    """Windows to what a bulk window would look like in their place.

    Parameters
    ----------
    shape
        Its layers.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        layers: list[nn.Module] = []
        before = 1
        for filters in shape.encoder:
            layers += [nn.Conv2d(before, filters, KERNEL_PX, STRIDE), nn.ReLU()]
            before = filters
        self.encoder = nn.Sequential(*layers)
        self.mean = nn.Linear(shape.n_encoded, shape.latents)
        self.log_variance = nn.Linear(shape.n_encoded, shape.latents)
        if shape.straight:
            self.straight = nn.Linear(shape.window_px**2, shape.latents, bias=False)
        if not shape.decoder:
            self.seed = nn.Linear(shape.latents, shape.drawn_px**2)
            self.decoder = nn.Sequential()
            return
        self.seed = nn.Linear(shape.latents, shape.decoder[0] * shape.seed_px**2)
        layers, before = [nn.ReLU()], shape.decoder[0]
        for filters in shape.decoder[1:]:
            layers += [
                nn.ConvTranspose2d(before, filters, KERNEL_PX, STRIDE, padding=1, output_padding=1),
                nn.ReLU(),
            ]
            before = filters
        layers.append(nn.Conv2d(before, 1, KERNEL_PX, padding=1))
        self.decoder = nn.Sequential(*layers)

    def encode(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, latents) of windows (B, 1, S, S)."""
        features = self.encoder(windows).flatten(1)
        mean: Tensor = self.mean(features)
        if self.shape.straight:
            mean = mean + self.straight(windows.flatten(1))
        return mean, self.log_variance(features)

    @torch.no_grad()
    def start_from(self, windows: Tensor) -> None:
        """Begin at the principal components of windows (B, 1, S, S), and learn from there.

        The latent space is theirs, each with variance one, and the convolutions say little. Needs
        a dense decoder and the straight layer.
        """
        flat = windows.flatten(1).double()
        middle = flat.mean(0)
        values, vectors = torch.linalg.eigh((flat - middle) @ (flat - middle).T)
        values = values.flip(0)[: self.shape.latents]
        components = vectors.flip(1)[:, : self.shape.latents].T @ (flat - middle)
        components /= values.sqrt()[:, None]
        deviation = (values / len(flat)).sqrt()[:, None]
        drawn = _middle(
            (components * deviation).view(-1, 1, *windows.shape[2:]), self.shape.drawn_px
        )
        self.seed.weight.copy_(drawn.flatten(1).T)
        self.seed.bias.copy_(
            _middle(middle.view(1, 1, *windows.shape[2:]), self.shape.drawn_px).flatten()
        )
        self.straight.weight.copy_(components / deviation)
        self.mean.weight.mul_(_START_SHARE)
        self.mean.bias.copy_(-(components / deviation) @ middle)
        self.log_variance.bias.fill_(_START_LOG_VARIANCE)

    def decode(self, latent: Tensor) -> Tensor:
        """Draw (B, 1, C, C) from latent places (B, latents), before the last sigmoid."""
        shape = self.shape
        if not shape.decoder:
            return self.seed(latent).view(-1, 1, shape.drawn_px, shape.drawn_px)
        seed = self.seed(latent).view(-1, shape.decoder[0], shape.seed_px, shape.seed_px)
        drawn: Tensor = self.decoder(seed)
        return drawn

    def forward(self, windows: Tensor) -> Tensor:
        """Draw (B, 1, C, C) from the latent means, as it is done at run time."""
        drawn = self.decode(self.encode(windows)[0])
        return torch.sigmoid(drawn) if self.shape.output == "sigmoid" else drawn


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
    damage redraws what bulk would be there, and not the damage.
    """

    windows: NDArray[np.float32]
    held_out: NDArray[np.float32]
    spoil: Augment | None = None


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


@torch.no_grad()
def redraw(trained: Trained, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draw (N, C, C) of windows (N, S, S) with torch: what an exported network must equal."""
    network = ConvVae(trained.shape)
    weights = {name: torch.from_numpy(value) for name, value in trained.weights.items()}
    network.load_state_dict(weights)
    drawn: NDArray[np.float32] = network(torch.from_numpy(windows[:, None]))[:, 0].numpy()
    return drawn


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
        wanted = _middle(batch, drawn.shape[-1])
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
        wanted = _middle(self.held_out, side)
        flat = _middle(self.windows, side).mean(0, keepdim=True).expand_as(wanted)
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


def _middle(windows: Tensor, side: int) -> Tensor:
    rim = (windows.shape[-1] - side) // 2
    return windows[..., rim : rim + side, rim : rim + side]


def _divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence (B,) from a standard normal law, in closed form."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)


def _digest(given: TrainingSet, shape: NetworkShape, recipe: Recipe) -> str:
    """Name what a training learns from and how."""
    digest = hashlib.sha256(repr((asdict(shape), asdict(recipe))).encode())
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

    @torch.no_grad()
    def restore(self, training: _Training) -> None:
        if self._path is None or not self._path.exists():
            return
        with np.load(self._path, allow_pickle=False) as saved:
            if str(saved["digest"]) != self._digest:
                return
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
