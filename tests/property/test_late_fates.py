"""Whatever the loop and the late thread do in whichever order, each frame has one fate."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticewatch.daemon.outcome import LateJob, Outcome
from support.late import late_outcome
from support.late_worker import Bench


@dataclass
class Story:
    """Frames that are offered and time that goes by, also while a frame is in hand."""

    bench: Bench
    steps: list[str]
    n_offered: int = 0
    n_in_hand: int = 0

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
