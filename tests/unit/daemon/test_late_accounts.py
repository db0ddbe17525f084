"""Late events beside the books of frames: outbox, loop and demo count a frame once."""

import dataclasses
import io
import threading
import tomllib
from pathlib import Path

import msgpack
import msgspec
import numpy as np
import pytest

from latticewatch.adapters.errors import InputError
from latticewatch.client import DefectEvent, decode
from latticewatch.daemon import watch
from latticewatch.daemon.backlog import LatestBacklog, Received
from latticewatch.daemon.choosing import DETECTORS
from latticewatch.daemon.config import IngestSettings, load_settings
from latticewatch.daemon.demo_late import LateTally
from latticewatch.daemon.demo_score import Truth, judge
from latticewatch.daemon.demo_setup import (
    DemoSettings,
    choose_model,
    parse_detectors,
    write_config,
)
from latticewatch.daemon.measuring import measure_late
from latticewatch.daemon.models import ModelError, check_models
from latticewatch.daemon.outbox import CAPACITY, Outbox
from latticewatch.daemon.outcome import LateJob, Outcome
from latticewatch.daemon.service import Service
from latticewatch.wire.codec import decode_event
from support.daemons import FakeClock, ListSink, make_books
from support.golden import read_golden
from support.headers import SOURCE, frame
from support.late import LeavingPipeline, late_job, late_outcome

TRUTH = Truth(np.array([[50.0, 50.0], [50.0, 150.0]]), ("vacancy", "excess"), 20.0)


