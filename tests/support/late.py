"""Late detectors that do what they are told, and frames that are left to them."""

import dataclasses
import threading
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.image_pool import ImagePool
from latticewatch.daemon.material import Scaled
from latticewatch.daemon.outcome import LateJob, Outcome
from latticewatch.daemon.pipeline import Incoming
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.sights import Budget, Scene, Sight
from latticewatch.detectors.protocols import Finding
from latticewatch.wire.events import DetectorState
from support.headers import frame
from support.pipelines import FakePipeline, verdict

SHAPE_YX = (64, 96)


def finding(pixel_yx: tuple[float, float], p_value: float = 1e-9) -> Finding:
    return Finding(
        pixel_yx=pixel_yx,
        cov_px=(0.1, 0.0, 0.1),
        kind="vacancy",
        intensity_ratio=None,
        extent_px=5.0,
        p_value=p_value,
        parts=(("slow", 6.0, p_value),),
        tail=False,
    )


@dataclass
class FakeLooker:
    """A detector that sees what it was told to, and remembers what it was asked.

    Attributes
    ----------
    error
        Raised instead of an answer.
    """

    needs_lattice = True

    name: str = "slow"
    findings: tuple[Finding, ...] = ()
    error: Exception | None = None
    n_refused: int = 0
    n_scored: int = 10
    scenes: list[Scene] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    n_warmed: int = 0

    def look(self, scene: Scene, budget: Budget) -> Sight:
        self.scenes.append(scene)
        self.budgets.append(budget)
        if self.error is not None:
            raise self.error
        return Sight(
            self.name,
            "fake",
            "ab" * 32,
            n_sites=12,
            n_scored=self.n_scored,
            findings=self.findings,
            q_value=np.full(len(self.findings), 1e-6),
            stage_us={self.name: 40},
            n_refused=self.n_refused,
        )

    def warm_up(self, image: NDArray[np.float32]) -> None:
        del image
        self.n_warmed += 1


def job_of(
    outcome: Outcome, *, received_ns: int = 0, pool: ImagePool | None = None, value: float = 0.0
) -> LateJob:
    """What is left of a frame whose first event is this; all pixels have one value."""
    pool = pool or ImagePool()
    image = pool.take(SHAPE_YX)
    image[:] = value
    return LateJob(
        scene=Scene(image, np.empty((0, 2), np.intp), None),
        chain=0,
        answered=True,
        quality=(),
        drift=None,
        scaled=Scaled(frame(outcome.event.frame.seq)),
        received_ns=received_ns,
        ready_ns=received_ns,
        first=outcome.event,
        pool=pool,
    )


def late_job(seq: int, *, received_ns: int = 0, pool: ImagePool | None = None) -> LateJob:
    """A frame that is left to late detectors; its number is in every pixel."""
    incoming = Incoming(frame(seq), np.zeros(SHAPE_YX, "<u2"), t_recv_ns=1)
    return job_of(verdict(incoming), received_ns=received_ns, pool=pool, value=float(seq))


def late_outcome(job: LateJob, *, state: str = "ok") -> Outcome:
    """Nothing found, late."""
    named = DetectorState(name="slow", artifact="fake", sha256="ab" * 32, state="ok", us=40)
    if state == "error":
        named = msgspec.structs.replace(named, state="error")
    event = msgspec.structs.replace(job.first, stage="late", confirms=(), detectors=(named,))
    return Outcome(event=event, stage_us={"late": 50}, n_defects=0)


class FakeStage:
    """Answers late, and remembers what it was asked.

    Attributes
    ----------
    gate
        Cleared, it holds up the next frame until set again.
    entered
        Set while a frame is in hand.
    """

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.state = "ok"
        self.error: Exception | None = None

    def process(self, job: LateJob) -> Outcome:
        self.seen.append(job.first.frame.seq)
        self.entered.set()
        self.gate.wait(20)
        self.entered.clear()
        if self.error is not None:
            raise self.error
        return late_outcome(job, state=self.state)


class LeavingPipeline(FakePipeline):
    """Finds nothing, and leaves every frame to late detectors."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = ImagePool()

    def process(self, incoming: Incoming) -> Outcome:
        outcome = super().process(incoming)
        received_ns = SystemClock().monotonic_ns()
        job = job_of(outcome, received_ns=received_ns, pool=self.pool)
        return dataclasses.replace(outcome, late=job)
