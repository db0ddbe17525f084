"""Settings of the fit of a symmetry map, each with its source.

Marks: [S] methods/symmetry.md; [C] our choice, measured on drawn boundaries
(tests/accuracy/symmetry.py).
"""

from dataclasses import dataclass

BLOCK_PX = 8
BOX_PX = 16
KERNEL_PX = 7
VARIANCE_PX = 20


@dataclass(frozen=True, slots=True)
class SymmetryParameters:
    """Settings of a fit. A period is the square root of the area of a cell of the lattice.

    Attributes
    ----------
    n_filters
        K, the leading windows of the model patch that are kept [S].
    scale_to_lattice
        Whether lengths follow the lattice; else frames are not binned and the widths are those
        of `unscaled_sigmas_px` [S].
    inner_sigma, outer_sigma
        Of the difference of Gaussians, in periods: 2 and 3 px at 12 px [S].
    unscaled_sigmas_px
        The same where lengths do not follow, or no lattice is found [S].
    binned_period_px
        What a period becomes, about, by binning [C]: boxes of 16 px then hold two of them.
    tile_px
        Side of the tiles, in pixels of the frame; small frames get smaller ones [S].
    pooled
        Whether mean and spread are those of all clean tiles [C], or of the model patch alone [S].
    ridge
        Of the covariance, times its diagonal [S].
    level_low, level_high
        Shares of the model patch below the levels [S].
    limit_p
        Chance of a clean cell to lie beyond the limit that severity counts from [S].
    """

    n_filters: int = 10
    scale_to_lattice: bool = True
    inner_sigma: float = 1 / 6
    outer_sigma: float = 1 / 4
    unscaled_sigmas_px: tuple[float, float] = (2.0, 3.0)
    binned_period_px: float = 8.0
    tile_px: int = 128
    pooled: bool = True
    ridge: float = 1e-4
    level_low: float = 0.001
    level_high: float = 0.999
    limit_p: float = 0.001

    def __post_init__(self) -> None:
        """Refuse what makes no sense, all of it at once, as ValueError."""
        # JSON has no tuples.
        object.__setattr__(self, "unscaled_sigmas_px", tuple(self.unscaled_sigmas_px))
        sigmas = self.unscaled_sigmas_px
        ranges = {
            "n_filters": 4 <= self.n_filters <= 14,
            "inner_sigma": 0 < self.inner_sigma < self.outer_sigma,
            "outer_sigma": self.outer_sigma <= 1,
            "unscaled_sigmas_px": len(sigmas) == 2 and 0.5 <= sigmas[0] < sigmas[1] <= 20,
            "binned_period_px": 4 <= self.binned_period_px <= 64,
            "tile_px": 64 <= self.tile_px <= 512,
            "ridge": 0 < self.ridge <= 1,
            "level_low": 0 <= self.level_low < self.level_high,
            "level_high": self.level_high <= 1,
            "limit_p": 0 < self.limit_p < 0.5,
        }
        wrong = [f"{name} = {getattr(self, name)}" for name, good in ranges.items() if not good]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")
