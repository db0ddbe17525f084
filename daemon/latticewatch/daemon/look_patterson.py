"""Scheme one in the pipeline: sites, scores, cut, places."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.column_findings import ColumnRule, Sublattices, with_columns
from latticewatch.daemon.model_trust import ModelTrust
from latticewatch.daemon.models import PattersonInForce
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, Scene, Sight
from latticewatch.daemon.site_looks import (
    cut,
    is_anew,
    lattice_of,
    may_be_judged,
)
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.patterson.finder import PattersonFinder
from latticewatch.detectors.patterson.locate import locate
from latticewatch.detectors.patterson.model import DETECTOR
from latticewatch.detectors.windows import margin_px


class PattersonLooker:
    """Asks the one-class machine on Patterson maps."""

    name = DETECTOR
    needs_lattice = True

    def __init__(
        self, model: PattersonInForce, clock: Clock, *, dopants_are_defects: bool = False
    ) -> None:
        self._detector = model.detector
        self._named = (DETECTOR, model.artifact, model.sha256)
        self._clock = clock
        self._dopants_are_defects = dopants_are_defects
        self._trust = ModelTrust(*self._named)
        self._sublattices = Sublattices()
        rule = self._detector.model.rule
        self._finder = PattersonFinder(rule, self._detector.model.image)
        self.margin_px = margin_px(self._detector.model.patch_size_px, rule.smooth_sigma_px)

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Judge every site of a frame, and list what is within the budget."""
        watch = Stopwatch(self._clock)
        other = self._trust.enter(scene, self._detector.model.rule.contrast)
        if other is not None:
            return other
        lock = None if scene.lattice is None else scene.lattice.lock
        view, columns = self._finder.prepare(scene.image, lock)
        watch.lap("segment")
        if not view.is_periodic:
            return self._trust.without_sites(scene, view, watch)
        features, inside = self._detector.features(view)
        inside &= may_be_judged(scene, view.places_yx, self.margin_px)
        watch.lap("features")
        scores = self._detector.judge(view, features, inside)
        watch.lap("score")
        seen = Sight(*self._named, n_sites=len(view.places_yx), lattice=lattice_of(view))
        if scores.stale:
            return self._trust.against(scene, seen, self._reasons(), watch)
        if not scores.scored.any():  # nothing speaks for the model, nor against it
            return replace(seen, condition=self._trust.condition, stage_us=watch.us)
        trial = self._trust.on_trial(scene, seen, watch)
        if trial is not None:
            return trial
        model = self._detector.model
        findings, q_value = cut(scores, budget, lambda sites: locate(view, model, sites, scores))
        if columns is not None:
            middles = np.empty((0, 2))
            if lock is not None:
                middles = self._sublattices.look(columns, lock, anew=is_anew(scene))
            rule = ColumnRule(
                budget=budget,
                dopants_are_defects=self._dopants_are_defects,
                lock=lock,
                middles=middles,
                period_px=view.period_px,
                n_scored=int(np.count_nonzero(scores.scored)),
            )
            judged = may_be_judged(scene, columns.places_yx, self.margin_px)
            findings, q_value = with_columns(list(findings), columns, judged, rule)
        watch.lap("locate")
        return replace(
            seen,
            n_scored=int(np.count_nonzero(scores.scored)),
            findings=findings,
            q_value=q_value,
            stage_us=watch.us,
        )

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Place a few sites as if they were defects, and forget what the frames so far said."""
        self._trust.forget()
        view, _ = self._finder.prepare(image)
        if view.is_periodic:
            scores = self._detector.score(view)
            locate(view, self._detector.model, np.flatnonzero(scores.scored)[:3], scores)

    def _reasons(self) -> str:
        """Name what speaks against the model."""
        freshness = self._detector.freshness
        return ", ".join(freshness.told) if freshness is not None else "its sites"
