"""How well a classifier tells tiles apart: the paper's four numbers, and folds of tiles."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

METRICS = ("accuracy", "precision", "specificity", "recall", "auc")
Metrics = Mapping[str, tuple[float, float]]
Labels = NDArray[np.bool_]


def measured(
    p_defect: NDArray[np.floating], is_defect: Labels, threshold: float = 0.5
) -> dict[str, float]:
    """Measure verdicts (N,) against labels (N,); NaN where a number has no meaning.

    Of Dennler et al.: accuracy, precision, specificity, recall, "positive" being a defect; and the
    area under the curve.

    >>> measured(np.array([0.9, 0.2, 0.6, 0.1]), np.array([True, True, False, False]))["recall"]
    0.5
    """
    called = p_defect >= threshold
    right = called == is_defect
    with np.errstate(invalid="ignore"):
        return {
            "accuracy": _share(right),
            "precision": _share(is_defect[called]),
            "specificity": _share(~called[~is_defect]),
            "recall": _share(called[is_defect]),
            "auc": area_under_curve(p_defect, is_defect),
        }


def area_under_curve(scores: NDArray[np.floating], is_defect: Labels) -> float:
    """Chance that a tile with a defect scores above a clean one, ties half; NaN without either."""
    n_defect = int(is_defect.sum())
    n_clean = len(is_defect) - n_defect
    if n_defect == 0 or n_clean == 0:
        return float("nan")
    ranks = rankdata(scores)[is_defect]
    return float((ranks.mean() - (n_defect + 1) / 2) / n_clean)


def summed_up(splits: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation over splits, of those in which a number has a meaning."""
    summed = {}
    for name in splits[0] if splits else ():
        values = np.array([one[name] for one in splits])
        values = values[np.isfinite(values)]
        if len(values):
            summed[name] = (float(values.mean()), float(values.std()))
    return summed


def stratified_folds(
    is_defect: Labels, n_folds: int, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Deal tiles out into folds that hold both classes alike: indices, every tile once."""
    fold = np.empty(len(is_defect), np.intp)
    for kind in (False, True):
        members = rng.permutation(np.flatnonzero(is_defect == kind))
        fold[members] = np.arange(len(members)) % n_folds
    return [np.flatnonzero(fold == number) for number in range(n_folds)]


def random_split(
    is_defect: Labels, held_out: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Tiles to learn from and tiles to be asked about, the same share of both classes, 1 at least.

    Returns
    -------
    learned, asked
        Indices.
    """
    asked = np.zeros(len(is_defect), np.bool_)
    for kind in (False, True):
        members = rng.permutation(np.flatnonzero(is_defect == kind))
        asked[members[: max(1, round(held_out * len(members)))]] = True
    return np.flatnonzero(~asked), np.flatnonzero(asked)


def _share(holds: Labels) -> float:
    return float(holds.mean()) if len(holds) else float("nan")
