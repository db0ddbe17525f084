"""Class averages: what a human compares with a simulation."""

import numpy as np
from numpy.typing import NDArray

Patches = NDArray[np.float32]


def mean_patches(patches: Patches, labels: NDArray[np.intp]) -> tuple[Patches, Patches]:
    """Average the patches of each class.

    Parameters
    ----------
    patches : (N, side, side) or (N, P)
        Centred on their sites; NaN where nothing was measured.
    labels : (N,)
        Class 0..K-1, -1 for none.

    Returns
    -------
    mean, standard_error : (K, side, side) or (K, P)
        The error of each pixel falls as one over the root of the number of members; it is NaN of
        a single member, and both are of none.
    """
    n_classes = int(labels.max(initial=-1)) + 1
    mean = np.full((n_classes, *patches.shape[1:]), np.nan, np.float32)
    error = np.full_like(mean, np.nan)
    for one in range(n_classes):
        members = patches[labels == one].astype(np.float64)
        if len(members):
            mean[one] = members.mean(axis=0)
        if len(members) > 1:
            error[one] = members.std(axis=0, ddof=1) / np.sqrt(len(members))
    return mean, error
