"""The network in torch; with `training.py` the only file that needs torch at its top."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latticewatch.detectors.vae.shape import KERNEL_PX, STRIDE, NetworkShape, Trained

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
        drawn = middle_of(
            (components * deviation).view(-1, 1, *windows.shape[2:]), self.shape.drawn_px
        )
        self.seed.weight.copy_(drawn.flatten(1).T)
        self.seed.bias.copy_(
            middle_of(middle.view(1, 1, *windows.shape[2:]), self.shape.drawn_px).flatten()
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


@torch.no_grad()
def redraw(trained: Trained, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draw (N, C, C) of windows (N, S, S) with torch: what an exported network must equal."""
    network = ConvVae(trained.shape)
    weights = {name: torch.from_numpy(value) for name, value in trained.weights.items()}
    network.load_state_dict(weights)
    drawn: NDArray[np.float32] = network(torch.from_numpy(windows[:, None]))[:, 0].numpy()
    return drawn


def middle_of(windows: Tensor, side: int) -> Tensor:
    """Cut the middle (..., C, C) out of windows (..., S, S); `side` is C."""
    rim = (windows.shape[-1] - side) // 2
    return windows[..., rim : rim + side, rim : rim + side]
