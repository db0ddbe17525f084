"""Scheme one in the pipeline: sites, scores, cut, places."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.column_findings import ColumnRule, Sublattices, with_columns
from latticewatch.daemon.models import PattersonInForce
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, Scene, Sight
from latticewatch.daemon.site_looks import (
    cut,
    is_anew,
    lattice_of,
    may_be_judged,
    wrong_contrast,
)
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.patterson.finder import PattersonFinder
from latticewatch.detectors.patterson.locate import locate
from latticewatch.detectors.patterson.model import DETECTOR
from latticewatch.detectors.staleness import STALE_FRAMES, Staleness
from latticewatch.detectors.view import LEAST_LINKED
from latticewatch.detectors.windows import margin_px
from latticewatch.wire.words import DetectorCondition


class PattersonLooker:
    """Asks the one-class machine on Patterson maps."""

    name = DETECTOR

    def __init__(
        self, model: PattersonInForce, clock: Clock, *, dopants_are_defects: bool = False
    ) -> None:
        self._detector = model.detector
        self._named = (DETECTOR, model.artifact, model.sha256)
        self._clock = clock
        self._dopants_are_defects = dopants_are_defects
        self._staleness = Staleness()
        self._session = ""
        self._sublattices = Sublattices()
        rule = self._detector.model.rule
        self._finder = PattersonFinder(rule, self._detector.model.image)
        self.margin_px = margin_px(self._detector.model.patch_size_px, rule.smooth_sigma_px)

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Judge every site of a frame, and list what is within the budget."""
        watch = Stopwatch(self._clock)
        if scene.session != self._session:
            self._session, self._staleness = scene.session, Staleness()
        wrong = wrong_contrast(DETECTOR, scene.channel, self._detector.model.rule.contrast)
        if wrong:
            self._staleness.note(against=True)
            return Sight(*self._named, "stale", ("model_stale",), note=wrong)
        lock = None if scene.lattice is None else scene.lattice.lock
        view, columns = self._finder.prepare(scene.image, lock)
        watch.lap("segment")
        if not view.is_periodic:
            # A crystal that the model does not fit is no fault of the crystal.
            if scene.lattice is None:
                condition = self._condition
                return Sight(*self._named, condition, ("not_periodic",), stage_us=watch.us)
            told = "another lattice, or not enough of it: "
            told += f"{view.linked:.0%} of the model's sites in place (limit {LEAST_LINKED:.0%})"
            return self._misfit(scene, told, watch)
        features, inside = self._detector.features(view)
        inside &= may_be_judged(scene, view.places_yx, self.margin_px)
        watch.lap("features")
        scores = self._detector.judge(view, features, inside)
        watch.lap("score")
        seen = Sight(*self._named, n_sites=len(view.places_yx), lattice=lattice_of(view))
        if scores.stale:
            sight = self._misfit(scene, self._reasons(), watch)
            return replace(sight, n_sites=seen.n_sites, lattice=seen.lattice)
        if not scores.scored.any():  # nothing speaks for the model, nor against it
            return replace(seen, condition=self._condition, stage_us=watch.us)
        if self._staleness.note(against=False, anew=is_anew(scene)):
            note = f"{DETECTOR}: the model fits this frame, but not yet {STALE_FRAMES} running"
            fault = ("model_stale",)
            return replace(seen, condition="stale", faults=fault, note=note, stage_us=watch.us)
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

    @property
    def _condition(self) -> DetectorCondition:
        """Of the model, as the frames so far tell it."""
        return "stale" if self._staleness.is_stale else "ok"

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Place a few sites as if they were defects, and forget what the frames so far said."""
        self._staleness = Staleness()
        view, _ = self._finder.prepare(image)
        if view.is_periodic:
            scores = self._detector.score(view)
            locate(view, self._detector.model, np.flatnonzero(scores.scored)[:3], scores)

    def _misfit(self, scene: Scene, told: str, watch: Stopwatch) -> Sight:
        """Say that a frame is not judged by a model that it speaks against.

        The fault is of the frame, the condition of the model: one odd frame does not make it stale.
        """
        stale = self._staleness.note(against=True, anew=is_anew(scene))
        return Sight(
            *self._named,
            "stale" if stale else "ok",
            ("model_stale",),
            stage_us=watch.us,
            note=f"{DETECTOR}: the model does not fit: {told}",
        )

    def _reasons(self) -> str:
        """Name what speaks against the model."""
        freshness = self._detector.freshness
        return ", ".join(freshness.told) if freshness is not None else "its sites"
