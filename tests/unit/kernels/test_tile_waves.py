"""A tile is filtered as a frame is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.smooth import gaussian_weights
from latticewatch.kernels.tile_waves import tile_scratch, tile_waves
from reference import smooth as slow
from support.images import images, random_image


def waves(
    tile: NDArray[np.float32], narrow: NDArray[np.float32], wide: NDArray[np.float32]
) -> NDArray[np.float32]:
    out = np.full_like(tile, np.nan)
    scratch = tile_scratch((tile.shape[0], tile.shape[1]), wide)
    for part in scratch:
        part[:] = np.nan
    tile_waves(tile, narrow, wide, scratch, out)
    return out


@given(images(), st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_waves_agree_with_the_definition(
    tile: NDArray[np.float32], narrow_px: float, more_px: float
) -> None:
    narrow, wide = gaussian_weights(narrow_px, 4.0), gaussian_weights(narrow_px + more_px, 4.0)
    expected = slow.difference_of_gaussians(tile, narrow, wide)
    np.testing.assert_allclose(waves(tile, narrow, wide), expected, atol=2e-3)


def test_tiles_of_every_height_end_where_they_should() -> None:
    narrow, wide = gaussian_weights(2.0, 4.0), gaussian_weights(3.0, 4.0)
    for height in range(1, 50):
        tile = random_image(height, (height, 40))
        expected = slow.difference_of_gaussians(tile, narrow, wide)
        np.testing.assert_allclose(waves(tile, narrow, wide), expected, atol=1e-6)


def test_nan_stays_in_the_rows_that_the_weights_reach() -> None:
    tile = random_image(1, (60, 40))
    tile[30, 20] = np.nan
    found = waves(tile, gaussian_weights(0.5, 4.0), gaussian_weights(1.0, 4.0))
    assert np.isnan(found[26:35, 16:25]).all()
    assert np.isfinite(np.delete(found, slice(25, 36), axis=0)).all()
