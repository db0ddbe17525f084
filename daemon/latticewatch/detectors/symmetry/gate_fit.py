"""Fits a gate: a logistic head on frozen features, in seconds from tens of labelled tiles."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate import Gate, GateHeader
from latticewatch.detectors.symmetry.gate_augment import augmented
from latticewatch.detectors.symmetry.gate_features import FeatureNetwork, shipped_network
from latticewatch.detectors.symmetry.gate_head import (
    Features,
    Labels,
    Learned,
    best_strength,
    learn,
    novelty_limit,
)
from latticewatch.detectors.symmetry.gate_input import LEAST_SIDE_PX, SIDE_PX
from latticewatch.detectors.symmetry.gate_metrics import (
    Metrics,
    measured,
    random_split,
    stratified_folds,
    summed_up,
)

LEAST_PER_CLASS = 5
THRESHOLD = 0.5  # as published: the class with more than half of the probability


@dataclass(frozen=True, slots=True)
class GateFitSettings:
    """How a gate is fitted.

    Attributes
    ----------
    seed
        Of all random numbers: equal seeds and tiles give equal gates.
    strength
        C of the logistic regression; None: that of `STRENGTHS` which folds of the training tiles
        like best.
    n_jittered
        Turned, zoomed and noisy copies of each tile beside its 16 exact ones.
    n_splits, held_out
        Random splits for the metrics, and the share of tiles that each keeps for the test.
    n_folds
        Of the training tiles, for the strength and for the limit of what is known.
    novelty_quantile
        Of held-out tiles of the same material, so many are known.
    """

    seed: int = 0
    strength: float | None = None
    n_jittered: int = 8
    n_splits: int = 6
    held_out: float = 0.25
    n_folds: int = 5
    novelty_quantile: float = 0.99


@dataclass(frozen=True, slots=True)
class GateReport:
    """What a fit has to say.

    Attributes
    ----------
    n_clean, n_defect, n_dropped
        Tiles learned from, and left out by the label rule.
    strength
        C of the regression; None where there is none.
    metrics
        Mean and standard deviation over splits of accuracy, precision, specificity, recall and
        auc, and share known, measured on tiles of which no copy was learned.
    warnings
        One line each.
    """

    n_clean: int
    n_defect: int
    n_dropped: int
    strength: float | None
    metrics: Metrics
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Say it in text."""
        kept = f"{self.n_defect} tiles with a defect and {self.n_clean} clean"
        told = [f"gate: learned {kept}, {self.n_dropped} between the two left out"]
        told += [
            f"  {name:<12}{100 * mean:6.2f} +- {100 * sd:.2f} %"
            for name, (mean, sd) in self.metrics.items()
        ]
        return [*told, *self.warnings]


@dataclass(frozen=True, slots=True)
class GateFit:
    """A fitted gate, and what its fit has to say."""

    gate: Gate
    report: GateReport


def fit_gate(
    tiles: NDArray[np.generic],
    is_defect: NDArray[np.generic],
    settings: GateFitSettings | None = None,
    *,
    n_dropped: int = 0,
) -> GateFit:
    """Fit a gate on labelled tiles of one material.

    Parameters
    ----------
    tiles : (N, S, S)
        Raw pixels, S 32 to 128; the gate judges tiles of this side and no other.
    is_defect : (N,)
        1 or True: holds a defect; 0 or False: clean. At least 5 of each.
    settings
        How; the defaults suit tens to some hundreds of tiles.
    n_dropped
        Tiles that the label rule left out, for the report.

    Raises
    ------
    FitError
        Too few tiles of a class, tiles that cannot be used, or no `train` extra.
    """
    settings = settings or GateFitSettings()
    kept, labels, warnings = checked_tiles(tiles, is_defect)
    rng = np.random.default_rng(settings.seed)
    copies = augmented(kept, rng, settings.n_jittered)
    features = features_of(copies)
    # Small matrices: on two threads that wait for each other it took ten times as long.
    with threadpool_limits(1):
        metrics = _measure(features, labels, settings, rng)
        learned, limit, strength = _learn(features, labels, settings, rng)
    header = GateHeader(
        tile_px=kept.shape[-1],
        network="efficientnet-lite0",
        threshold=THRESHOLD,
        novelty_quantile=settings.novelty_quantile,
        n_clean=int((~labels).sum()),
        n_defect=int(labels.sum()),
        n_dropped=n_dropped,
        provenance={
            "seed": settings.seed,
            "strength": strength,
            "n_copies": copies.shape[1],
            "features_sha256": hashlib.sha256(shipped_network()).hexdigest(),
            "tiles_sha256": hashlib.sha256(kept.tobytes() + labels.tobytes()).hexdigest(),
        },
        metrics=metrics,
    )
    network = _written(learned, limit, header)
    report = GateReport(
        header.n_clean, header.n_defect, n_dropped, strength, metrics, tuple(warnings)
    )
    return GateFit(Gate(network), report)


