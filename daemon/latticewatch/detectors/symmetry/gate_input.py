"""What the gate's network is shown: one function for training and for judging.

After methods/symmetry.md 3.5, as measured there: difference of Gaussians of 2 and 3 px, each tile
by itself; its smallest value to 0 and its largest to 1; enlarged to 128 px if it is smaller;
(255 x - 127) / 128.
"""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.smooth import gaussian_weights
from latticewatch.kernels.tile_waves import tile_scratch, tile_waves

SIDE_PX = 128
LEAST_SIDE_PX = 32  # below this the blur of 3 px sees the edges more than the tile
SIGMAS_PX = (2.0, 3.0)
_TRUNCATE = 4.0
# A tile whose waves are weaker than this share of its range is flat but for rounding.
_LEAST_WAVES = 1e-6


class TilePreparer:
    """Prepares square tiles of one side, in buffers that it keeps.

    Parameters
    ----------
    side_px
        Of the tiles, 32 to 128.

    Raises
    ------
    ValueError
        The side is another one.
    """

    def __init__(self, side_px: int) -> None:
        if not LEAST_SIDE_PX <= side_px <= SIDE_PX:
            raise ValueError(f"tiles of {side_px} px, expected {LEAST_SIDE_PX} to {SIDE_PX}")
        self.side_px = side_px
        self._tile: NDArray[np.float32] = np.empty((side_px, side_px), np.float32)
        self._waves: NDArray[np.float32] = np.empty_like(self._tile)
        self._narrow, self._wide = (gaussian_weights(sigma, _TRUNCATE) for sigma in SIGMAS_PX)
        self._scratch = tile_scratch((side_px, side_px), self._wide)
        # Bilinear, between centres of pixels: the row before each new one, and how far beyond it.
        places = (np.arange(SIDE_PX) + 0.5) * side_px / SIDE_PX - 0.5
        places = np.clip(places, 0, side_px - 1)
        self._before = np.minimum(places.astype(int), side_px - 2)
        self._share = (places - self._before).astype(np.float32)[:, None]

    def prepare(self, tiles: NDArray[np.generic], out: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Prepare tiles.

        Parameters
        ----------
        tiles : (N, S, S)
            Raw pixels, any scale.
        out : (N, 1, 128, 128)
            Receives what the network is shown, -0.99 to 1; zero where a tile shows nothing.

        Returns
        -------
        (N,) bool
            Which tiles show something: all their pixels are finite in single precision
            and not all the same.
        """
        shown = np.zeros(len(tiles), np.bool_)
        for number, tile in enumerate(tiles):
            shown[number] = self._prepare_one(tile, out[number, 0])
        return shown

    def _prepare_one(self, tile: NDArray[np.generic], out: NDArray[np.float32]) -> bool:
        spread = self._centre(tile)
        # NaN and infinity among the pixels show in their spread.
        if not np.isfinite(spread):
            out[:] = 0.0
            return False
        tile_waves(self._tile, self._narrow, self._wide, self._scratch, self._waves)
        low, high = float(self._waves.min()), float(self._waves.max())
        if not high - low > _LEAST_WAVES * spread:
            out[:] = 0.0
            return False
        drawn: NDArray[np.float32] = self._waves
        if self.side_px < SIDE_PX:
            drawn = self._enlarged(self._enlarged(drawn).T).T
        np.multiply(drawn, np.float32(255.0 / 128.0 / (high - low)), out=out)
        out -= np.float32((255.0 * low / (high - low) + 127.0) / 128.0)
        return True

    def _centre(self, tile: NDArray[np.generic]) -> float:
        """Copy a tile less its mean, so that single precision is spent on what is seen."""
        # Infinities, and numbers that become some in single precision.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(tile.mean(dtype=np.float64))
            np.subtract(tile, mean, out=self._tile, casting="unsafe")
            return float(np.ptp(self._tile))

    def _enlarged(self, drawn: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows (128, M) of rows (S, M)."""
        before, share = self._before, self._share
        rows: NDArray[np.float32] = (1 - share) * drawn[before] + share * drawn[before + 1]
        return rows
