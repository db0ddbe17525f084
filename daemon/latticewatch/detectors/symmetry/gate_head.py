"""The head of a gate: logistic regression, and how far tiles are from those that it learned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.gate_export import Affine, Head

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
# Of the correlation of the features, so much is taken for chance: 80 features and a few hundred
# copies of tens of tiles. From 0.01 to 0.3 the share of known tiles moves by a per cent.
_SHRINKAGE = 0.1
# A feature that hardly moves among the tiles learned must not decide by itself.
_LEAST_SPREAD = 0.05
Features = NDArray[np.float64]
Labels = NDArray[np.bool_]
Folds = Sequence[NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Learned:
    """A head before it becomes one: in double precision, features standardised first.

    Attributes
    ----------
    mean, spread : (F,)
        Of the features that were learned.
    weight : (F,)
    bias
        Of the regression.
    whitening : (F, F)
        Standardised features to numbers whose length is the distance from the learned ones.
    """

    mean: Features
    spread: Features
    weight: Features
    bias: float
    whitening: Features

    def logits(self, features: Features) -> Features:
        """Log-odds (...) of a defect, of features (..., F)."""
        return np.asarray((features - self.mean) / self.spread @ self.weight + self.bias)

    def distance(self, features: Features) -> Features:
        """Mahalanobis distance (...) of features (..., F) from those that were learned."""
        standard = (features - self.mean) / self.spread
        return np.asarray(np.linalg.norm(standard @ self.whitening.T, axis=-1))

    def head(self, limit: float) -> Head:
        """Fold the standardisation in; `limit` is the distance up to which tiles are known."""
        weight = self.weight / self.spread
        apart = self.whitening / self.spread / limit
        return Head(
            Affine(weight[None], np.array([self.bias - weight @ self.mean])),
            Affine(apart, -apart @ self.mean),
        )


def learn(features: Features, is_defect: Labels, strength: float) -> Learned:
    """Learn from features (N, K, F) of K copies of N tiles, and the tiles' labels (N,).

    Parameters
    ----------
    strength
        C of the regression; both classes count alike, however many tiles they have.
    """
    from sklearn.linear_model import LogisticRegression

    copies = features.reshape(-1, features.shape[-1])
    mean, spread = copies.mean(axis=0), copies.std(axis=0)
    spread = np.maximum(spread, _LEAST_SPREAD * np.median(spread) + 1e-9)
    standard = (copies - mean) / spread
    regression = LogisticRegression(
        C=strength, class_weight="balanced", solver="newton-cholesky", max_iter=200
    )
    regression.fit(standard, np.repeat(is_defect, features.shape[1]))
    return Learned(
        mean,
        spread,
        np.asarray(regression.coef_[0], np.float64),
        float(regression.intercept_[0]),
        _whitening(standard),
    )


def _whitening(standard: Features) -> Features:
    covariance = standard.T @ standard / len(standard)
    shrunk = (1.0 - _SHRINKAGE) * covariance + _SHRINKAGE * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(shrunk)
    return np.asarray(vectors.T / np.sqrt(values)[:, None])


def best_strength(features: Features, is_defect: Labels, folds: Folds) -> float:
    """C under which held-out tiles are the least surprising; the smallest of equals."""
    surprises = []
    for strength in STRENGTHS:
        surprise = 0.0
        for asked in folds:
            rest = np.setdiff1d(np.arange(len(is_defect)), asked)
            learned = learn(features[rest], is_defect[rest], strength)
            signs = np.where(is_defect[asked], -1.0, 1.0)[:, None]
            surprise += float(np.logaddexp(0.0, signs * learned.logits(features[asked])).sum())
        surprises.append(surprise)
    return STRENGTHS[int(np.argmin(surprises))]


def novelty_limit(features: Features, is_defect: Labels, folds: Folds, quantile: float) -> float:
    """Distance within which this share of all copies of held-out tiles lies."""
    distances = []
    for asked in folds:
        rest = np.setdiff1d(np.arange(len(is_defect)), asked)
        # The regression does not matter here: the strongest penalty is the fastest.
        learned = learn(features[rest], is_defect[rest], STRENGTHS[0])
        distances.append(learned.distance(features[asked]).ravel())
    return float(np.quantile(np.concatenate(distances), quantile))
