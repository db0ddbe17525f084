"""The late thread: the newest frame waits, and each has one fate."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticewatch.daemon.image_pool import ImagePool
from latticewatch.daemon.late_worker import LateWorker
from latticewatch.daemon.metrics import LateFate
from latticewatch.daemon.outcome import LateJob, Outcome
from support.daemons import FakeClock, make_books
from support.late import FakeStage, late_job, late_outcome

WITHIN_MS = 100


class ListOutbox:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.has_room = True

    def submit(self, outcome: Outcome) -> bool:
        if self.has_room:
            self.outcomes.append(outcome)
        return self.has_room


class Bench:
    """A worker without a thread of its own: `turn` does what it would do next."""

    def __init__(self, *, keeps_all: bool = False) -> None:
        self.clock = FakeClock()
        self.books = make_books(clock=self.clock)
        self.stage = FakeStage()
        self.outbox = ListOutbox()
        self.pool = ImagePool()
        self.worker = LateWorker(
            stage=self.stage,
            outbox=self.outbox,
            books=self.books,
            within_ms=WITHIN_MS,
            keeps_all=keeps_all,
        )

    def offer(self, seq: int) -> None:
        self.worker.offer(late_job(seq, received_ns=self.clock.monotonic_ns(), pool=self.pool))

    def run(self) -> None:
        """Answer what waits, and end."""
        self.worker.close()
        self.worker.run()

    def in_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self.worker.run, daemon=True)
        thread.start()
        return thread

    def fates(self) -> dict[str, int]:
        registry = self.books.metrics.registry
        name = "latticewatch_late_frames_total"
        values = {
            fate: int(registry.get_sample_value(name, {"fate": fate}) or 0)
            for fate in get_args(LateFate)
        }
        return {fate: value for fate, value in values.items() if value}

    @property
    def overdue(self) -> float | None:
        return self.books.metrics.registry.get_sample_value("latticewatch_late_overdue_total")


def test_the_newest_frame_waits_and_older_ones_are_dropped() -> None:
    bench = Bench()
    bench.stage.gate.clear()
    thread = bench.in_thread()
    bench.offer(0)
    assert bench.stage.entered.wait(5)
    for seq in (1, 2, 3):
        bench.offer(seq)
    bench.stage.gate.set()
    while bench.stage.seen != [0, 3]:
        assert bench.stage.entered.wait(5) or bench.stage.seen == [0, 3]
    bench.worker.close()
    thread.join(5)

    assert [outcome.event.frame.seq for outcome in bench.outbox.outcomes] == [0, 3]
    assert bench.fates() == {"answered": 2, "dropped": 2}


def stalling(bench: Bench, milliseconds: float) -> Callable[[LateJob], Outcome]:
    """A stage for which so much time goes by."""

    def process(job: LateJob) -> Outcome:
        bench.clock.advance(milliseconds)
        return late_outcome(job)

    return process


@dataclass
class Scripted:
    """A stage that does what it is told."""

    process: Callable[[LateJob], Outcome]


def answer(bench: Bench, *, waits_ms: float = 0.0, takes_ms: float = 0.0) -> None:
    """Let one frame wait and take so long."""
    bench.worker.stage = Scripted(stalling(bench, takes_ms))
    bench.offer(0)
    bench.clock.advance(waits_ms)
    job = bench.worker._take()
    assert job is not None
    bench.worker._answer(job)


@pytest.mark.parametrize(
    ("waits_ms", "takes_ms", "fates", "n_events", "overdue"),
    [
        (100, 0, {"answered": 1}, 1, 0),
        (101, 0, {"too_late": 1}, 0, 0),
        (0, 100, {"answered": 1}, 1, 0),
        (0, 101, {"answered": 1}, 1, 1),
        (0, 1000, {"answered": 1}, 1, 1),
        (0, 1001, {"too_late": 1}, 0, 1),
    ],
)
def test_old_frames_are_not_begun_and_old_answers_are_published_while_they_are_valid(
    waits_ms: float, takes_ms: float, fates: dict[str, int], n_events: int, overdue: int
) -> None:
    bench = Bench()

    answer(bench, waits_ms=waits_ms, takes_ms=takes_ms)

    assert (bench.fates(), len(bench.outbox.outcomes)) == (fates, n_events)
    assert bench.overdue == overdue


def test_where_nothing_may_be_lost_nothing_is_too_late() -> None:
    bench = Bench(keeps_all=True)

    answer(bench, waits_ms=5000, takes_ms=5000)

    assert bench.fates() == {"answered": 1}


def test_an_event_with_an_error_counts_as_failed_and_goes_out() -> None:
    bench = Bench(keeps_all=True)
    bench.stage.state = "error"
    bench.offer(0)
    bench.run()

    assert bench.fates() == {"failed": 1}
    assert len(bench.outbox.outcomes) == 1


def test_without_room_in_the_outbox_the_frame_counts_as_dropped() -> None:
    bench = Bench(keeps_all=True)
    bench.outbox.has_room = False
    bench.offer(0)
    bench.run()

    assert bench.fates() == {"dropped": 1}


def test_closed_it_finishes_the_frame_in_hand_and_drops_the_one_that_waits() -> None:
    bench = Bench()
    bench.stage.gate.clear()
    thread = bench.in_thread()
    bench.offer(0)
    assert bench.stage.entered.wait(5)
    bench.offer(1)
    bench.worker.close()
    assert bench.fates() == {"dropped": 1}
    bench.offer(2)
    assert bench.fates() == {"dropped": 2}
    bench.stage.gate.set()
    thread.join(5)

    assert not thread.is_alive()
    assert bench.stage.seen == [0]
    assert bench.fates() == {"answered": 1, "dropped": 2}


def test_where_nothing_may_be_lost_the_loop_waits_for_room_and_all_is_answered() -> None:
    bench = Bench(keeps_all=True)
    bench.stage.gate.clear()
    thread = bench.in_thread()
    offered = threading.Event()

    def offer_all() -> None:
        for seq in range(5):
            bench.offer(seq)
        offered.set()

    loop = threading.Thread(target=offer_all, daemon=True)
    loop.start()
    assert bench.stage.entered.wait(5)
    assert not offered.wait(0)  # one in hand, one waits, and the loop has three more
    bench.stage.gate.set()
    loop.join(5)
    bench.worker.close()
    thread.join(5)

    assert bench.stage.seen == [0, 1, 2, 3, 4]
    assert bench.fates() == {"answered": 5}


def test_closing_frees_a_loop_that_waits_for_room() -> None:
    bench = Bench(keeps_all=True)
    bench.offer(0)
    loop = threading.Thread(target=bench.offer, args=(1,), daemon=True)
    loop.start()
    bench.worker.close()
    loop.join(5)
    bench.worker.run()

    assert not loop.is_alive()
    assert bench.fates() == {"answered": 1, "dropped": 1}


@pytest.mark.parametrize("keeps_all", [False, True])
def test_after_a_bug_nobody_waits_for_the_dead(keeps_all: bool) -> None:
    bench = Bench(keeps_all=keeps_all)
    bench.stage.error = KeyError("bug")
    bench.offer(0)
    with pytest.raises(KeyError):
        bench.worker.run()
    for seq in (1, 2, 3):
        bench.offer(seq)

    assert bench.fates() == {"dropped": 3}


@dataclass
class Story:
    """Frames that are offered and time that goes by, also while a frame is in hand."""

    bench: Bench
    steps: list[str]
    n_offered: int = 0
    n_begun: int = 0
    n_in_hand: int = 0
    alive: dict[int, LateJob] = field(default_factory=dict)

    def go_on(self, *, may_begin: bool) -> None:
        """Take steps until there are none, or a frame in hand is finished."""
        while self.steps:
            step = self.steps.pop(0)
            if step == "offer":
                self.bench.offer(self.n_offered)
                self.n_offered += 1
            elif step == "advance":
                self.bench.clock.advance(60)
            elif step == "full":
                self.bench.outbox.has_room = not self.bench.outbox.has_room
            elif step == "close":
                self.bench.worker.close()
            elif step == "finish" and not may_begin:
                return
            elif step == "begin" and may_begin and self.bench.worker.n_waiting:
                job = self.bench.worker._take()
                assert job is not None
                self.n_in_hand = 1
                self.bench.worker._answer(job)
                self.n_in_hand = 0
            self.check()

    def process(self, job: LateJob) -> Outcome:
        image = job.scene.image.copy()
        self.go_on(may_begin=False)
        # Nobody wrote into it while it was in hand.
        assert np.array_equal(image, job.scene.image)
        assert (image == job.first.frame.seq).all()
        failed = job.first.frame.seq % 5 == 4
        return late_outcome(job, state="error" if failed else "ok")

    def check(self) -> None:
        n_waiting = self.bench.worker.n_waiting
        fates = sum(self.bench.fates().values())
        assert self.n_offered == fates + n_waiting + self.n_in_hand


@given(
    st.lists(
        st.sampled_from(
            ["offer", "offer", "offer", "begin", "begin", "finish", "advance", "full", "close"]
        ),
        max_size=40,
    )
)
def test_whatever_happens_in_whichever_order_each_frame_has_one_fate(steps: list[str]) -> None:
    bench = Bench()
    story = Story(bench, list(steps))
    bench.worker.stage = story

    story.go_on(may_begin=True)

    story.check()
    n_events = len(bench.outbox.outcomes)
    fates = bench.fates()
    assert n_events == fates.get("answered", 0) + fates.get("failed", 0)


class Watching:
    """A stage that reads the image twice, while the loop goes on."""

    def __init__(self) -> None:
        self.n_seen = 0
        self.n_spoilt = 0

    def process(self, job: LateJob) -> Outcome:
        self.n_seen += 1
        for _ in range(20):
            self.n_spoilt += not (job.scene.image == job.first.frame.seq).all()
        return late_outcome(job)


@pytest.mark.parametrize("keeps_all", [False, True])
def test_an_image_in_hand_is_never_written_to_by_a_loop_that_races_ahead(keeps_all: bool) -> None:
    bench = Bench(keeps_all=keeps_all)
    stage = Watching()
    bench.worker.stage = stage
    thread = bench.in_thread()
    for seq in range(400):
        bench.offer(seq)
    bench.worker.close()
    thread.join(20)

    assert not thread.is_alive()
    assert stage.n_seen > 0
    assert stage.n_spoilt == 0
    assert sum(bench.fates().values()) == 400
    assert (bench.fates() == {"answered": 400}) or not keeps_all
