"""The method of the authors as they published it: for comparison, and for pictures like theirs.

Maxima, crops to the pixel, values at the middle of each pixel, a layout by correlation, and classes
cut out of its picture. It knows no lattice, no level of a frame, and no frame after this one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal
from scipy.spatial import cKDTree

from latticewatch.detectors.motifs.layout import Metric, lay_out
from latticewatch.kernels.zernike import disc_basis, invariants, n_invariants

# All of these are the authors' (methods/motifs.md 2.2 to 2.4), the number of windows ours.
_N_WINDOWS = 8
_SKIPPED_PX, _PROMINENCE, _WIDTH_PX = 5, 0.15, 2.0
_RASTER_PX, _GROWN_PX = 256, 3


@dataclass(frozen=True, slots=True)
class PublishedSettings:
    """What the authors choose per image, and what they leave as it is.

    Attributes
    ----------
    side
        Of a patch, pixels, more than `n_max`; None for the spacing of the lattice.
    threshold
        Least value of a maximum, of an image from 0 to 1; None for its mean.
    rotation_invariant
        Moduli, with the sign of round functions lost; else all moments.
    components
        Of the PCA; the paper does not say how many. At least 2.
    seed
        Of the layout and of the windows that measure the spacing.
    """

    side: int | None = None
    threshold: float | None = None
    n_max: int = 10
    rotation_invariant: bool = True
    components: int = 5
    k: int = 10
    metric: Metric = "correlation"
    seed: int = 48


@dataclass(frozen=True, slots=True)
class PublishedMotifs:
    """Classes of the patches of one image.

    Attributes
    ----------
    places_yx : (N, 2)
        As given, or the maxima; pixels.
    labels : (N,)
        Classes from 0 on, the largest first; -1 where the patch leaves the image.
    features : (M, F)
        Of the patches inside, in the order of their places.
    z : (M, C)
        Their components.
    layout_yx : (M, 2)
        Their places in the picture.
    means : (K, S, S)
        Mean patch of each class, of an image from 0 to 1.
    """

    places_yx: NDArray[np.float64]
    labels: NDArray[np.intp]
    features: NDArray[np.float64]
    z: NDArray[np.float64]
    layout_yx: NDArray[np.float64]
    means: NDArray[np.float64]


def find_motifs(
    image: NDArray[np.float32],
    settings: PublishedSettings = PublishedSettings(),
    places_yx: NDArray[np.float64] | None = None,
) -> PublishedMotifs:
    """Sort the patches of an image into classes, as published.

    Parameters
    ----------
    image : (H, W)
        Finite.
    places_yx : (N, 2), optional
        Middles of patches, pixels; the maxima of the image where none are given.

    Raises
    ------
    ValueError
        The image is not finite or all one value, shows no spacing where a side is wanted, or has
        fewer patches than components.
    """
    scaled = _to_unit(image)
    side = settings.side if settings.side is not None else spacing_px(scaled, settings.seed)
    if places_yx is None:
        level = float(scaled.mean()) if settings.threshold is None else settings.threshold
        places_yx = local_maxima(scaled, level, side / 2, side // 2 + 1).astype(np.float64)
    patches, inside = whole_patches(scaled, places_yx, side)
    if len(patches) < max(settings.components, 2):
        raise ValueError(f"{len(patches)} patches: {max(settings.components, 2)} are the least")
    features = _features(patches, settings)
    z = _components(features, settings.components)
    layout = lay_out(z, seed=settings.seed, k=settings.k, metric=settings.metric)
    classes = raster_clusters(layout)
    labels = np.full(len(places_yx), -1, np.intp)
    labels[inside] = classes
    means = np.stack([patches[classes == label].mean(axis=0) for label in range(classes.max() + 1)])
    return PublishedMotifs(places_yx, labels, features, z, layout, means)


def spacing_px(image: NDArray[np.floating], seed: int = 48) -> int:
    """Measure the side of a patch: the strongest spacing of an image, whole pixels.

    The highest peak of the radial maximum of a mean autocorrelation, of random windows of half the
    image; seeded, where the authors' differ from run to run.

    Parameters
    ----------
    image : (H, W)
        Finite; 32 px a side or more.

    Raises
    ------
    ValueError
        No peak stands out, or the image is too small.
    """
    half = (image.shape[0] // 2, image.shape[1] // 2)
    if min(half) < 4 * _SKIPPED_PX:
        raise ValueError(f"{image.shape[0]} x {image.shape[1]} px: too small to measure a spacing")
    rng = np.random.default_rng(seed)
    # Zeros beside each window: spacings far apart then count less than near ones of equal kind.
    padded = (2 * half[0], 2 * half[1])
    power = np.zeros((padded[0], half[1] + 1))
    for _ in range(_N_WINDOWS):
        top, left = rng.integers(half[0] + 1), rng.integers(half[1] + 1)
        window = image[top : top + half[0], left : left + half[1]].astype(np.float64)
        window -= window.mean()
        power += np.abs(np.fft.rfft2(window / max(float(window.std()), 1e-12), padded)) ** 2
    correlation = np.fft.fftshift(np.fft.irfft2(power, padded))
    y, x = np.ogrid[: padded[0], : padded[1]]
    radius = np.round(np.hypot(y - half[0], x - half[1])).astype(np.intp)
    reach = np.arange(min(half) // 2)
    profile = ndimage.gaussian_filter1d(ndimage.maximum(correlation, radius, reach), 1.0)
    profile = profile[_SKIPPED_PX:]
    prominence = _PROMINENCE * float(np.ptp(profile))
    peaks, _ = signal.find_peaks(profile, prominence=max(prominence, 1e-12), width=_WIDTH_PX)
    if not len(peaks):
        raise ValueError("no spacing stands out in this image: give the side of a patch")
    return int(peaks[np.argmax(profile[peaks])]) + _SKIPPED_PX


def local_maxima(
    image: NDArray[np.floating], threshold: float, min_distance_px: float, border_px: int
) -> NDArray[np.intp]:
    """Find pixels that none of their eight neighbours exceeds, the brightest first.

    Parameters
    ----------
    image : (H, W)
        Finite.
    threshold
        Maxima are above it.
    min_distance_px
        Of two that are no further apart the brighter one is kept.
    border_px
        None lie so near to the edge.

    Returns
    -------
    (N, 2)
        [y, x].
    """
    height, width = image.shape
    peak = (image == ndimage.maximum_filter(image, size=3)) & (image > threshold)
    places = np.argwhere(peak)
    far_from_edge = (places >= border_px) & (places < np.array([height, width]) - border_px)
    places = places[far_from_edge.all(axis=1)]
    if not len(places):
        return places
    places = places[np.argsort(-image[places[:, 0], places[:, 1]], kind="stable")]
    kept = np.ones(len(places), np.bool_)
    near = cKDTree(places).query_ball_point(places, min_distance_px)
    for place, others in enumerate(near):
        if kept[place]:
            kept[[other for other in others if other > place]] = False
    return places[kept]


def whole_patches(
    image: NDArray[np.floating], places_yx: NDArray[np.float64], side: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cut squares of whole pixels, from side / 2 before the nearest pixel on.

    Of an even side a place lies half a pixel behind the middle of its square.

    Returns
    -------
    (M, S, S), (N,)
        Those inside the image, and which these are.
    """
    first = np.rint(places_yx).astype(np.intp) - side // 2
    fits = (first >= 0) & (first + side <= np.array(image.shape))
    inside: NDArray[np.bool_] = np.all(fits, axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side))
    return windows[first[inside, 0], first[inside, 1]].astype(np.float64), inside


