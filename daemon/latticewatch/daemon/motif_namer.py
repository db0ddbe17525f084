"""Motifs in the pipeline: they find nothing, and name what others found.

The sites of each domain are those of its own lattice and mean cell. Where the model does not fit a
frame, its defects go out without a name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.lookers import ARITHMETIC
from latticewatch.daemon.model_trust import ModelTrust
from latticewatch.daemon.motif_classes import ClassNames
from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.motif_domains import DomainNamer, Points, Sites, Standing
from latticewatch.daemon.outcome import MotifView
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Scene, Sight, SiteChange
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.motifs.follow import Transition
from latticewatch.detectors.motifs.known import ClassLaws
from latticewatch.detectors.motifs.model import DETECTOR
from latticewatch.detectors.motifs.reservoir import ProposedClass, Reject
from latticewatch.detectors.motifs.score import NEW, UNSCORED, Mismatch, MotifDetector
from latticewatch.detectors.polarity import contrast_of_channel, contrast_of_frame
from latticewatch.detectors.protocols import Finding

__all__ = ["MotifNamer", "MotifSight"]

_ABOUT: Final = 40  # characters of a note that say what it is about


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
    """

    findings: tuple[Finding, ...]
    sight: Sight
    changes: tuple[SiteChange, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    view: MotifView | None = None


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
        self._laws = ClassLaws(detector.model)
        self._chain: tuple[str, int] | None = None
        self._contrast = 1
        self._domains: dict[int, DomainNamer] = {}
        self._last_note = ""

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
            seen = MotifSight(findings, failed)
        watch.lap(DETECTOR)
        told = replace(seen.sight, stage_us=watch.us, is_extended=True, note=self._once(seen.sight))
        return replace(seen, sight=told)

    def warm_up(self, scene: Scene, findings: tuple[Finding, ...]) -> None:
        """Run all of it on a frame of any crystal, and forget what that said."""
        self.look(scene, -1, findings, shows=True)
        self.forget()

    def forget(self) -> None:
        """Begin anew: nothing was seen, and nothing said."""
        self._trust.forget()
        self._domains, self._chain, self._last_note = {}, None, ""

    def _look(
        self, scene: Scene, chain: int, findings: tuple[Finding, ...], *, shows: bool
    ) -> MotifSight:
        other = self._trust.enter(scene, self._detector.model.contrast)
        if other is not None:
            return MotifSight(findings, other)
        if scene.lattice is None:
            return MotifSight(findings, Sight(*self._named, condition=self._trust.condition))
        self._take_up_proposals()
        self._enter(scene, chain)
        seen = Sight(*self._named)
        standing, mismatches = self._standing(scene)
        if not standing:
            return MotifSight(
                findings, self._trust.against(scene, seen, mismatches[0], Stopwatch(self._clock))
            )
        trial = self._trust.on_trial(scene, seen, Stopwatch(self._clock))
        if trial is not None:
            return MotifSight(findings, trial)
        points = self._points(scene, standing, findings)
        self._hand_in(chain, points, findings)
        sites = {}
        if self._follows or shows:
            sites = {one: self._domains[one].sites(at) for one, at in standing.items()}
        return MotifSight(
            findings=self._with_names(points, findings),
            sight=seen,
            changes=self._changes(sites, points) if self._follows else (),
            counts=_counts(points, sum(one.outline_px_yx is None for one in findings)),
            view=self._view(scene.image, list(sites.values())) if shows else None,
        )

    def _enter(self, scene: Scene, chain: int) -> None:
        """Forget lattices that this frame is not of; tell anew whether columns are bright."""
        now = (scene.session, chain)
        known = self._domains if now == self._chain else {}
        here = {one.domain for one in scene.lattices}
        self._domains = {domain: one for domain, one in known.items() if domain in here}
        if scene.lattice is not None and now != self._chain:
            self._contrast = contrast_of_frame(scene.image, scene.lattice.lattice.period_px)
        said = None if scene.channel is None else contrast_of_channel(scene.channel)
        self._contrast = self._contrast if said is None else said
        self._chain = now

    def _standing(self, scene: Scene) -> tuple[dict[int, Standing], list[str]]:
        """Domains that the model fits, and why it does not fit others."""
        standing, mismatches = {}, []
        for one in scene.lattices:
            namer = self._domains.setdefault(one.domain, DomainNamer(self._detector, one.domain))
            at = namer.stand(scene.image, one.lock, self._contrast)
            if isinstance(at, Mismatch):
                mismatches.append(str(at))
            else:
                standing[one.domain] = at
        return standing, mismatches

    def _points(
        self, scene: Scene, standing: dict[int, Standing], findings: Sequence[Finding]
    ) -> list[tuple[list[int], Points]]:
        """Name points: rows of findings, and what is said of them, by domain."""
        rows = [row for row, one in enumerate(findings) if one.outline_px_yx is None]
        if not rows:
            return []
        owner = _owner(scene, np.array([findings[row].pixel_yx for row in rows]))
        points = []
        for domain, at in standing.items():
            own = [row for row, of in zip(rows, owner, strict=True) if of == domain]
            if own:
                told = self._domains[domain].points(at, [findings[row] for row in own])
                points.append((own, told))
        return points

    def _with_names(
        self, points: list[tuple[list[int], Points]], findings: Sequence[Finding]
    ) -> tuple[Finding, ...]:
        named = list(findings)
        for rows, told in points:
            for k, row in enumerate(rows):
                index = int(told.named.class_index[k])
                if index == UNSCORED:
                    continue
                motif = self._names.name(
                    index, float(told.named.probability[k]), float(told.named.distance2[k])
                )
                label = self._names.label_of(index)
                named[row] = replace(findings[row], label=label, motif=motif)
        return tuple(named)

    def _hand_in(
        self, chain: int, points: list[tuple[list[int], Points]], findings: Sequence[Finding]
    ) -> None:
        """Give what no class of the model fits to whoever proposes classes."""
        if self._desk is None:
            return
        n_known = len(self._detector.model.classes)
        rejects = []
        for rows, told in points:
            index = told.named.class_index
            # Those of a proposed class, too, which grows by them.
            for k in np.flatnonzero((index == NEW) | (index >= n_known)).tolist():
                i, j, label = told.address[k].tolist()
                one = findings[rows[k]]
                rejects.append(
                    Reject(
                        (chain, i, j, label),
                        told.named.z[k].copy(),
                        one.kind,
                        one.intensity_ratio,
                        told.patches[k],
                    )
                )
        self._desk.hand_in(rejects)

    def _changes(
        self, sites: dict[int, Sites], points: list[tuple[list[int], Points]]
    ) -> tuple[SiteChange, ...]:
        listed = [told.address for _, told in points]
        addresses = np.concatenate(listed) if listed else np.empty((0, 3), np.int64)
        changes = []
        for domain, seen in sites.items():
            told = self._domains[domain].follow(seen, addresses, self._laws, self._names.plain)
            changes += [self._change(one, seen) for one in told]
        return tuple(changes)

    def _change(self, one: Transition, seen: Sites) -> SiteChange:
        y, x = seen.places_yx[one.row].tolist()
        before, after = (
            (self._names.id_of(row), self._names.label_of(row)) for row in (one.before, one.after)
        )
        return SiteChange(one.address, (y, x), before, after, one.p)

    def _view(self, image: NDArray[np.float32], sites: Sequence[Sites]) -> MotifView:
        index = np.concatenate([one.named.class_index for one in sites])
        probability = np.concatenate([one.named.probability for one in sites])
        return MotifView(
            image=image.copy(),
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
        self._laws = ClassLaws(self._detector.model, self._proposed)

    def _once(self, sight: Sight) -> str:
        """Return a note the first time that it is due: a model that does not fit is told of once.

        Values and limits in it differ from frame to frame; what it is about does not.
        """
        about = f"{sight.condition}: {sight.note[:_ABOUT]}" if sight.note else ""
        note = "" if about == self._last_note else sight.note
        self._last_note = about
        return note


def _owner(scene: Scene, places_yx: NDArray[np.float64]) -> list[int]:
    """Number of the domain that holds each place (N, 2); of the first where none does."""
    lattices = scene.lattices
    owner = np.full(len(places_yx), lattices[0].domain)
    for one in reversed(lattices):
        owner[one.lock.holds_at(places_yx)] = one.domain
    return [int(domain) for domain in owner]


def _counts(points: list[tuple[list[int], Points]], n_points: int) -> dict[str, int]:
    said = [told.named.class_index for _, told in points]
    index = np.concatenate(said) if said else np.empty(0, np.intp)
    n_named, n_new = int((index >= 0).sum()), int((index == NEW).sum())
    counts = {"named": n_named, "new": n_new, "unscored": n_points - n_named - n_new}
    return {answer: n for answer, n in counts.items() if n}
