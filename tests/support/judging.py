"""Scheme one on a frame whose sites are known to be good or bad, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.patterson.dopants import Columns
from latticewatch.detectors.patterson.finder import PattersonFinder
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.protocols import Scores
from latticewatch.detectors.sites import View
from support.honeycomb import Honeycomb

ALARM_P = 0.002  # patterson.md 3.1


@dataclass(frozen=True, slots=True)
class Judged:
    """Scored sites of a frame.

    Attributes
    ----------
    bad : (N,) int
        0: a good site; other numbers as the truth has them.
    decision, p_value : (N,)
        Of the machine; of the detector.
    n_unscored
        Sites that could not be judged.
    """

    bad: NDArray[np.int64]
    decision: NDArray[np.float64]
    p_value: NDArray[np.float64]
    n_unscored: int
    view: View
    scores: Scores
    columns: Columns | None

    @property
    def auc(self) -> float:
        """Area under the curve of the detector's p-values."""
        return float(roc_auc_score(self.bad > 0, -self.p_value))

    @property
    def auc_machine(self) -> float:
        """Area under the curve of the machine's decisions."""
        return float(roc_auc_score(self.bad > 0, -self.decision))

    def share_flagged(self, of: int, *, by_machine: bool = False) -> float:
        """Share of the sites of one kind that are flagged."""
        return float(self.flagged(by_machine)[self.bad == of].mean())

    def flagged(self, by_machine: bool = False) -> NDArray[np.bool_]:
        """Sites (N,) of negative decision, or of a p-value below the alarm."""
        return np.asarray(self.decision < 0 if by_machine else self.p_value < ALARM_P)

    def balanced_accuracy(self, *, by_machine: bool = False) -> float:
        """Mean of the shares of bad and of good sites that are called so."""
        flagged = self.flagged(by_machine)
        found, left = flagged[self.bad > 0].mean(), (~flagged)[self.bad == 0].mean()
        return float(found + left) / 2


def view_and_columns(
    model: PattersonModel, image: NDArray[np.float32], *, lattice: bool = True
) -> tuple[View, Columns | None]:
    """Sites of a frame, predicted or extrema."""
    lock = own_lock(image) if lattice else None
    return PattersonFinder(model.rule, model.image).prepare(image, lock)


def judge(
    model: PattersonModel,
    image: NDArray[np.float32],
    *,
    bad_of: Callable[[NDArray[np.float64]], NDArray[np.int64]] | None = None,
    lattice: bool = True,
) -> Judged:
    """Score a frame.

    Parameters
    ----------
    model
        Fitted.
    image
        The frame.
    bad_of
        Takes places (N, 2) and says which are bad (N,); None: all are good.
    lattice
        Whether sites are predicted; else they are extrema.
    """
    view, columns = view_and_columns(model, image, lattice=lattice)
    detector = PattersonDetector(model)
    z, inside = detector.features(view)
    scores = detector.judge(view, z, inside)
    decision = np.empty(len(z), np.float32)
    detector._decide(z, decision)
    scored = scores.scored
    places = view.places_yx[scored]
    bad = np.zeros(len(places), np.int64) if bad_of is None else bad_of(places)
    return Judged(
        bad=bad,
        decision=decision[scored].astype(np.float64),
        p_value=scores.p_value[scored],
        n_unscored=int((~scored).sum()),
        view=view,
        scores=scores,
        columns=columns,
    )


def judge_honeycomb(model: PattersonModel, drawn: Honeycomb, *, lattice: bool = True) -> Judged:
    """Score a drawn honeycomb; sites far from every hole, as false extrema are, count as good."""

    def bad_of(places: NDArray[np.float64]) -> NDArray[np.int64]:
        gap = np.linalg.norm(places[:, None] - drawn.holes_yx[None], axis=2)
        bad = drawn.bad_hole[gap.argmin(axis=1)]
        # An extremum between a column that is absent and its place belongs to the bad ones, too.
        return np.where(gap.min(axis=1) < 13.0, bad, 0)

    return judge(model, drawn.counts, bad_of=bad_of, lattice=lattice)
