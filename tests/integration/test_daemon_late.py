"""Late events through real sockets: behind their first event, and in nobody's way."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from latticewatch.adapters.native import FrameSender
from latticewatch.client.errors import ReceiveTimeout
from latticewatch.client.messages import DefectEvent, Status
from latticewatch.client.stream import DefectClient
from latticewatch.daemon.lifecycle import EXIT_ASKED, EXIT_THREAD_DIED, Daemon
from support.daemons import listening_to, make_settings, running_daemon
from support.headers import SOURCE
from support.late import FakeStage, LeavingPipeline
from support.waiting import wait_until
from support.zeromq import open_context

PIXELS = np.arange(64 * 96, dtype="<u2").reshape(64, 96)
T_NS = 1_790_000_000_123_456_789
# A stalled computer is not taken for a slow detector.
PATIENCE: dict[str, object] = {"late_within_ms": 60_000}
VALIDITY: dict[str, object] = {"valid_for_ms": 60_000}


@dataclass
class Scene:
    """A daemon with a late stage, a source and a client."""

    daemon: Daemon
    client: DefectClient
    sender: FrameSender
    stage: FakeStage

    def send(self, n_frames: int = 1) -> None:
        for _ in range(n_frames):
            assert self.sender.wait_for_peer(5)
            assert self.sender.send(PIXELS, t_complete_ns=T_NS, t_source="software")

    def event(self) -> DefectEvent:
        return self.client.receive(timeout_s=5)

    def fate(self, name: str) -> int:
        value = self.daemon.books.metrics.registry.get_sample_value(
            "latticewatch_late_frames_total", {"fate": name}
        )
        return int(value or 0)

    def messages_to_the_end(self) -> list[DefectEvent | Status]:
        """All that comes until the daemon says that it stops, which it is told to."""
        found: list[DefectEvent | Status] = []
        while not (found and isinstance(found[-1], Status) and found[-1].code == "stopping"):
            message = self.client.receive_any(timeout_s=5)
            if isinstance(message, DefectEvent | Status):
                found.append(message)
        return found


@contextmanager
def scene(mode: str = "live") -> Iterator[Scene]:
    stage = FakeStage()
    settings = make_settings(detectors=PATIENCE, events=VALIDITY, ingest={"mode": mode})
    with (
        running_daemon(LeavingPipeline(), settings=settings, late=stage) as daemon,
        listening_to(daemon) as client,
        open_context() as context,
        FrameSender(
            context=context,
            endpoint=daemon.receiver.endpoint,
            source=SOURCE,
            mode="live" if mode == "live" else "lossless",
        ) as sender,
    ):
        yield Scene(daemon, client, sender, stage)


def test_the_late_event_of_a_frame_stands_behind_the_first_in_one_stream() -> None:
    with scene() as at:
        for seq in range(5):
            at.send()
            first, late = at.event(), at.event()
            assert (first.stage, late.stage) == ("first", "late")
            assert first.frame == late.frame
            assert (first.frame.seq, first.seq, late.seq) == (seq, 2 * seq, 2 * seq + 1)
        counts = at.daemon.books.accounting.counts()
        assert (counts.processed, counts.unaccounted) == (5, 0)
        assert at.fate("answered") == 5
        assert at.client.gaps == ()


@pytest.mark.fault
def test_a_late_detector_that_hangs_slows_no_first_event_and_loses_only_its_own() -> None:
    with scene() as at:
        at.stage.gate.clear()
        at.send()
        assert at.event().stage == "first"
        assert at.stage.entered.wait(5)
        events = []
        for _ in range(20):
            at.send()
            events.append(at.event())
        assert [event.frame.seq for event in events] == list(range(1, 21))
        assert {event.stage for event in events} == {"first"}
        assert at.fate("dropped") == 19
        at.stage.gate.set()
        late = [at.event(), at.event()]
        assert [(event.stage, event.frame.seq) for event in late] == [("late", 0), ("late", 20)]
        # Frames that a late detector did not see were answered: to clients none of them is lost.
        assert sum(event.dropped_since_last for event in [*events, *late]) == 0
        counts = at.daemon.books.accounting.counts()
        assert (counts.processed, counts.n_dropped, counts.unaccounted) == (21, 0, 0)


def test_in_lossless_mode_every_frame_has_its_late_event() -> None:
    with scene("lossless") as at:
        at.send(30)
        events = [at.event() for _ in range(60)]

    firsts = [event.frame.seq for event in events if event.stage == "first"]
    lates = [event.frame.seq for event in events if event.stage == "late"]
    assert firsts == lates == list(range(30))
    for seq in range(30):
        places = [number for number, event in enumerate(events) if event.frame.seq == seq]
        assert events[places[0]].stage == "first"


@pytest.mark.fault
def test_asked_to_stop_it_finishes_the_late_frame_in_hand_before_its_last_words() -> None:
    with scene() as at:
        at.stage.gate.clear()
        at.send()
        assert at.event().stage == "first"
        assert at.stage.entered.wait(5)
        at.send()
        assert at.event().stage == "first"
        assert wait_until(lambda: at.daemon.late is not None and at.daemon.late.n_waiting == 1)
        at.daemon.threads.start("opener", lambda: _open_once_closed(at))
        assert at.daemon.stop() == EXIT_ASKED
        found = at.messages_to_the_end()

    assert [(one.stage, one.frame.seq) for one in found if isinstance(one, DefectEvent)] == [
        ("late", 0)
    ]
    assert (at.fate("answered"), at.fate("dropped")) == (1, 1)


def _open_once_closed(at: Scene) -> None:
    assert wait_until(lambda: at.fate("dropped") == 1)
    at.stage.gate.set()


@pytest.mark.fault
def test_a_late_detector_that_never_ends_does_not_keep_the_daemon() -> None:
    with scene() as at:
        at.stage.gate.clear()
        at.send()
        assert at.stage.entered.wait(5)
        assert at.daemon.stop() == EXIT_THREAD_DIED
        at.stage.gate.set()


@pytest.mark.fault
def test_a_bug_of_a_late_detector_ends_the_daemon_loudly() -> None:
    with scene() as at:
        at.stage.error = KeyError("bug")
        at.send()
        assert at.daemon.threads.wait_for_failure(5)
        assert at.daemon.threads.failure is not None
        assert "thread late died" in at.daemon.threads.failure
        assert at.daemon.stop() == EXIT_THREAD_DIED


def test_without_late_detectors_there_is_no_late_thread_and_no_late_event() -> None:
    with (
        running_daemon(LeavingPipeline()) as daemon,
        listening_to(daemon) as client,
        open_context() as context,
        FrameSender(
            context=context, endpoint=daemon.receiver.endpoint, source=SOURCE, mode="live"
        ) as sender,
    ):
        assert daemon.late is None
        assert sender.wait_for_peer(5)
        assert sender.send(PIXELS, t_complete_ns=T_NS, t_source="software")
        assert client.receive(timeout_s=5).stage == "first"
        with pytest.raises(ReceiveTimeout):
            client.receive(timeout_s=0.2)
        assert json.loads(json.dumps(daemon.describe()))["ready"]
