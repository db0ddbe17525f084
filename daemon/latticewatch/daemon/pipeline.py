"""A frame becomes an event: no socket, no thread; from frame to frame only the lattice is kept.

The daemon, `analyze` and the demo all go through here, so the same frames in the same order give
the same events, times apart.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.drift import Followed
from latticewatch.daemon.exchange import Incoming as Incoming
from latticewatch.daemon.exchange import PipelineSettings as PipelineSettings
from latticewatch.daemon.image_pool import ImagePool
from latticewatch.daemon.late_stage import LateStage
from latticewatch.daemon.lookers import (
    Shares,
    ask_all,
    first_lookers,
    slow_lookers,
)
from latticewatch.daemon.material import MaterialScale, Scaled
from latticewatch.daemon.models import ModelSet, digest_of
from latticewatch.daemon.motif_verdicts import namings
from latticewatch.daemon.outcome import LateJob
from latticewatch.daemon.outcome import Outcome as Outcome
from latticewatch.daemon.pixel_check import CheckedPixels, PixelCheck
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.previews import Previews
from latticewatch.daemon.report import Reporter
from latticewatch.daemon.sights import ARITHMETIC, Budget, Looker, Scene, Sight, period_of
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.daemon.verdicts import verdict_of
from latticewatch.detectors.follow import FrameLattice, Refusal
from latticewatch.wire.events import DefectEvent, Drift
from latticewatch.wire.frames import FrameHeader

# Two vectors at 60 degrees, not along the scan.
_REHEARSAL_BASIS_PX = np.array([[6.0, 22.0], [22.0, 6.0]])


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of a frame, and what each stage took; without a scene it was not looked at."""

    checked: CheckedPixels
    us: dict[str, int]
    scene: Scene | None = None
    drift: Drift | None = None
    sights: tuple[Sight, ...] = ()
    note: str = ""


