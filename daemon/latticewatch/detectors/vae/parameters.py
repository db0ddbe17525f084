"""Settings of the fit of an autoencoder, each with its source.

Marks: [M] methods/vae.md; [C] our choice, measured on disjoint bands of one frame of SrTiO3 and on
simulated crystals (tests/accuracy/README.md).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class VaeParameters:
    """Settings of a fit. Lengths are fractions of the lattice period.

    Attributes
    ----------
    smooth_sigma
        Width of the Gaussian blur [M]: 2 px at a period of 23.5 px.
    extremum_min_distance, polarity, level_low, level_high
        How sites are found, see `SiteSettings`; levels as scheme one has them.
    window
        Side of the window that the encoder sees [M].
    window_px
        Points along that side [C]: odd, so that one lies on the site; 12 a period are enough after
        the blur.
    drawn_px
        Points along the side of the middle that the decoder draws [C]: the cell of the site and
        the blur of the local energy.
    encoder
        Filters of the convolutions [C].
    latents
        Dimension of the latent space [C].
    decoder
        Empty: one dense layer [M]; else filters of transposed convolutions, see `NetworkShape`.
    noise_sd
        Of a point, over the spread of the windows about the usual one [C].
    beta
        Weight of the divergence [C]: the blur leaves one independent point in about ten.
    epochs, batch, rate, patience
        Of the training [M]: Adam with a cosine.
    per_epoch
        Windows of an epoch at least: few are shown several times.
    gain, noise
        Standard deviation of the gain and most of the added noise of an augmented window; the
        noise over the spread of the windows [C].
    damage
        Strength of the damage that the encoder sees and the decoder does not draw, over the spread
        of the windows; 0: none [C].
    held_out
        Share of the windows that say when to stop.
    trim
        Share of the strangest windows that the second training leaves out [M].
    most_fit_sites
        Sites to learn from at most [C].
    seed
        Of everything random.
    """

    smooth_sigma: float = 0.085
    extremum_min_distance: float = 0.25
    polarity: Literal["auto", "bright", "dark"] = "auto"
    level_low: float = 0.02
    level_high: float = 0.98
    window: float = 2.7
    window_px: int = 33
    drawn_px: int = 23
    encoder: tuple[int, ...] = (8, 16, 32)
    latents: int = 12
    decoder: tuple[int, ...] = ()
    noise_sd: float = 0.7
    beta: float = 10.0
    epochs: int = 40
    batch: int = 16
    rate: float = 1e-3
    patience: int = 12
    per_epoch: int = 800
    gain: float = 0.0
    noise: float = 0.15
    damage: float = 0.0
    held_out: float = 0.15
    trim: float = 0.05
    most_fit_sites: int = 1500
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense, all of it at once, as ValueError."""
        ranges = {
            "smooth_sigma": 0 < self.smooth_sigma <= 1,
            "extremum_min_distance": 0 < self.extremum_min_distance <= 1,
            "polarity": self.polarity in ("auto", "bright", "dark"),
            "level_low": 0 <= self.level_low < self.level_high,
            "level_high": self.level_high <= 1,
            "window": 1 <= self.window <= 10,
            "window_px": 9 <= self.window_px <= 129 and self.window_px % 2 == 1,
            "drawn_px": 3 <= self.drawn_px <= self.window_px and self.drawn_px % 2 == 1,
            "encoder": 1 <= len(self.encoder) <= 6 and all(0 < n <= 512 for n in self.encoder),
            "latents": 1 <= self.latents <= 256,
            "decoder": len(self.decoder) <= 6 and all(0 < n <= 512 for n in self.decoder),
            "noise_sd": 0 < self.noise_sd <= 100,
            "beta": 0 <= self.beta <= 1e4,
            "epochs": 1 <= self.epochs <= 10_000,
            "batch": 1 <= self.batch <= 4096,
            "rate": 0 < self.rate <= 1,
            "patience": self.patience >= 1,
            "per_epoch": 1 <= self.per_epoch <= 100_000,
            "damage": 0 <= self.damage <= 1000,
            "held_out": 0 < self.held_out <= 0.5,
            "gain": 0 <= self.gain <= 1,
            "noise": 0 <= self.noise <= 10,
            "trim": 0 <= self.trim < 0.5,
            "most_fit_sites": 60 <= self.most_fit_sites <= 100_000,
            "seed": 0 <= self.seed < 2**31,
        }
        wrong = [f"{name} = {getattr(self, name)}" for name, good in ranges.items() if not good]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")


# Floor of what a training must have learned (methods/vae.md 3.3): less is a posterior that
# collapsed, which draws one window whatever it is shown.
LEAST_KL_NATS = 1.0
MOST_UNEXPLAINED = 0.95
# Blur of the squares whose largest value is the local energy: 3 px at a period of 23.5 (3.1).
ENERGY_SIGMA = 3.0 / 23.5
# The cell of a site and a little more: a column on its border is seen by both sides.
CELL_SHARE = 1.1

# When a frame is stale, measured on simulated crystals; lattice and frames running: see
# `detectors/staleness.py`.
STALE_SCORE = 3.0
# Strange sites: at least a tenth, and three times the share of the reference, as scheme one has it.
# Each of thirteen defects in a frame of 330 sites of SrTiO3 is seen by up to four cells: 16 %.
STALE_FLAGGED = 0.1
STALE_FACTOR = 3.0
