"""Filters learned from one patch: the leading eigenvectors of its small windows."""

import numpy as np
from numpy.typing import NDArray


def learn_bank(patch: NDArray[np.float32], n_filters: int, side_px: int) -> NDArray[np.float32]:
    """Leading eigenvectors of the covariance of all windows of a patch.

    Parameters
    ----------
    patch : (T, T)
        Of the filtered frame.
    n_filters
        K, at most the pixels of a window.
    side_px
        S, odd.

    Returns
    -------
    (K, S * S)
        Orthonormal rows, by falling eigenvalue; of each the largest element is positive, so that
        equal patches give equal files.
    """
    windows = np.lib.stride_tricks.sliding_window_view(patch, (side_px, side_px))
    flat = windows.reshape(-1, side_px**2).astype(np.float64)
    _, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    # Eigenvectors are columns; the published program took rows (methods/symmetry.md 2.5).
    bank = vectors[:, ::-1][:, :n_filters].T
    strongest = np.take_along_axis(bank, np.abs(bank).argmax(axis=1)[:, None], axis=1)
    return np.ascontiguousarray(bank * np.sign(strongest), np.float32)