class Pipeline:
    """One frame at a time, in buffers that it keeps; belongs to one thread.

    Parameters
    ----------
    models
        Who looks, and with what.
    settings
        What is listed, and how.
    late
        Further detectors of points, which take longer.
    leaves_late
        Names of the detectors, of `late` and of `models`, that are left to `late_stage`, which
        answers in an event of its own; others are asked in turn, and their findings merged into
        the one event.
    previews
        Tells whether a picture is due; pictures are drawn where it is, and always where the
        settings say so.

    Attributes
    ----------
    late_stage
        Answers what `process` left, in whichever thread; None if nothing is left.
    model_set
        Digest of everything that decides.
    motif_desk
        Where defects of no known motif are handed in; None where no class is to be proposed.
    """

    def __init__(
        self,
        *,
        models: ModelSet,
        settings: PipelineSettings,
        clock: Clock,
        late: Sequence[Looker] = (),
        leaves_late: Collection[str] = (),
        previews: Previews | None = None,
    ) -> None:
        self._clock = clock
        self._source = settings.source
        self._pool = ImagePool()
        self._pixels = PixelCheck(self._pool)
        self._followed = Followed()
        self._scale = MaterialScale(settings.material)
        self._chain = 0
        self._pictures, self._previews = settings.pictures, previews or Previews()
        self._lookers, patterson = first_lookers(models, settings, clock)
        slow = (*late, *slow_lookers(models, clock))
        n_of_points = int(models.reference_cell) + int(patterson is not None)
        n_of_points += len(late) + int(models.vae is not None)
        self._shares = Shares(Budget.of(settings), n_of_points)
        basis_px, polarity, margin_px = _REHEARSAL_BASIS_PX, 1, 0
        if models.patterson is not None and patterson is not None:
            rule = models.patterson.detector.model.rule
            basis_px, polarity = rule.basis_px_yx, rule.polarity
            margin_px = patterson.margin_px
        self._rehearsal = (basis_px, polarity)
        self.model_set = digest_of(
            [
                models.digest,
                settings.fdr,
                settings.false_alarms_per_frame,
                settings.max_defects,
                settings.dopants_are_defects,
            ]
        )
        self._reporter = Reporter(settings, self.model_set, margin_px)
        self._naming, late_naming, self.motif_desk = namings(models.motifs, settings, clock)
        self._lookers += [looker for looker in slow if looker.name not in leaves_late]
        left = [looker for looker in slow if looker.name in leaves_late]
        self.late_stage: LateStage | None = None
        if left:
            self.late_stage = LateStage(
                left,
                reporter=self._reporter,
                shares=self._shares,
                clock=clock,
                naming=late_naming,
            )

    def warm_up(self, shape_yx: tuple[int, int], dtype: str) -> None:
        """Run every branch once on arrays of production: this shape and type, read-only or not.

        Compiles what is not in numba's cache. One frame is a lattice of the model's own period,
        so that sites are found, scored and located; one is blank; one has dead pixels.
        """
        header = FrameHeader(
            source=self._source,
            session="0" * 32,
            seq=0,
            shape_yx=shape_yx,
            dtype=dtype,
            t_complete_ns=1,
            t_source="software",
            dropped=0,
        )
        pictures, self._pictures = self._pictures, True
        crystal = _plane_waves(shape_yx, *self._rehearsal)
        for frame in (crystal, np.zeros(shape_yx)):
            pixels = frame.astype(dtype)
            for writable in (True, False):
                pixels.flags.writeable = writable
                outcome = self.process(Incoming(header, pixels, t_recv_ns=1))
                if self.late_stage is not None and outcome.late is not None:
                    self.late_stage.process(outcome.late)
                    outcome.late.release()
        self._pictures = pictures
        self._naming.warm_up()
        dead = crystal.astype(np.float32)
        dead[::16, ::16] = np.nan
        self._pixels.check(dead, None)
        self._followed.warm_up()
        for looker in self._lookers:
            looker.warm_up(crystal.astype(np.float32))
        if self.late_stage is not None:
            self.late_stage.warm_up(crystal.astype(np.float32))

    def process(self, incoming: Incoming) -> Outcome:
        """Turn a frame into its event; never raises for what the pixels hold."""
        start_ns = self._clock.monotonic_ns()
        seen = self._look(incoming)
        fuse = Stopwatch(self._clock)
        period_px = 0.0 if seen.scene is None else period_of(seen.scene)
        verdict = verdict_of(seen.checked.quality, seen.sights, period_px)
        lattice = None if seen.scene is None else seen.scene.lattice
        scaled = self._scale.measure(incoming.header, None if lattice is None else lattice.lattice)
        named = self._naming.of(seen.scene, self._chain, verdict, shows=self._pictures)
        event = self._reporter.report(
            incoming.t_recv_ns, named.verdict, seen.drift, scaled, named.changes
        )
        fuse.lap("fuse")
        sights = named.verdict.sights
        stages = dict(seen.us)
        for sight in sights:
            stages |= sight.stage_us
        stages["fuse"] = fuse.us["fuse"] - named.us
        stages["total"] = (self._clock.monotonic_ns() - start_ns) // 1000
        latency_us = {
            "queue": incoming.queue_us,
            "validate": incoming.validate_us + stages["validate"],
            "lattice": stages.get("lattice", 0),
            **{sight.name: sum(sight.stage_us.values()) for sight in sights},
            "fuse": stages["fuse"],
            "total": incoming.queue_us + incoming.validate_us + stages["total"],
        }
        event = msgspec.structs.replace(event, latency_us=latency_us)
        return Outcome(
            event,
            stages,
            event.n_defects,
            named.note_after(seen.note),
            scaled.warning,
            n_refused={one.name: one.n_refused for one in seen.sights if one.n_refused},
            late=self._left_of(seen, event, scaled),
            pictures=tuple(one.picture for one in seen.sights if one.picture is not None),
            motifs=named.view,
            n_motifs=named.counts,
            n_changes=named.n_changes,
        )

    def _look(self, incoming: Incoming) -> _Seen:
        """Check the pixels, follow the lattice, ask the detectors."""
        watch = Stopwatch(self._clock)
        header = incoming.header
        checked = self._pixels.check(incoming.pixels, header.full_scale)
        watch.lap("validate")
        if not checked.usable:
            return _Seen(checked, watch.us)
        found, drift = self._follow(header, checked.image)
        watch.lap("lattice")
        lattices = () if isinstance(found, Refusal) else found
        first, others = (lattices[0], lattices[1:]) if lattices else (None, ())
        channel = header.channel or None
        pictures = self._pictures or self._previews.is_due(self._clock.monotonic_ns())
        scene = Scene(
            checked.image, checked.bad_yx, first, channel, others, header.session, pictures
        )
        sights = ask_all(self._lookers, scene, self._shares)
        note = "; ".join(sight.note for sight in sights if sight.note)
        note = str(found) if isinstance(found, Refusal) else note
        return _Seen(checked, watch.us, scene, drift, tuple(sights), note)

    def _left_of(self, seen: _Seen, event: DefectEvent, scaled: Scaled) -> LateJob | None:
        """Hand over a frame to the late detectors, its image with it.

        One without a lattice only where somebody has a word on it.
        """
        if self.late_stage is None or seen.scene is None:
            return None
        if seen.scene.lattice is None and self.late_stage.needs_lattice:
            return None
        self._pixels.hand_over()
        ready_ns = self._clock.monotonic_ns()
        return LateJob(
            scene=seen.scene,
            chain=self._chain,
            answered=any(one.n_scored and not one.is_extended for one in seen.sights),
            quality=seen.checked.quality,
            drift=seen.drift,
            scaled=scaled,
            received_ns=ready_ns - 1000 * event.latency_us["total"],
            ready_ns=ready_ns,
            first=event,
            pool=self._pool,
        )

    def _follow(
        self, header: FrameHeader, image: NDArray[np.float32]
    ) -> tuple[tuple[FrameLattice, ...] | Refusal, Drift | None]:
        """Lattices of a frame; arithmetic that fails is a frame without one, not the end."""
        try:
            found, drift = self._followed.look(header, image, self._scale.geometry(header))
        except ARITHMETIC as error:
            self._followed.forget()
            return Refusal(f"the search failed: {error}", 0.0, 0.0), None
        # Of a chain that goes on at least one lattice is followed.
        if isinstance(found, Refusal) or not any(one.followed for one in found):
            self._chain += 1
        return found, drift


def _plane_waves(
    shape_yx: tuple[int, int], basis_px_yx: NDArray[np.float64], polarity: int
) -> NDArray[np.float64]:
    """Draw a frame of a lattice, with some structure in each cell."""
    reciprocal = np.linalg.inv(basis_px_yx)
    y, x = np.indices(shape_yx)
    phases = [2 * np.pi * (reciprocal[0, k] * y + reciprocal[1, k] * x) for k in (0, 1)]
    waves: NDArray[np.float64] = (
        np.cos(phases[0]) + np.cos(phases[1]) + np.cos(phases[0] + phases[1])
    )
    frame: NDArray[np.float64] = 40.0 + 10.0 * polarity * waves
    return frame
