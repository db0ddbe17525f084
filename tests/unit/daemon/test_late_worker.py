"""The late thread: the newest frame waits, and each has one fate."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from latticewatch.daemon.outcome import LateJob, Outcome
from support.late import late_outcome
from support.late_worker import Bench
from support.waiting import wait_until


def test_the_newest_frame_waits_and_older_ones_are_dropped() -> None:
    bench = Bench()
    bench.stage.gate.clear()
    thread = bench.in_thread()
    bench.offer(0)
    assert bench.stage.entered.wait(5)
    for seq in (1, 2, 3):
        bench.offer(seq)
    bench.stage.gate.set()
    assert wait_until(lambda: bench.stage.seen == [0, 3])
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
