"""What detectors that take longer add to the first event of a frame: an event of its own.

Arithmetic on one frame at a time; the thread around it is `late_worker`.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from latticewatch.daemon.lookers import Shares, ask_all
from latticewatch.daemon.motif_verdicts import Naming
from latticewatch.daemon.outcome import LateJob, Outcome
from latticewatch.daemon.outlined import KnownOutlines
from latticewatch.daemon.point_findings import KnownPlaces
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.report import Reporter
from latticewatch.daemon.sights import Looker, Scene, period_of
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.daemon.verdicts import Verdict, verdict_of
from latticewatch.detectors.follow import FrameLattice
from latticewatch.wire.events import DefectEvent


class LateStage:
    """Looks at what the pipeline left, one frame at a time; belongs to one thread.

    Parameters
    ----------
    lookers
        Late ones, in the order in which they are asked; nobody else uses them.
    reporter, clock
        As the pipeline's.
    shares
        What each may spend.
    naming
        Names what they find; None leaves it without names.
    """

    def __init__(
        self,
        lookers: Sequence[Looker],
        *,
        reporter: Reporter,
        shares: Shares,
        clock: Clock,
        naming: Naming | None = None,
    ) -> None:
        self._lookers = lookers
        self._reporter = reporter
        self._shares = shares
        self._clock = clock
        self._naming = naming or Naming()
        self._seen = _Seen()

    @property
    def needs_lattice(self) -> bool:
        """Nobody has anything to say of a frame without one."""
        return all(looker.needs_lattice for looker in self._lookers)

    def process(self, job: LateJob) -> Outcome:
        """Turn what is left of a frame into its late event; never raises for what the pixels hold.

        Its defects are those that the first event does not list, so that nobody goes twice to
        one place. What both see, it confirms.
        """
        begun_ns = self._clock.monotonic_ns()
        scene = self._seen.as_seen(job)
        sights = ask_all(self._lookers, scene, self._shares, answered=job.answered)
        fuse = Stopwatch(self._clock)
        verdict = verdict_of(job.quality, sights, period_of(scene))
        verdict, confirms = _beside(job.first, verdict, scene)
        named = self._naming.of(scene, job.chain, verdict)
        event = self._reporter.report(job.first.t_recv_ns, named.verdict, job.drift, job.scaled)
        fuse.lap("fuse")
        total_us = (self._clock.monotonic_ns() - job.received_ns) // 1000
        latency_us = {
            "queue": (begun_ns - job.ready_ns) // 1000,
            **{one.name: sum(one.stage_us.values()) for one in named.verdict.sights},
            "fuse": fuse.us["fuse"] - named.us,
            "total": total_us,
        }
        stages: dict[str, int] = {}
        for sight in named.verdict.sights:
            stages |= sight.stage_us
        return Outcome(
            msgspec.structs.replace(event, latency_us=latency_us, stage="late", confirms=confirms),
            stages | {"late": total_us},
            event.n_defects,
            named.note_after("; ".join(sight.note for sight in sights if sight.note)),
            n_refused={sight.name: sight.n_refused for sight in sights if sight.n_refused},
            pictures=tuple(sight.picture for sight in sights if sight.picture is not None),
            n_motifs=named.counts,
        )

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Run what frames without defects do not."""
        for looker in self._lookers:
            looker.warm_up(image)
        self._naming.warm_up()


class _Seen:
    """Which lattices the late detectors have seen: between two frames of theirs others may lie."""

    def __init__(self) -> None:
        self._chain: int | None = None
        self._domains: frozenset[int] = frozenset()

    def as_seen(self, job: LateJob) -> Scene:
        """Return the scene as it is to whoever saw the last one: not followed if all was lost.

        A domain keeps its number, and its sites their addresses, while its chain lasts, also over
        frames that were not looked at here.
        """
        known = self._domains if job.chain == self._chain else frozenset()
        scene = job.scene
        self._chain = job.chain
        self._domains = frozenset(one.domain for one in scene.lattices)

        def told(one: FrameLattice) -> FrameLattice:
            return replace(one, followed=one.domain in known)

        return replace(
            scene,
            lattice=None if scene.lattice is None else told(scene.lattice),
            others=tuple(told(one) for one in scene.others),
        )


def _beside(first: DefectEvent, verdict: Verdict, scene: Scene) -> tuple[Verdict, tuple[int, ...]]:
    """Take what the first event lists out of a verdict, and tell which of it that was."""
    # Lines and patches are no places that a detector of points could mean.
    points = [defect for defect in first.defects if defect.outline_px_yx is UNSET]
    lines = [defect for defect in first.defects if defect.outline_px_yx is not UNSET]
    places, outlines = KnownPlaces(points, period_of(scene)), KnownOutlines(lines, period_of(scene))
    new, confirmed = [], set()
    for k, finding in enumerate(verdict.findings):
        if finding.outline_px_yx is None:
            place = places.find(finding)
            same = [] if place is None else [points[place].i]
        else:
            same = [lines[place].i for place in outlines.find(finding)]
        confirmed.update(same)
        if not same:
            new.append(k)
    others = replace(
        verdict,
        findings=tuple(verdict.findings[k] for k in new),
        q_value=verdict.q_value[new],
    )
    return others, tuple(sorted(confirmed))