class Out:
    """An outbox over a list."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.books = make_books(clock=self.clock)
        self.sink = ListSink()
        self.outbox = Outbox(
            source_name=SOURCE,
            stream="c" * 32,
            sink=self.sink,
            books=self.books,
            heartbeat_ms=250,
        )

    def submit(self, seq: int, *, late: bool) -> bool:
        job = late_job(seq)
        outcome = late_outcome(job) if late else Outcome(job.first, {}, 0)
        return self.outbox.submit(outcome)

    def drain(self) -> list[msgspec.Struct]:
        stop = threading.Event()
        stop.set()
        self.outbox.run(stop)
        return [decode_event(body) for body in self.sink.bodies("ev/")]

    def value(self, metric: str, **labels: str) -> float | None:
        return self.books.metrics.registry.get_sample_value(f"latticewatch_{metric}", labels)


def told(events: list[msgspec.Struct], key: str) -> list[object]:
    return [getattr(event, key) for event in events]


def test_a_late_event_without_room_is_no_frame_that_was_dropped() -> None:
    out = Out()
    for seq in range(CAPACITY):
        assert out.submit(seq, late=False)
    assert not out.submit(0, late=True)
    assert not out.submit(CAPACITY, late=False)
    assert not out.submit(1, late=True)

    events = out.drain()

    assert sum(map(int, told(events, "dropped_since_last"))) == 1  # type: ignore[call-overload]
    assert out.value("events_overflow_total") == 3


def test_a_late_event_that_cannot_be_written_is_no_frame_that_was_dropped() -> None:
    out = Out()
    late = late_outcome(late_job(0))
    broken = msgspec.structs.replace(late.event, latency_us={"total": 2**70})
    out.outbox.submit(dataclasses.replace(late, event=broken))
    out.submit(1, late=False)

    events = out.drain()

    assert told(events, "dropped_since_last") == [0]
    assert out.value("messages_unsent_total") == 1


def test_what_was_lost_is_told_once_by_whichever_event_comes_next() -> None:
    out = Out()
    accounting = out.books.accounting
    ticket = accounting.admit(frame(0))
    assert ticket is not None
    out.submit(0, late=False)
    out.outbox.turn(0.0)
    accounting.drop(ticket, "length")
    out.submit(0, late=True)
    out.submit(1, late=False)

    events = out.drain()

    assert told(events, "dropped_since_last") == [0, 1, 0]
    assert told(events, "seq") == [0, 1, 2]


def test_the_latency_of_the_last_pixel_is_that_of_first_events() -> None:
    out = Out()
    out.submit(0, late=False)
    out.submit(0, late=True)
    out.drain()

    assert out.value("latency_seconds_count", stage="end_to_end") == 1
    assert out.value("events_published_total") == 2


def test_a_late_event_is_measured_and_its_frame_not_counted_again() -> None:
    out = Out()
    late = late_outcome(late_job(3), state="error")
    event = msgspec.structs.replace(late.event, outcome="not_scored", quality=("constant",))
    measure_late(
        out.books,
        dataclasses.replace(
            late, event=event, stage_us={"vae": 2000, "late": 30_000}, n_refused={"vae": 2, "x": 1}
        ),
    )

    assert out.value("latency_seconds_sum", stage="late") == 0.03
    assert out.value("latency_seconds_sum", stage="vae") == 0.002
    assert out.value("unscorable_total", detector="vae") == 2
    assert out.value("unscorable_total", detector="other") == 1
    assert out.value("frames_not_scored_total", quality="constant") == 0


@dataclasses.dataclass
class LateList:
    """Who goes on with frames: lists."""

    offered: list[LateJob] = dataclasses.field(default_factory=list)
    dropped: list[LateJob] = dataclasses.field(default_factory=list)
    trace: list[str] = dataclasses.field(default_factory=list)

    def offer(self, job: LateJob) -> None:
        self.trace.append("offer")
        self.offered.append(job)

    def drop(self, job: LateJob) -> None:
        self.dropped.append(job)


@dataclasses.dataclass
class Outlet:
    """Takes events, or has no room for them."""

    trace: list[str]
    has_room: bool = True
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)

    def submit(self, outcome: Outcome) -> bool:
        self.trace.append("submit")
        self.outcomes.append(outcome)
        return self.has_room


@pytest.mark.parametrize("has_room", [True, False])
def test_the_loop_hands_a_frame_over_once_its_first_event_is_queued(has_room: bool) -> None:
    books = make_books()
    late = LateList()
    outlet = Outlet(late.trace, has_room)
    backlog = LatestBacklog()
    service = Service(
        settings=IngestSettings(),
        backlog=backlog,
        pipeline=LeavingPipeline(),
        outbox=outlet,
        books=books,
        late=late,
    )
    ticket = books.accounting.admit(frame(0))
    assert ticket is not None
    now_ns = books.clock.monotonic_ns()
    backlog.put(
        Received(
            ticket=ticket,
            header=frame(0),
            pixels=np.zeros((64, 96), "<u2"),
            t_recv_ns=1,
            received_ns=now_ns,
            ready_ns=now_ns,
        )
    )
    service.step(0.0)

    assert late.trace == (["submit", "offer"] if has_room else ["submit"])
    assert [len(late.offered), len(late.dropped)] == [int(has_room), int(not has_room)]
    assert outlet.outcomes[0].late is None
    assert books.accounting.counts().processed == 1


def client_event(name: str, **changes: object) -> DefectEvent:
    value = msgpack.unpackb(read_golden(name)[0]) | changes
    event = decode(msgpack.packb(value))
    assert isinstance(event, DefectEvent)
    return dataclasses.replace(event, t_received_ns=event.frame.t_complete_ns + 60_000_000)


def late_at(*places: tuple[float, float]) -> DefectEvent:
    event = client_event("event_late")
    defects = tuple(dataclasses.replace(event.defects[0], pixel_yx=place) for place in places)
    frame = dataclasses.replace(event.frame, shape_yx=(200, 200))
    return dataclasses.replace(event, defects=defects, frame=frame)


def tally_after(first_yx: list[list[float]], *late: DefectEvent) -> LateTally:
    tally = LateTally()
    found = np.array(first_yx).reshape(-1, 2)
    first = client_event("event_none")
    first = dataclasses.replace(first, frame=dataclasses.replace(first.frame, shape_yx=(200, 200)))
    tally.add_first(first, found, TRUTH, judge(found, TRUTH, (200, 200)))
    for event in late:
        tally.add_late(event, settled=True)
    return tally


def test_the_demo_judges_both_events_of_a_frame_together() -> None:
    alone = tally_after([[50.0, 50.0]])
    both = tally_after([[50.0, 50.0]], late_at((50.0, 150.0), (150.0, 150.0)))

    assert alone.result()["recall"] == 0.5
    assert alone.result()["dropped"] == 1
    assert both.result() == {
        "answered": 1,
        "dropped": 0,
        "p50_ms": 60.0,
        "p99_ms": 60.0,
        "precision": 0.6667,
        "recall": 1.0,
    }


def test_a_late_event_whose_first_was_lost_has_an_age_and_no_verdict() -> None:
    tally = LateTally()
    tally.add_late(late_at((50.0, 50.0)), settled=True)
    tally.add_late(late_at((50.0, 50.0)), settled=False)

    assert (tally.n_answered, len(tally.ages_ms)) == (2, 1)
    assert tally.result()["precision"] is None


def test_the_table_of_events_counts_a_late_one_apart_and_calls_it_late() -> None:
    state = watch.WatchState("haadf1", "tcp://127.0.0.1:5611")
    state.accept(client_event("event_none"))
    state.accept(client_event("event_late"))

    assert (state.n_events, state.n_late) == (1, 1)
    assert "  late scored  " in watch.event_line(client_event("event_late"))
    assert "late" not in watch.event_line(client_event("event_none"))


def detectors_of(path: Path) -> dict[str, object]:
    return dict(tomllib.loads(path.read_text())["detectors"])


def test_the_demo_lets_those_look_that_are_asked_for(tmp_path: Path) -> None:
    asked = parse_detectors("patterson, vae")
    path = write_config("pretrained:mos2", tmp_path, asked)

    assert detectors_of(path) == {
        "reference_cell": {"enabled": False},
        "patterson": {"enabled": True, "model": "pretrained:mos2"},
        "domains": {"enabled": False},
        "vae": {"enabled": True},
    }
    assert load_settings(path).detectors.vae.late


def test_a_slow_detector_alone_is_waited_for(tmp_path: Path) -> None:
    path = write_config(None, tmp_path, parse_detectors("vae"))

    assert not load_settings(path).detectors.vae.late


def test_the_demo_without_a_word_is_as_it_was(tmp_path: Path) -> None:
    assert parse_detectors(None) is None
    assert detectors_of(write_config("pretrained:mos2", tmp_path)) == {
        "patterson": {"model": "pretrained:mos2"}
    }


def test_no_model_is_fitted_for_a_detector_that_does_not_look(tmp_path: Path) -> None:
    settings = DemoSettings(dose=12_345.0, detectors=("reference_cell",))

    assert choose_model(settings, tmp_path) is None


@pytest.mark.parametrize("text", ["", "vea", "patterson,vea", "domains", ","])
def test_names_of_no_detector_are_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^--detectors ") as caught:
        parse_detectors(text)
    assert len(str(caught.value).splitlines()) == 1


def test_every_detector_of_the_table_has_its_settings() -> None:
    assert set(type(load_settings().detectors).model_fields) == {*DETECTORS, "late_within_ms"}


def test_a_detector_that_is_not_there_yet_is_one_line() -> None:
    settings = load_settings().detectors
    vae = settings.vae.model_copy(update={"enabled": True})
    with pytest.raises(ModelError, match=r"^detectors\.vae: not built yet$"):
        check_models(settings.model_copy(update={"vae": vae}))


def test_a_view_with_late_events_is_as_high_as_without() -> None:
    from rich.console import Console

    from latticewatch.daemon.demo_view import DemoState, render

    def lines_of(state: DemoState) -> list[str]:
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(render(state))
        return console.export_text().splitlines()

    state = DemoState("mos2 512 x 512, 30 frames/s")
    before = lines_of(state)
    state.late.add_late(late_at((50.0, 50.0)), settled=True)
    after = lines_of(state)

    assert len(before) == len(after)
    assert any("late p50  60.0 ms" in line for line in after)
