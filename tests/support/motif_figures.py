"""Figures of merit of classes against known kinds."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

Labels = NDArray[np.intp]


def adjusted_rand(kind: Labels, labels: Labels) -> float:
    """Adjusted Rand index; sites of no class are a class of their own."""
    return float(adjusted_rand_score(kind, labels))


def macro_recall(kind: Labels, labels: Labels) -> float:
    """Mean over the kinds of the part that is in its class, one class to a kind at most."""
    kinds, classes = np.unique(kind), np.unique(labels[labels >= 0])
    part = np.array(
        [[np.mean(labels[kind == one] == other) for other in classes] for one in kinds]
    ).reshape(len(kinds), len(classes))
    rows, columns = linear_sum_assignment(-part)
    return float(part[rows, columns].sum() / len(kinds))


def purity(kind: Labels, labels: Labels) -> float:
    """Part of the sites that are of the most frequent kind of their class."""
    most = [np.bincount(kind[labels == one]).max() for one in np.unique(labels)]
    return float(np.sum(most) / len(kind))


def neighbour_vote(
    learnt: tuple[NDArray[np.float64], Labels],
    asked: tuple[NDArray[np.float64], Labels],
    k: int = 8,
) -> float:
    """Mean accuracy over the kinds of the vote of the k nearest of other sites."""
    from scipy.spatial import cKDTree

    near = cKDTree(learnt[0]).query(asked[0], k)[1]
    votes = np.stack([(learnt[1][near] == one).sum(axis=1) for one in range(learnt[1].max() + 1)])
    told = votes.argmax(axis=0)
    return float(np.mean([np.mean(told[asked[1] == one] == one) for one in np.unique(asked[1])]))
