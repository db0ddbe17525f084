"""The loop, one step at a time: age, order, fates."""

import io
import json
import threading
from typing import get_args

import numpy as np
import pytest
from prometheus_client import generate_latest

from latticewatch.daemon.backlog import LatestBacklog, Received, WaitingBacklog
from latticewatch.daemon.config import IngestSettings
from latticewatch.daemon.hints import HINTS
from latticewatch.daemon.pipeline import Outcome
from latticewatch.daemon.service import Service
from latticewatch.wire.words import Quality
from support.daemons import FakeClock, make_books
from support.headers import SOURCE, frame
from support.pipelines import FakePipeline

T_COMPLETE_NS = 1_790_000_000_000_000_000


class ListOutbox:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def submit(self, outcome: Outcome) -> bool:
        self.outcomes.append(outcome)
        return True


class Bench:
    """A service with everything around it in reach."""

    def __init__(self, **ingest: object) -> None:
        self.clock = FakeClock()
        self.log = io.StringIO()
        self.books = make_books(clock=self.clock, log=self.log)
        self.pipeline = FakePipeline()
        self.outbox = ListOutbox()
        settings = IngestSettings.model_validate(ingest)
        self.backlog = LatestBacklog() if settings.mode == "live" else WaitingBacklog(capacity=8)
        self.service = Service(
            settings=settings,
            backlog=self.backlog,
            pipeline=self.pipeline,
            outbox=self.outbox,
            books=self.books,
        )

    def put(self, seq: int) -> None:
        header = frame(seq, t_complete_ns=T_COMPLETE_NS)
        ticket = self.books.accounting.admit(header)
        assert ticket is not None
        now_ns = self.clock.monotonic_ns()
        received = Received(
            ticket=ticket,
            header=header,
            pixels=np.zeros((64, 96), "<u2"),
            t_recv_ns=self.clock.utc_ns(),
            received_ns=now_ns,
            ready_ns=now_ns,
        )
        assert self.backlog.put(received) is None

    def value(self, metric: str, **labels: str) -> float | None:
        return self.books.metrics.registry.get_sample_value(f"latticewatch_{metric}", labels)


def test_a_frame_becomes_one_outcome_and_counts_as_processed() -> None:
    bench = Bench()
    bench.put(0)
    bench.clock.advance(3)
    assert bench.service.step(0.0)
    assert [outcome.event.frame.seq for outcome in bench.outbox.outcomes] == [0]
    assert bench.pipeline.seen[0].queue_us == 3000
    assert bench.books.accounting.counts().processed == 1
    assert bench.value("latency_seconds_sum", stage="queue") == 0.003


def test_without_a_frame_a_step_does_nothing() -> None:
    bench = Bench()
    assert not bench.service.step(0.0)


@pytest.mark.parametrize(
    ("ingest", "waits_ms", "is_dropped"),
    [
        ({}, 1000, False),
        ({}, 1001, True),
        ({"max_age_ms": 0}, 60_000, False),
        ({"mode": "lossless"}, 60_000, False),
        # The clock stands one second behind the stamp's origin, so the frame is 1000 ms old.
        ({"clock_synchronised": True, "max_age_ms": 1100}, 100, False),
        ({"clock_synchronised": True, "max_age_ms": 1100}, 101, True),
    ],
)
def test_a_frame_too_old_at_its_turn_is_dropped_as_stale(
    ingest: dict[str, object], waits_ms: int, is_dropped: bool
) -> None:
    bench = Bench(**ingest)
    bench.put(0)
    bench.clock.advance(waits_ms)
    bench.service.step(0.0)
    counts = bench.books.accounting.counts()
    assert counts.dropped["stale"] == is_dropped
    assert counts.processed == (not is_dropped)
    assert counts.unaccounted == 0


def test_what_is_not_scored_counts_under_each_quality_word() -> None:
    bench = Bench()
    bench.pipeline.quality = ("constant", "a new word")
    bench.put(0)
    bench.service.step(0.0)
    assert bench.value("frames_not_scored_total", quality="constant") == 1
    assert bench.value("frames_not_scored_total", quality="other") == 1
    assert b"a new word" not in generate_latest(bench.books.metrics.registry)


def test_frames_without_an_answer_are_one_line_per_trouble_with_a_count_and_a_hint() -> None:
    bench = Bench()
    for seq, quality in enumerate([("model_stale",), ("clock_skew", "constant"), ("model_stale",)]):
        bench.pipeline.quality = quality
        bench.put(seq)
        bench.service.step(0.0)
    bench.books.log.flush()
    stale, constant = map(json.loads, bench.log.getvalue().splitlines())
    assert (stale["event"], stale["level"]) == ("frame_not_scored", "warning")
    assert (stale["reason"], stale["count"]) == ("model_stale", 2)
    assert stale["text"] == (
        f"frame 2 of {SOURCE}: the frame does not fit the model: fit one, latticewatch fit"
    )
    assert (constant["reason"], constant["count"]) == ("constant", 1)


def test_a_frame_without_an_answer_is_told_with_the_numbers_that_are_known() -> None:
    bench = Bench()
    bench.pipeline.quality, bench.pipeline.note = ("not_periodic",), "strength 0.9, needed 4.0"
    bench.put(0)
    bench.service.step(0.0)
    bench.books.log.flush()
    assert json.loads(bench.log.getvalue())["text"].endswith("; strength 0.9, needed 4.0")


def test_a_material_that_does_not_fit_is_one_line() -> None:
    bench = Bench()
    for seq, warning in enumerate(["", "pixels are 13 pm by the material", ""]):
        bench.pipeline.warning = warning
        bench.put(seq)
        bench.service.step(0.0)
    bench.books.log.flush()
    (line,) = map(json.loads, bench.log.getvalue().splitlines())
    assert (line["event"], line["level"]) == ("material_does_not_fit", "warning")
    assert line["text"] == f"frame 1 of {SOURCE}: pixels are 13 pm by the material"


def test_a_frame_with_an_answer_is_no_line() -> None:
    bench = Bench()
    bench.put(0)
    bench.service.step(0.0)
    bench.books.log.flush()
    assert bench.log.getvalue() == ""


@pytest.mark.parametrize("word", get_args(Quality))
def test_every_quality_word_has_a_hint_or_never_stands_alone(word: str) -> None:
    assert word in HINTS or word in {"clock_skew", "replay"}


def test_the_loop_ends_when_the_backlog_is_closed_and_empty() -> None:
    bench = Bench(mode="lossless")
    for seq in range(3):
        bench.put(seq)
    bench.backlog.close()
    bench.service.run(threading.Event())
    assert bench.books.accounting.counts().processed == 3


def test_a_loop_that_gives_up_drops_what_is_left() -> None:
    bench = Bench(mode="lossless")
    for seq in range(3):
        bench.put(seq)
    give_up = threading.Event()
    give_up.set()
    bench.service.run(give_up)
    counts = bench.books.accounting.counts()
    assert (counts.processed, counts.dropped["queue"], counts.in_flight) == (0, 3, 0)


def test_an_idle_round_counts_as_a_turn() -> None:
    bench = Bench()
    bench.clock.advance(5000)
    assert bench.service.idle_ns == 5_000_000_000
    bench.service.step(0.0)
    assert bench.service.idle_ns == 0
