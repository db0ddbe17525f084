"""Numbers of the published rule, what is bulk by them, and how a model file keeps them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.window_rules import read_entries

Latent = Literal["mean", "sample"]

MODE = "as_published"
_FLAT_BAND = 0.1  # half-width where the reference does not scatter at all


@dataclass(frozen=True, slots=True)
class PublishedRule:
    """Numbers of the published rule; those that are not learned have the published values.

    Attributes
    ----------
    window_px, step_px
        Side of a window, and distance between two of a frame.
    sigma_px
        Blur of each window by itself (2 in the paper; later 1.0 for CdTe, 1.4 for SrTiO3).
    cut
        Smaller differences count as none. The prepared window goes from 0 to 1.
    half_width_px
        Of the box round the largest difference: 6 is a box of 13 x 13.
    band_width_sd
        Half-width of the band of bulk, in standard deviations.
    band_mean, band_sd
        Of the score over bulk windows.
    latent
        Decode the mean of the latent space, which can be repeated by anyone, or one sample of it,
        as published, with dice that model, frame and window determine.
    zero
        Level that counts as black, on the scale of `as_levels`.
    """

    window_px: int = 64
    step_px: int = 32
    sigma_px: float = 2.0
    cut: float = 0.2
    half_width_px: int = 6
    band_width_sd: float = 1.5
    band_mean: float = 0.0
    band_sd: float = 0.0
    latent: Latent = "mean"
    zero: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that no fit can have made, as ValueError."""
        # Written so that NaN fails.
        limits = (
            ("window_px", 8 <= self.window_px <= 512),
            ("step_px", 1 <= self.step_px <= self.window_px),
            ("sigma_px", 0.0 <= self.sigma_px <= 16.0),
            ("cut", 0.0 <= self.cut < 1.0),
            ("half_width_px", 0 <= self.half_width_px < self.window_px),
            ("band_width_sd", 0.0 < self.band_width_sd < 100.0),
            ("band_mean", abs(self.band_mean) < math.inf),
            ("band_sd", 0.0 <= self.band_sd < math.inf),
            ("latent", self.latent in ("mean", "sample")),
            ("zero", abs(self.zero) < math.inf),
        )
        for name, holds in limits:
            if not holds:
                raise ValueError(f"{name} = {getattr(self, name)!r} is no number of a model")

    @property
    def band(self) -> tuple[float, float]:
        """Scores between these two, both excluded, are bulk."""
        half = self.band_width_sd * self.band_sd if self.band_sd > 0 else _FLAT_BAND
        return self.band_mean - half, self.band_mean + half

    def is_bulk(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Tell which scores (N,) lie within the band; NaN does not."""
        low, high = self.band
        inside: NDArray[np.bool_] = (scores > low) & (scores < high)
        return inside


def header_of(rule: PublishedRule) -> dict[str, object]:
    """Return the rule as a model file keeps it, with the name of the mode."""
    return {"mode": MODE, **asdict(rule)}


def rule_from(header: Mapping[str, Any]) -> PublishedRule:  # Any: numbers and text of JSON
    """Read what `header_of` wrote, out of a header that may hold more.

    Raises
    ------
    ValueError
        Another mode, or an entry that is missing or that no fit can have made.
    """
    return PublishedRule(**read_entries(PublishedRule, MODE, header))
