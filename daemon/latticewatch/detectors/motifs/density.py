"""Dense clusters of features: the one file of the classes that meets scikit-learn."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN


def dense_clusters(z: NDArray[np.float64], min_cluster_size: int = 5) -> NDArray[np.intp]:
    """Cluster where points are dense: HDBSCAN (Campello et al., PAKDD 2013).

    Parameters
    ----------
    z : (N, C)
        Finite; any unit, euclidean.
    min_cluster_size
        Fewer points are no cluster.

    Returns
    -------
    (N,)
        Cluster 0.. of each point, -1 for none. Fewer points than two clusters need: all -1. About
        30 ms for 2500 points in five components.
    """
    if len(z) < 2 * min_cluster_size:
        return np.full(len(z), -1, np.intp)
    found = HDBSCAN(min_cluster_size=min_cluster_size, copy=True).fit_predict(z)
    return np.asarray(found, np.intp)
