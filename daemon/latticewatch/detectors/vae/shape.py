"""What a network looks like and what training made of it; knows no learning library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

KERNEL_PX = 3  # of every convolution
STRIDE = 2

Output = Literal["sigmoid", "plain"]
Weights = Mapping[str, NDArray[np.float32]]
"""Names as in `network.ConvVae`: encoder.0.weight, mean.weight, ..."""


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Layers of a convolutional variational autoencoder.

    Attributes
    ----------
    window_px
        Side of the windows that go in.
    encoder
        Filters of the convolutions 3 x 3 with stride 2, no padding, each with ReLU.
    latents
        Dimension of the latent space.
    decoder
        Empty: one dense layer draws the window. Else filters of the seed that a dense layer
        makes, then those of each transposed convolution 3 x 3 with stride 2 and ReLU; a convolution
        3 x 3 to one channel ends it.
    drawn_px
        Side of what is drawn, the middle of the window; the whole window with transposed
        convolutions.
    output
        What follows the last layer: a sigmoid, or nothing.
    straight
        A dense layer adds to the latent means straight from the window, past the convolutions.
    """

    window_px: int
    encoder: tuple[int, ...]
    latents: int
    decoder: tuple[int, ...]
    drawn_px: int
    output: Output
    straight: bool = False

    def __post_init__(self) -> None:
        """Refuse layers that do not fit together, as ValueError."""
        if self.encoded_px < 1:
            raise ValueError(f"{len(self.encoder)} strides are too many for {self.window_px} px")
        if not 0 < self.drawn_px <= self.window_px or (self.window_px - self.drawn_px) % 2:
            raise ValueError(f"{self.drawn_px} px are not the middle of {self.window_px} px")
        if self.decoder and self.seed_px << (len(self.decoder) - 1) != self.drawn_px:
            raise ValueError(f"{len(self.decoder) - 1} strides do not make {self.drawn_px} px")

    @property
    def encoded_px(self) -> int:
        """Side of what the last convolution of the encoder leaves."""
        side = self.window_px
        for _ in self.encoder:
            side = (side - KERNEL_PX) // STRIDE + 1
        return side

    @property
    def n_encoded(self) -> int:
        """Numbers that the dense layers of the latent space read."""
        return self.encoder[-1] * self.encoded_px**2

    @property
    def seed_px(self) -> int:
        """Side of the seed of the transposed convolutions."""
        n_strides: int = max(len(self.decoder) - 1, 0)
        return self.drawn_px >> n_strides  # each stride doubles


@dataclass(frozen=True, slots=True)
class Step:
    """How far a training is.

    Attributes
    ----------
    epoch, n_epochs
        Done, and at most.
    loss, held_out_loss
        Mean per window of this epoch, nats; the second on windows that are not learned from.
    seconds_left
        If all epochs are needed.
    """

    epoch: int
    n_epochs: int
    loss: float
    held_out_loss: float
    seconds_left: float


Progress = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """A network that learned.

    Attributes
    ----------
    shape, weights
        The network; weights of the epoch with the least held-out loss.
    history : (E, 2)
        Loss and held-out loss of each epoch, nats per window.
    kl
        Kullback-Leibler divergence of the latent space from its prior, nats per held-out window.
    flat_loss, floor_loss
        Held-out loss of drawing the mean window whatever goes in, and the least that any drawing
        could have: between them lies what can be learned.
    best_epoch
        Whose weights these are, from 1.
    """

    shape: NetworkShape
    weights: Weights
    history: NDArray[np.float64]
    kl: float
    flat_loss: float
    floor_loss: float
    best_epoch: int

    @property
    def held_out_loss(self) -> float:
        """Of the weights that were kept."""
        return float(self.history[self.best_epoch - 1, 1])

    @property
    def unexplained(self) -> float:
        """Share of what could be learned that was not; 1 for a collapsed network."""
        span = self.flat_loss - self.floor_loss
        return (self.held_out_loss - self.floor_loss) / span if span > 0 else 1.0
