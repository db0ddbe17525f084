"""Small images with all that can be wrong with one: NaN, infinities, ties, a single row."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

# Few different values, so that neighbours are often equal.
COARSE = st.integers(-3, 3).map(float)
FINE = st.floats(-1000.0, 1000.0, width=32)
BROKEN = st.sampled_from([float("nan"), float("inf"), float("-inf"), 3e38, -3e38, -0.0])


def images(
    values: st.SearchStrategy[float] = FINE, max_side_px: int = 12
) -> st.SearchStrategy[NDArray[np.float32]]:
    """Images (H, W) in float32, from a single pixel on."""
    shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=max_side_px)
    return arrays(np.float32, shapes, elements=values, fill=st.nothing())


def broken_images(max_side_px: int = 12) -> st.SearchStrategy[NDArray[np.float32]]:
    """Images that may hold ties, NaN, infinities and the largest numbers."""
    return images(st.one_of(COARSE, FINE, BROKEN), max_side_px)


def random_image(seed: int, shape_yx: tuple[int, int]) -> NDArray[np.float32]:
    """Make an image of normal noise."""
    return np.random.default_rng(seed).normal(size=shape_yx).astype(np.float32)
