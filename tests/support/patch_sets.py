"""The published sets of windows, plain scores to compare with, and how well a score tells them."""

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import rankdata

from latticewatch.detectors.vae.published import average_near_maximum, difference_map
from latticewatch.detectors.vae.stack import prepare
from latticewatch.detectors.vae.unlocked import kurtosis
from support.shared_data import DATA

DEFECTS = ("antiSr", "SrVacancy", "SrFMag", "antiTi", "TiVacancy", "TiFMag")
Windows = NDArray[np.float32]
Scores = NDArray[np.float64]


def patch_sets() -> dict[str, NDArray[np.uint8]]:
    """Windows of `train`, `bulk_test` and the six `DEFECTS`; skips where they are absent."""
    path = DATA / "vae_srtio3" / "patches.npz"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout")
    return _sets()


@lru_cache(maxsize=1)
def _sets() -> dict[str, NDArray[np.uint8]]:
    with np.load(DATA / "vae_srtio3" / "patches.npz", allow_pickle=False) as stored:
        return {name.removeprefix("defect_"): stored[name] for name in stored.files}


def prepared_sets() -> dict[str, Windows]:
    """The same, blurred and divided by their maxima as published."""
    return {name: prepare(windows, 2.0, 0.0) for name, windows in patch_sets().items()}


class Components:
    """Principal components of windows: redraws others from the strongest of them.

    Parameters
    ----------
    windows : (N, S, S)
        To learn from.
    rank
        How many.
    """

    def __init__(self, windows: Windows, rank: int) -> None:
        flat = windows.reshape(len(windows), -1)
        self.mean = flat.mean(axis=0)
        centred = flat - self.mean
        # Of 800 windows of 4096 pixels the products of windows are the smaller matrix.
        values, vectors = np.linalg.eigh(centred @ centred.T)
        self.rows = (vectors[:, ::-1][:, :rank] / np.sqrt(values[::-1][:rank])).T @ centred

    def residual(self, windows: Windows) -> Windows:
        """Windows less what the components say of them."""
        centred = windows.reshape(len(windows), -1) - self.mean
        left: Windows = (centred - centred @ self.rows.T @ self.rows).reshape(windows.shape)
        return left


def largest(residuals: Windows) -> Scores:
    """Largest absolute residual of each window."""
    return np.asarray(np.abs(residuals).max(axis=(1, 2)), np.float64)


def local_energy(residuals: Windows) -> Scores:
    """Largest mean square under a Gaussian of 3 px."""
    energy = ndimage.gaussian_filter(residuals * residuals, (0, 3, 3))
    return np.asarray(energy.max(axis=(1, 2)), np.float64)


def mean_square(residuals: Windows) -> Scores:
    """Mean square: not to be deployed, its threshold does not transfer."""
    return np.asarray(np.square(residuals).mean(axis=(1, 2)), np.float64)


def near_maximum(residuals: Windows) -> Scores:
    """Size of the published score."""
    cut = difference_map(residuals, np.zeros_like(residuals), 0.2)
    return np.asarray(np.abs(average_near_maximum(cut, 6)), np.float64)


STATISTICS = {
    "max abs": largest,
    "local energy": local_energy,
    "mean square": mean_square,
    "ANM": near_maximum,
    "kurtosis": kurtosis,
}


def area_under_curve(bulk: Scores, defects: Scores) -> float:
    """Chance that a defect scores above a bulk window, ties half."""
    ranks = rankdata(np.concatenate([bulk, defects]))[len(bulk) :]
    return float((ranks.mean() - (len(defects) + 1) / 2) / len(bulk))


def found(scores: dict[str, Scores], threshold: float) -> list[float]:
    """Per cent above a threshold, of each of `DEFECTS`."""
    return [100.0 * float((scores[name] > threshold).mean()) for name in DEFECTS]


def crops(image: NDArray[np.generic], n: int, rows: tuple[int, int]) -> NDArray[np.generic]:
    """Cut windows of 64 px at random out of rows first..last-1 of an image."""
    rng = np.random.default_rng(5)
    top = rng.integers(rows[0], rows[1] - 63, n)
    left = rng.integers(0, image.shape[1] - 63, n)
    return np.stack([image[y : y + 64, x : x + 64] for y, x in zip(top, left, strict=True)])
