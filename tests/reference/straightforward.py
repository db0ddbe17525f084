"""Scheme one as one would write it first: SciPy, NumPy and scikit-learn, no compiled code of ours.

`latticewatch bench` measures its kernels against these, and a test proves that both compute the
same, so that the comparison is of equals. Everything is allowed to allocate.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from sklearn.metrics.pairwise import rbf_kernel

Image = NDArray[np.float32]
TRUNCATE_SIGMAS = 2.5


def to_float32(pixels: NDArray[Any]) -> Image:
    """Native float32 of any pixel type."""
    return pixels.astype(np.float32)


def count_pixels(image: Image) -> list[int]:
    """Pixels that are not finite, that are zero, and that differ from the first."""
    masks = (~np.isfinite(image), image == 0, image != image[0, 0])
    return [int(np.count_nonzero(mask)) for mask in masks]


def smooth(image: Image, sigma_px: float) -> Image:
    """Gaussian blur."""
    return np.asarray(ndimage.gaussian_filter(image, sigma_px, truncate=TRUNCATE_SIGMAS))


def levels(image: Image) -> tuple[float, float]:
    """2nd and 98th percentile."""
    low, high = np.percentile(image, (2, 98))
    return float(low), float(high)


def normalise(image: Image, low: float, high: float) -> Image:
    """Map `low` to 0 and `high` to 1."""
    return (image - np.float32(low)) / np.float32(high - low)


def find_extrema(image: Image, floor: float, radius_px: int, polarity: int) -> NDArray[np.int32]:
    """Pixels that are the strongest of their square window, away from the outermost rows."""
    signed = polarity * image
    strongest = ndimage.maximum_filter(signed, size=2 * radius_px + 1)
    marked = (signed == strongest) & (signed > floor)
    marked[[0, -1]] = False
    marked[:, [0, -1]] = False
    return np.argwhere(marked).astype(np.int32)


def refine(image: Image, places: NDArray[np.int32]) -> NDArray[np.float64]:
    """Vertex of the quadratic through the 3x3 pixels round each place, by least squares."""
    y, x = (axis.ravel().astype(float) for axis in np.mgrid[-1:2, -1:2])
    design = np.stack([np.ones(9), y, x, y * y, y * x, x * x], axis=1)
    solver = np.linalg.pinv(design)
    refined = places.astype(float)
    for row, (top, left) in enumerate(places - 1):
        window = image[top : top + 3, left : left + 3].astype(float)
        _, gy, gx, yy, yx, xx = solver @ window.ravel()
        step = np.linalg.solve([[2 * yy, yx], [yx, 2 * xx]], [-gy, -gx])
        refined[row] += np.clip(step, -0.75, 0.75)
    return refined


def gather_patches(image: Image, places: NDArray[np.float64], size: int) -> Image:
    """Whole windows round the places that have one, mean removed."""
    reach = size // 2
    corners = np.floor(places + 0.5).astype(int) - reach
    inside = np.all((corners >= 0) & (corners + size <= image.shape), axis=1)
    windows = [image[y : y + size, x : x + size] for y, x in corners[inside]]
    stack = np.stack(windows) if windows else np.empty((0, size, size), np.float32)
    return np.asarray(stack - stack.mean(axis=(1, 2), keepdims=True))


def patterson_power(patches: Image, cutoff: int, scale: float) -> Image:
    """Power of the low waves of each window, one of each pair of opposite ones."""
    power = np.square(np.abs(fft.fft2(patches)))
    waves = [
        (ky, kx)
        for ky in range(cutoff + 1)
        for kx in range(-cutoff, cutoff + 1)
        if ky > 0 or kx > 0
    ]
    ky, kx = np.array(waves).T
    return np.asarray(np.sqrt(2.0) * power[:, ky, kx] / scale, np.float32)


def project(features: Image, mean: Image, components: Image) -> Image:
    """Principal components."""
    return np.asarray((features - mean) @ components.T)


def decide(z: Image, model: Any) -> Image:  # noqa: ANN401 - any model with these five numbers
    """Decision of the one-class machine; lower is stranger."""
    kernel = rbf_kernel(z, model.support, gamma=model.gamma)
    return np.asarray(kernel @ model.dual - model.offset)


def robust_distance(z: Image, model: Any) -> Image:  # noqa: ANN401 - likewise
    """Squared deviation from the reference, summed over the components."""
    return np.asarray(np.square((z - model.z_median) / (1.4826 * model.z_mad)).sum(axis=1))


def score_frame(pixels: NDArray[Any], model: Any) -> tuple[Image, Image]:  # noqa: ANN401 - likewise
    """Decisions and robust distances of all whole windows of a frame, from raw pixels."""
    rule = model.rule
    image = to_float32(pixels)
    count_pixels(image)
    blurred = smooth(image, rule.smooth_sigma_px)
    levelled = normalise(blurred, *levels(blurred))
    found = find_extrema(levelled, rule.floor, rule.min_distance_px, rule.polarity)
    patches = gather_patches(levelled, refine(levelled, found), model.patch_size_px)
    features = patterson_power(patches, model.cutoff, model.scale)
    z = project(features, model.mean, model.components)
    return decide(z, model), robust_distance(z, model)
