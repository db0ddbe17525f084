"""A frame becomes an event: no socket, no thread; from frame to frame only the lattice is kept.

The daemon, `analyze` and the demo all go through here, so the same frames in the same order give
the same events, times apart.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.drift import Followed
from latticewatch.daemon.exchange import Incoming as Incoming
from latticewatch.daemon.exchange import Outcome as Outcome
from latticewatch.daemon.exchange import PipelineSettings as PipelineSettings
from latticewatch.daemon.look_cell import CellLooker
from latticewatch.daemon.look_domains import DomainLooker
from latticewatch.daemon.look_patterson import PattersonLooker
from latticewatch.daemon.material import MaterialScale
from latticewatch.daemon.models import ModelSet, digest_of
from latticewatch.daemon.pixel_check import PixelCheck
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.report import Reporter
from latticewatch.daemon.sights import Budget, Looker, Scene, Sight
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.daemon.verdicts import verdict_of
from latticewatch.detectors.follow import FrameLattice, Refusal
from latticewatch.wire.events import Drift
from latticewatch.wire.frames import FrameHeader

# Of the false alarms that are allowed, what the first detector that answers may spend, where
# others look, too. Fixed before anybody looks, so that the sum is what was allowed. The reference
# cell finds nearly all that the others do: at a half of it, it lost one defect in twenty at the
# lowest doses.
_SHARE_OF_THE_FIRST = 0.9
# What pixels can do to arithmetic that the detectors did not foresee; anything else is a mistake
# of ours and ends the loop, loudly.
_ARITHMETIC = (ArithmeticError, np.linalg.LinAlgError)
# Two vectors at 60 degrees, not along the scan.
_REHEARSAL_BASIS_PX = np.array([[6.0, 22.0], [22.0, 6.0]])


class Pipeline:
    """One frame at a time, in buffers that it keeps; belongs to one thread."""

    def __init__(self, *, models: ModelSet, settings: PipelineSettings, clock: Clock) -> None:
        self._clock = clock
        self._source = settings.source
        self._pixels = PixelCheck()
        self._followed = Followed()
        self._scale = MaterialScale(settings.material)
        self._lookers: list[Looker] = []
        if models.reference_cell:
            self._lookers.append(
                CellLooker(clock, dopants_are_defects=settings.dopants_are_defects)
            )
        basis_px, polarity, margin_px = _REHEARSAL_BASIS_PX, 1, 0
        if models.patterson is not None:
            patterson = PattersonLooker(
                models.patterson, clock, dopants_are_defects=settings.dopants_are_defects
            )
            self._lookers.append(patterson)
            rule = models.patterson.detector.model.rule
            basis_px, polarity = rule.basis_px_yx, rule.polarity
            margin_px = patterson.margin_px
        if models.domains != "never":
            always = models.domains == "always"
            self._lookers.append(DomainLooker(clock, always=always))
        self._rehearsal = (basis_px, polarity)
        self._n_of_points = int(models.reference_cell) + int(models.patterson is not None)
        self._budget = Budget.of(settings)
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
        crystal = _plane_waves(shape_yx, *self._rehearsal)
        for frame in (crystal, np.zeros(shape_yx)):
            pixels = frame.astype(dtype)
            for writable in (True, False):
                pixels.flags.writeable = writable
                self.process(Incoming(header, pixels, t_recv_ns=1))
        dead = crystal.astype(np.float32)
        dead[::16, ::16] = np.nan
        self._pixels.check(dead, None)
        self._followed.warm_up()
        for looker in self._lookers:
            looker.warm_up(crystal.astype(np.float32))

    def process(self, incoming: Incoming) -> Outcome:
        """Turn a frame into its event; never raises for what the pixels hold."""
        start_ns = self._clock.monotonic_ns()
        watch = Stopwatch(self._clock)
        checked = self._pixels.check(incoming.pixels, incoming.header.full_scale)
        watch.lap("validate")
        sights: list[Sight] = []
        lattices: tuple[FrameLattice, ...] = ()
        drift, note = None, ""
        if checked.usable:
            found, drift = self._follow(incoming.header, checked.image)
            watch.lap("lattice")
            if isinstance(found, Refusal):
                note = str(found)
            else:
                lattices = found
            first, others = (lattices[0], lattices[1:]) if lattices else (None, ())
            channel = incoming.header.channel or None
            session = incoming.header.session
            scene = Scene(checked.image, checked.bad_yx, first, channel, others, session)
            sights = self._look(scene)
        if lattices:
            note = "; ".join(sight.note for sight in sights if sight.note)
        fuse = Stopwatch(self._clock)
        verdict = verdict_of(checked.quality, sights)
        seen = lattices[0].lattice if lattices else None
        scaled = self._scale.measure(incoming.header, seen)
        event = self._reporter.report(incoming, verdict, drift, scaled)
        fuse.lap("fuse")
        stages = dict(watch.us)
        for sight in sights:
            stages |= sight.stage_us
        stages |= fuse.us
        stages["total"] = (self._clock.monotonic_ns() - start_ns) // 1000
        latency_us = {
            "queue": incoming.queue_us,
            "validate": incoming.validate_us + stages["validate"],
            "lattice": stages.get("lattice", 0),
            **{sight.name: sum(sight.stage_us.values()) for sight in sights},
            "fuse": stages["fuse"],
            "total": incoming.queue_us + incoming.validate_us + stages["total"],
        }
        return Outcome(
            msgspec.structs.replace(event, latency_us=latency_us),
            stages,
            event.n_defects,
            note,
            scaled.warning,
        )

    def _follow(
        self, header: FrameHeader, image: NDArray[np.float32]
    ) -> tuple[tuple[FrameLattice, ...] | Refusal, Drift | None]:
        """Lattices of a frame; arithmetic that fails is a frame without one, not the end."""
        try:
            return self._followed.look(header, image, self._scale.geometry(header))
        except _ARITHMETIC as error:
            self._followed.forget()
            return Refusal(f"the search failed: {error}", 0.0, 0.0), None

    def _look(self, scene: Scene) -> list[Sight]:
        """Ask every detector; those after the first that answers share what it left."""
        sights: list[Sight] = []
        answered = False
        for looker in self._lookers:
            share = _SHARE_OF_THE_FIRST if self._n_of_points > 1 else 1.0
            if answered:
                share = 1.0 - _SHARE_OF_THE_FIRST
            sight = _ask(looker, scene, self._budget.share(share))
            answered = answered or sight.n_scored > 0
            sights.append(sight)
        return sights


def _ask(looker: Looker, scene: Scene, budget: Budget) -> Sight:
    """Let a detector look; one whose arithmetic fails says so, and the others go on."""
    try:
        return looker.look(scene, budget)
    except _ARITHMETIC as error:
        return Sight(looker.name, "none", "0" * 64, "error", note=f"{looker.name}: {error}")


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