def raster_clusters(layout_yx: NDArray[np.float64]) -> NDArray[np.intp]:
    """Cut a layout into the islands of its picture.

    Parameters
    ----------
    layout_yx : (N, 2)
        Drawn as points on 256 x 256 pixels that fit round it, each grown to a disc of 3 pixels.

    Returns
    -------
    (N,)
        Island of each point, from 0 on, the one of most points first.
    """
    low = layout_yx.min(axis=0)
    extent = np.maximum(layout_yx.max(axis=0) - low, 1e-12)
    pixels = np.rint((layout_yx - low) / extent * (_RASTER_PX - 1)).astype(np.intp)
    picture = np.zeros((_RASTER_PX, _RASTER_PX), np.bool_)
    picture[pixels[:, 0], pixels[:, 1]] = True
    y, x = np.ogrid[-_GROWN_PX : _GROWN_PX + 1, -_GROWN_PX : _GROWN_PX + 1]
    grown = ndimage.binary_dilation(picture, y * y + x * x <= _GROWN_PX**2)
    islands, n_islands = ndimage.label(grown, np.ones((3, 3)))
    found = islands[pixels[:, 0], pixels[:, 1]] - 1
    order = np.argsort(-np.bincount(found, minlength=n_islands), kind="stable")
    rank = np.empty(n_islands, np.intp)
    rank[order] = np.arange(n_islands)
    labels: NDArray[np.intp] = rank[found]
    return labels


def _to_unit(image: NDArray[np.float32]) -> NDArray[np.float64]:
    low, high = float(image.min()), float(image.max())
    # Written so that NaN fails, as infinities do.
    if not 0 < high - low < np.inf:
        raise ValueError(f"an image from {low:g} to {high:g} has no motifs: finite, and not flat")
    return (image.astype(np.float64) - low) / (high - low)


def _features(patches: NDArray[np.float64], settings: PublishedSettings) -> NDArray[np.float64]:
    side = patches.shape[1]
    basis = disc_basis(side, n_max=settings.n_max, kind="package")
    at = basis.offsets_yx + side // 2
    moments = patches[:, at[:, 0], at[:, 1]].astype(np.float32) @ basis.values.T
    if not settings.rotation_invariant:
        return moments.astype(np.float64)
    moduli = np.empty((len(moments), n_invariants(len(basis.terms))), np.float32)
    invariants(moments, moduli)
    return np.abs(moduli.astype(np.float64))


def _components(features: NDArray[np.float64], n_components: int) -> NDArray[np.float64]:
    centred = features - features.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    z: NDArray[np.float64] = left[:, :n_components] * scale[:n_components]
    return z
