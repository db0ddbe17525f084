"""The half plane of a spectrum is laid out as the definition says, both flanks of kx = 0 alike."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.spectra import half_plane_power
from reference import spectra as slow
from support.images import BROKEN, COARSE, images, random_image

Image = NDArray[np.float32]


def spectrum_of(image: Image) -> NDArray[np.complex64]:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.fft.rfft2(image).astype(np.complex64)


def power(spectrum: NDArray[np.complex64], reach_y: int, margin_x: int) -> Image:
    n_columns = spectrum.shape[1]
    out = np.full((2 * reach_y + 1, margin_x + n_columns), np.nan, np.float32)
    half_plane_power(spectrum, reach_y, margin_x, out)
    return out


@given(images(COARSE), st.data())
def test_power_agrees_with_the_definition(image: Image, data: st.DataObject) -> None:
    spectrum = spectrum_of(image)
    reach_y = data.draw(st.integers(0, (len(spectrum) - 1) // 2))
    margin_x = data.draw(st.integers(0, spectrum.shape[1] - 1))
    expected = slow.half_plane_power(spectrum, reach_y, margin_x, spectrum.shape[1])
    np.testing.assert_allclose(power(spectrum, reach_y, margin_x), expected, rtol=1e-5)


@given(images(BROKEN))
def test_broken_pixels_end_nothing(image: Image) -> None:
    assert power(spectrum_of(image), 0, 0).shape[0] == 1


def test_a_real_frame_is_symmetric_about_the_origin() -> None:
    out = power(spectrum_of(random_image(1, (24, 24))), 8, 5)
    middle = out[:, :11]  # kx from -5 to 5
    np.testing.assert_allclose(middle, middle[::-1, ::-1], rtol=1e-3)
