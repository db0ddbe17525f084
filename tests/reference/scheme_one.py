"""Scheme one of Guo et al. (2021) as one would write it first, whole: the time to beat.

NumPy, SciPy and scikit-learn in double precision; Patterson maps by two Fourier transforms.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.svm import OneClassSVM

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlainModel:
    """What a fit leaves for scoring."""

    sigma_px: float
    size_px: int
    polarity: int
    min_distance_px: int
    pca: PCA
    svm: OneClassSVM


def level(frame: NDArray[Any], sigma_px: float) -> Array:  # Any: a pixel type
    """Blurred frame, its darkest pixel 0 and its brightest 1."""
    blurred = ndimage.gaussian_filter(frame.astype(np.float64), sigma_px)
    low, high = blurred.min(), blurred.max()
    return np.asarray((blurred - low) / (high - low))


def find_sites(image: Array, polarity: int, min_distance_px: int) -> NDArray[np.int64]:
    """Extrema of the frame, the strongest of their square window."""
    signed = polarity * image
    return np.argwhere(signed == ndimage.maximum_filter(signed, 2 * min_distance_px + 1))


def refine(image: Array, sites: NDArray[np.int64], polarity: int, radius_px: int = 4) -> Array:
    """Places of the strongest sum over a disc within 3 px."""
    reach = np.arange(-radius_px, radius_px + 1)
    disc = (reach[:, None] ** 2 + reach**2 <= radius_px**2).astype(np.float64)
    sums = polarity * ndimage.convolve(image, disc)
    refined = sites.astype(np.float64)
    for row, (y, x) in enumerate(sites):
        top, left = max(y - 3, 0), max(x - 3, 0)
        window = sums[top : y + 4, left : x + 4]
        down, right = np.unravel_index(np.argmax(window), window.shape)
        refined[row] = top + down, left + right
    return refined


def crop(image: Array, places: Array, size_px: int) -> Array:
    """Whole windows round the places that have one, mean removed."""
    corners = np.floor(places + 0.5).astype(int) - size_px // 2
    whole = np.all((corners >= 0) & (corners + size_px <= image.shape), axis=1)
    windows = np.stack([image[y : y + size_px, x : x + size_px] for y, x in corners[whole]])
    return np.asarray(windows - windows.mean(axis=(1, 2), keepdims=True))


def patterson_maps(windows: Array) -> Array:
    """Periodic autocorrelations, flattened."""
    maps = np.fft.ifft2(np.abs(np.fft.fft2(windows)) ** 2).real
    return np.asarray(maps.reshape(len(windows), -1))


def maps_of(frame: NDArray[Any], model: PlainModel) -> Array:  # Any: a pixel type
    """All steps from a frame to its Patterson maps."""
    image = level(frame, model.sigma_px)
    sites = find_sites(image, model.polarity, model.min_distance_px)
    places = refine(image, sites, model.polarity)
    return patterson_maps(crop(image, places, model.size_px))


def fit(frame: NDArray[Any], model: PlainModel) -> PlainModel:  # Any: a pixel type
    """Fit principal components and machine of a model in place."""
    z = model.pca.fit_transform(maps_of(frame, model))
    model.svm.set_params(gamma=1.0 / (z.shape[1] * z.var()))
    model.svm.fit(z)
    return model


def fitted(frame: NDArray[Any], model: Any) -> PlainModel:  # noqa: ANN401 - tests see no model
    """Fit to a frame with the windows and sites of a model of ours."""
    rule = model.rule
    plain = PlainModel(
        sigma_px=rule.smooth_sigma_px,
        size_px=model.patch_size_px,
        polarity=rule.polarity,
        min_distance_px=rule.min_distance_px,
        pca=PCA(0.98, svd_solver="full"),
        svm=OneClassSVM(nu=0.04),
    )
    return fit(frame, plain)


def score(frame: NDArray[Any], model: PlainModel) -> Array:  # Any: a pixel type
    """Decision of every whole window of a frame."""
    return np.asarray(model.svm.decision_function(model.pca.transform(maps_of(frame, model))))
