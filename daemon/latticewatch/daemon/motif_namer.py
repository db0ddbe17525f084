"""Motifs in the pipeline: they find nothing, and name what others found.

The sites of each domain are those of its own lattice and mean cell. Where the model does not fit a
frame, its defects go out without a name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np

from latticewatch.daemon.model_trust import ModelTrust
from latticewatch.daemon.motif_classes import ClassNames
from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.motif_domains import (
    DomainNamer,
    Points,
    Sites,
    Standing,
    owner_of,
    rejects_of,
)
from latticewatch.daemon.motif_rehearsal import rehearsal_findings, rehearsal_scene
from latticewatch.daemon.outcome import MotifView
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import ARITHMETIC, Scene, Sight, SiteChange, contrast_of
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.motifs.follow import Transition
from latticewatch.detectors.motifs.model import DETECTOR
from latticewatch.detectors.motifs.reservoir import ProposedClass
from latticewatch.detectors.motifs.score import NEW, UNSCORED, MotifDetector
from latticewatch.detectors.motifs.stale import Mismatch
from latticewatch.detectors.protocols import Finding

__all__ = ["MotifNamer", "MotifSight"]

_REHEARSED: Final = -1  # chain of frames that nobody sent


@dataclass(frozen=True, slots=True)
class MotifSight:
    """What the motif classes say of one frame.

    Attributes
    ----------
    findings
        As given, in their order; points with their names.
    sight
        State of the model, time and note; it has found nothing.
    changes
        Sites whose class is another than before.
    counts
        Points by what was said of them: named, new, unscored.
    view
        Every site, where that was asked for.
    about
        What the note is about: the same word from frame to frame, while its values change.
    """

    findings: tuple[Finding, ...]
    sight: Sight
    changes: tuple[SiteChange, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    view: MotifView | None = None
    about: str = ""


class MotifNamer:
    """Names the findings of one frame after the other; buffers of its own, one thread.

    Parameters
    ----------
    detector
        Of the model; nobody else uses it.
    named
        Detector, artifact, SHA-256.
    clock
        Times it.
    desk
        Gets what no class fits, and gives the classes that are proposed; None: neither.
    follows
        Whether every site is followed, and its change told.
    """

    def __init__(
        self,
        detector: MotifDetector,
        named: tuple[str, str, str],
        clock: Clock,
        *,
        desk: MotifDesk | None = None,
        follows: bool = False,
    ) -> None:
        self._detector, self._named, self._clock = detector, named, clock
        self._desk, self._follows = desk, follows
        self._trust = ModelTrust(*named)
        self._proposed: tuple[ProposedClass, ...] = ()
        self._names = ClassNames.of(detector.model)
        self._chain: tuple[str, int] | None = None
        self._domains: dict[int, DomainNamer] = {}
        self._about = ""

    def look(
        self, scene: Scene, chain: int, findings: tuple[Finding, ...], *, shows: bool = False
    ) -> MotifSight:
        """Name the points among the findings of a frame; never raises for what it holds.

        Parameters
        ----------
        scene
            The frame.
        chain
            Number of the chain of frames through which its lattices were followed.
        findings
            Past the cut.
        shows
            Make a view of every site.
        """
        watch = Stopwatch(self._clock)
        try:
            seen = self._look(scene, chain, findings, shows=shows)
        except ARITHMETIC as error:
            self._domains = {}
            failed = Sight(*self._named, condition="error", note=f"{DETECTOR}: {error}")
            seen = MotifSight(findings, failed, about=f"error {type(error).__name__}")
        watch.lap(DETECTOR)
        told = replace(seen.sight, stage_us=watch.us, is_extended=True, note=self._once(seen))
        return replace(seen, sight=told)

    def warm_up(self) -> None:
        """Run all of it on a frame of the model's crystal, and forget what frames so far said."""
        self.forget()
        scene = rehearsal_scene(self._detector.model)
        if scene is not None:
            for _ in range(2):
                self.look(scene, _REHEARSED, rehearsal_findings(scene), shows=True)
        self.forget()

    def forget(self) -> None:
        """Begin anew: nothing was seen, and nothing said."""
        self._trust.forget()
        self._domains, self._chain, self._about = {}, None, ""
        if self._desk is not None:
            self._desk.clear()

    def _look(
        self, scene: Scene, chain: int, findings: tuple[Finding, ...], *, shows: bool
    ) -> MotifSight:
        other = self._trust.enter(scene, self._detector.model.columns.contrast)
        if other is not None:
            return MotifSight(findings, other, about="contrast")
        if scene.lattice is None:
            return MotifSight(findings, Sight(*self._named, condition=self._trust.condition))
        self._take_up_proposals()
        self._enter(scene, chain)
        seen = Sight(*self._named)
        standing, mismatches = self._standing(scene)
        if not standing:
            why = mismatches[0]
            against = self._trust.against(scene, seen, why.told, Stopwatch(self._clock))
            return MotifSight(findings, against, about=why.code)
        trial = self._trust.on_trial(scene, seen, Stopwatch(self._clock))
        if trial is not None:
            return MotifSight(findings, trial, about="trial")
        told = self._told(scene, standing, findings)
        self._hand_in(chain, told, findings)
        sites = {}
        if self._follows or shows:
            sites = {one: self._domains[one].sites(at) for one, at in standing.items()}
        return MotifSight(
            findings=self._with_names(told, findings),
            sight=seen,
            changes=self._changes(sites, told, findings) if self._follows else (),
            counts=_counts(told, sum(one.outline_px_yx is None for one in findings)),
            view=self._view(list(sites.values())) if shows else None,
        )

    def _enter(self, scene: Scene, chain: int) -> None:
        """Forget lattices that this frame is not of."""
        now = (scene.session, chain)
        known = self._domains if now == self._chain else {}
        here = {one.domain for one in scene.lattices}
        self._domains = {domain: one for domain, one in known.items() if domain in here}
        self._chain = now

    def _standing(self, scene: Scene) -> tuple[dict[int, Standing], list[Mismatch]]:
        """Domains that the model fits, and why it does not fit others."""
        standing, mismatches = {}, []
        for one in scene.lattices:
            namer = self._domains.setdefault(one.domain, DomainNamer(self._detector, one.domain))
            at = namer.stand(scene.image, one.lock, partial(contrast_of, scene))
            if isinstance(at, Mismatch):
                mismatches.append(at)
            else:
                standing[one.domain] = at
        return standing, mismatches

    def _told(
        self, scene: Scene, standing: dict[int, Standing], findings: Sequence[Finding]
    ) -> list[Points]:
        """Say of each point what it is, domain by domain."""
        rows = [row for row, one in enumerate(findings) if one.outline_px_yx is None]
        if not rows:
            return []
        owner = owner_of(scene, np.array([findings[row].pixel_yx for row in rows]))
        told = []
        for domain, at in standing.items():
            own = [row for row, of in zip(rows, owner, strict=True) if of == domain]
            if own:
                told.append(self._domains[domain].points(at, own, findings))
        return told

    def _with_names(self, told: list[Points], findings: Sequence[Finding]) -> tuple[Finding, ...]:
        named = list(findings)
        for points in told:
            said = points.named
            for k, row in enumerate(points.rows):
                index = int(said.class_index[k])
                if index == UNSCORED:
                    continue
                motif = self._names.name(
                    index, float(said.probability[k]), float(said.distance2[k])
                )
                label = self._names.label_of(index)
                named[row] = replace(findings[row], label=label, motif=motif)
        return tuple(named)

    def _hand_in(self, chain: int, told: list[Points], findings: Sequence[Finding]) -> None:
        """Give what no class of the model fits to whoever proposes classes."""
        if self._desk is None:
            return
        n_known = len(self._detector.model.classes)
        for points in told:
            self._desk.hand_in(rejects_of(points, self._detector, n_known, chain, findings))

    def _changes(
        self, sites: dict[int, Sites], told: list[Points], findings: Sequence[Finding]
    ) -> tuple[SiteChange, ...]:
        addresses = np.concatenate([np.empty((0, 3), np.int64), *(one.address for one in told)])
        # A site has one address in an event: that of the defect that is listed there.
        known = {
            tuple(points.address[k].tolist()): findings[row].address
            for points in told
            for k, row in enumerate(points.rows)
        }
        changes: list[SiteChange] = []
        for domain, seen in sites.items():
            changed = self._domains[domain].follow(seen, addresses, self._names.plain)
            changes += [
                self._change(one, seen, known.get(one.address) or one.address) for one in changed
            ]
        return tuple(changes)

    def _change(self, one: Transition, seen: Sites, address: tuple[int, int, int]) -> SiteChange:
        y, x = seen.places_yx[one.row].tolist()
        before, after = (
            (self._names.id_of(row), self._names.label_of(row)) for row in (one.before, one.after)
        )
        return SiteChange(address, (y, x), before, after, one.p)

    def _view(self, sites: Sequence[Sites]) -> MotifView:
        index = np.concatenate([one.named.class_index for one in sites])
        probability = np.concatenate([one.named.probability for one in sites])
        return MotifView(
            places_yx=np.concatenate([one.places_yx for one in sites]),
            class_id=self._names.ids_of(index, unscored=UNSCORED),
            probability=np.where(index == UNSCORED, np.nan, probability),
            address=np.concatenate([one.address for one in sites]),
            model=self._detector.model,
        )

    def _take_up_proposals(self) -> None:
        if self._desk is None or self._desk.proposed is self._proposed:
            return
        self._proposed = self._desk.proposed
        self._detector.with_classes(self._proposed)
        self._names = ClassNames.of(self._detector.model, self._proposed)

    def _once(self, seen: MotifSight) -> str:
        """Return a note the first time that it is due: a model that does not fit is told of once.

        Values in it differ from frame to frame; what it is about does not.
        """
        about = seen.about if seen.sight.note else ""
        note = "" if about == self._about else seen.sight.note
        self._about = about
        return note


def _counts(told: list[Points], n_points: int) -> dict[str, int]:
    index = np.concatenate([np.empty(0, np.intp), *(points.named.class_index for points in told)])
    n_named, n_new = int((index >= 0).sum()), int((index == NEW).sum())
    counts = {"named": n_named, "new": n_new, "unscored": n_points - n_named - n_new}
    return {answer: n for answer, n in counts.items() if n}