def checked_tiles(
    tiles: NDArray[np.generic], is_defect: NDArray[np.generic]
) -> tuple[NDArray[np.float32], Labels, list[str]]:
    """Tiles that show something, and their labels; what was left out is said."""
    if tiles.ndim != 3 or tiles.shape[1] != tiles.shape[2] or is_defect.shape != tiles.shape[:1]:
        raise FitError(
            f"tiles of shape {tiles.shape} and labels of shape {is_defect.shape}, expected "
            "(N, S, S) and (N,)"
        )
    if not LEAST_SIDE_PX <= tiles.shape[1] <= SIDE_PX:
        raise FitError(
            f"tiles of {tiles.shape[1]} px, expected {LEAST_SIDE_PX} to {SIDE_PX}: cut or bin them"
        )
    if not np.isin(is_defect, (0, 1)).all():
        odd = np.unique(is_defect[~np.isin(is_defect, (0, 1))])[:5].tolist()
        raise FitError(f"labels hold {odd}, expected 1 (holds a defect) and 0 (clean)")
    kept = np.ascontiguousarray(tiles, np.float32)
    labels = is_defect.astype(np.bool_)
    shows = np.isfinite(kept).all(axis=(1, 2)) & (np.ptp(kept, axis=(1, 2)) > 0)
    warnings = []
    if not shows.all():
        warnings.append(f"{(~shows).sum()} of {len(shows)} tiles show nothing and were left out")
        kept, labels = kept[shows], labels[shows]
    n_defect = int(labels.sum())
    least = min(n_defect, len(labels) - n_defect)
    if least < LEAST_PER_CLASS:
        raise FitError(
            f"{n_defect} tiles with a defect and {len(labels) - n_defect} clean ones, at least "
            f"{LEAST_PER_CLASS} of each expected: label more"
        )
    if least < 2 * LEAST_PER_CLASS:
        warnings.append(f"only {least} tiles of a class: the figures above are rough")
    return kept, labels, warnings


def features_of(copies: NDArray[np.float32]) -> Features:
    """Features (N, K, F) of K copies of N tiles."""
    side = copies.shape[-1]
    flat = FeatureNetwork().features_of(copies.reshape(-1, side, side))
    # A copy of a tile that shows something does so, too, but for one whose noise is all zeros.
    return np.nan_to_num(flat.astype(np.float64)).reshape(*copies.shape[:2], -1)


def _learn(
    features: Features, labels: Labels, settings: GateFitSettings, rng: np.random.Generator
) -> tuple[Learned, float, float]:
    """Head of some tiles, distance up to which others are known, and C."""
    n_folds = min(settings.n_folds, int(labels.sum()), int((~labels).sum()))
    folds = stratified_folds(labels, n_folds, rng)
    strength = settings.strength or best_strength(features, labels, folds)
    limit = novelty_limit(features, labels, folds, settings.novelty_quantile)
    return learn(features, labels, strength), limit, strength


def _measure(
    features: Features, labels: Labels, settings: GateFitSettings, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Metrics of random splits; all copies of a tile are on one side of each."""
    splits = []
    for _ in range(settings.n_splits):
        taught, asked = random_split(labels, settings.held_out, rng)
        learned, limit, _ = _learn(features[taught], labels[taught], settings, rng)
        # Only the tile itself is asked about, as it came.
        shown = features[asked, 0]
        p_defect = 1.0 / (1.0 + np.exp(-learned.logits(shown)))
        known = float((learned.distance(shown) <= limit).mean())
        splits.append({**measured(p_defect, labels[asked], THRESHOLD), "known": known})
    return summed_up(splits)


def _written(learned: Learned, limit: float, header: GateHeader) -> bytes:
    from latticewatch.detectors.symmetry.gate_export import to_onnx

    try:
        return to_onnx(shipped_network(), learned.head(limit), header)
    except ImportError as error:
        raise FitError(
            f"fitting a gate needs the package {error.name}: pip install 'latticewatch[train]'"
        ) from error
