"""Plain scorers to judge others by: what each needs is spelled out in NumPy and SciPy."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.dense import DenseScorer
from latticewatch.detectors.vae.pca import DenseParameters, fit_dense
from support.band_figures import Score, Scores, random_corners
from support.bands import Band, Image, Places, blurred

_N_WINDOWS = 800
_SEED = 7


def cut_windows(image: Image, corners: Places, side: int) -> NDArray[np.float64]:
    """Windows (N, side, side) at top left corners, whole pixels."""
    places = np.round(corners).astype(int)
    return np.stack([image[y : y + side, x : x + side] for y, x in places]).astype(np.float64)


def window_mean(band: Band) -> Score:
    """How far the mean of a window is from that of the band; needs no model."""
    side, period_px = band.window_px, band.period_px

    def score(image: Image, corners: Places) -> Scores:
        windows = _levelled_windows(image, corners, side, period_px)
        off: Scores = np.abs(windows.mean(axis=(1, 2)))
        return off

    return score


def window_spread(band: Band) -> Score:
    """How far the standard deviation of a window is from that of the band."""
    side, period_px = band.window_px, band.period_px

    def score(image: Image, corners: Places) -> Scores:
        windows = _levelled_windows(image, corners, side, period_px)
        off: Scores = np.abs(windows.std(axis=(1, 2)) - 1.0)
        return off

    return score


def window_pca(band: Band, rank: int = 40, *, central: bool = True) -> Score:
    """Largest residual of the principal components, in the central half of a window or all of it.

    Windows are divided by their maximum, as the published program does.
    """
    side, period_px = band.window_px, band.period_px
    rng = np.random.default_rng(_SEED)
    smooth = blurred(band.image, period_px)
    rows = _by_maximum(cut_windows(smooth, random_corners(band, _N_WINDOWS, rng), side))
    mean = rows.mean(axis=0)
    _, _, vectors = np.linalg.svd(rows - mean, full_matrices=False)
    basis = vectors[:rank]
    quarter = side // 4 if central else 0

    def score(image: Image, corners: Places) -> Scores:
        rows = _by_maximum(cut_windows(blurred(image, period_px), corners, side)) - mean
        left = np.abs(rows - (rows @ basis.T) @ basis).reshape(-1, side, side)
        largest: Scores = left[:, quarter : side - quarter, quarter : side - quarter].max((1, 2))
        return largest

    return score


def dense_residual(
    band: Band, waves: float = 3.2, rank: int | None = None, statistic: str = "largest"
) -> Score:
    """Judge columns as the package does, by a statistic of `DenseScores`."""
    period_px = band.period_px
    model = fit_dense(
        [on_own_levels(blurred(band.image, period_px))],
        band.basis_px_yx,
        DenseParameters(waves=waves, rank=rank),
    )
    scorer = DenseScorer(model)

    def score(image: Image, places: Places) -> Scores:
        found = scorer.score(on_own_levels(blurred(image, period_px)), places)
        scores: Scores = np.sqrt(found.energy) if statistic == "energy" else found.largest
        return scores

    return score


def on_own_levels(image: Image) -> Image:
    """Put the 2nd and the 98th percentile of a blurred frame at 0 and 1, as a view has them."""
    low, high = np.quantile(image, (0.02, 0.98))
    levelled: Image = ((image - low) / (high - low)).astype(np.float32)
    return levelled


def median_patch(band: Band, side: int = 41) -> Score:
    """Largest difference, within half a period, of a column's patch from its kind's median."""
    period_px = band.period_px
    smooth = _levelled(blurred(band.image, period_px))
    models = [
        np.median(cut_windows(smooth, _corners(places, side, smooth.shape), side), axis=0)
        for places in (band.sr_yx, band.ti_yx)
    ]
    reach = round(period_px / 2)
    middle = slice(side // 2 - reach, side // 2 + reach + 1)

    def score(image: Image, places: Places) -> Scores:
        pixels = _levelled(blurred(image, period_px))
        scores = np.full(len(places), np.nan)
        for row, place in enumerate(places):
            corner = _corners(place[None], side, pixels.shape)
            if len(corner):
                patch = cut_windows(pixels, corner, side)[0]
                # Which kind a column is of, its surroundings say.
                away = [np.abs(patch - model) for model in models]
                own = min(away, key=lambda values: float(np.median(values)))
                scores[row] = own[middle, middle].max()
        return scores

    return score


def _levelled(image: Image) -> Image:
    levelled: Image = ((image - image.mean()) / image.std()).astype(np.float32)
    return levelled


def _levelled_windows(
    image: Image, corners: Places, side: int, period_px: float
) -> NDArray[np.float64]:
    return cut_windows(_levelled(blurred(image, period_px)), corners, side)


def _by_maximum(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = windows.reshape(len(windows), -1)
    scaled: NDArray[np.float64] = rows / rows.max(axis=1, keepdims=True)
    return scaled


def _corners(places: Places, side: int, shape: tuple[int, ...]) -> Places:
    corners = np.round(places) - side // 2
    inside = (corners >= 0).all(axis=1) & (corners + side <= np.array(shape)).all(axis=1)
    kept: Places = corners[inside]
    return kept
