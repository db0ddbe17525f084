"""Settings of the fit of a symmetry map, each with its source.

Marks: [S] methods/symmetry.md; [C] our choice, measured on drawn boundaries
(tests/accuracy/symmetry.py).
"""

from dataclasses import dataclass

BLOCK_PX = 8
BOX_PX = 16
KERNEL_PX = 7
# Column of the grid that are left out along each border [S].
BORDER_CELLS = 2


@dataclass(frozen=True, slots=True)
class SymmetryParameters:
    """Settings of a fit. Lengths are pixels of the binned frame.

    Attributes
    ----------
    n_filters
        K, the leading windows of the model patch that are kept [S].
    inner_sigma, outer_sigma
        Of the difference of Gaussians, at the nominal period [S].
    nominal_period_px
        Square root of the area of a cell for which these lengths were made [C].
    scale_to_lattice
        Whether frames are binned, and the filter widened, so that a cell has about that size [S].
    tile_px
        Side of the tiles of which one becomes the model patch; small frames get smaller ones [S].
    ridge
        Of the covariance, times its diagonal [S].
    level_low, level_high
        Shares of the model patch below the levels [S].
    limit_p
        Chance of a clean cell to lie beyond the limit that severity counts from [C].
    """

    n_filters: int = 10
    inner_sigma: float = 2.0
    outer_sigma: float = 3.0
    nominal_period_px: float = 12.0
    scale_to_lattice: bool = True
    tile_px: int = 128
    ridge: float = 1e-4
    level_low: float = 0.001
    level_high: float = 0.999
    limit_p: float = 0.001

    def __post_init__(self) -> None:
        """Refuse what makes no sense, all of it at once, as ValueError."""
        ranges = {
            "n_filters": 4 <= self.n_filters <= 14,
            "inner_sigma": 0.5 <= self.inner_sigma < self.outer_sigma,
            "outer_sigma": self.outer_sigma <= 20,
            "nominal_period_px": 4 <= self.nominal_period_px <= 64,
            "tile_px": 64 <= self.tile_px <= 512 and self.tile_px % BLOCK_PX == 0,
            "ridge": 0 < self.ridge <= 1,
            "level_low": 0 <= self.level_low < self.level_high,
            "level_high": self.level_high <= 1,
            "limit_p": 0 < self.limit_p < 0.5,
        }
        wrong = [f"{name} = {getattr(self, name)}" for name, good in ranges.items() if not good]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")
