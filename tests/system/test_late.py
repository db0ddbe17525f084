"""Late events of a daemon in a process of its own, and a late detector that never comes back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from latticewatch.client import DefectClient, DefectEvent
from latticewatch.daemon.processes import Child
from support.programs import (
    READY_S,
    RunningDaemon,
    listening_to,
    simulator_process,
    write_config,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

TESTS = Path(__file__).parents[1]
STOP_LIMIT_S = 5.0
WAIT_S = 60.0


@contextmanager
def late_daemon(
    folder: Path, *, model: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningDaemon]:
    """A daemon whose late detector answers, or hangs."""
    more = f"[detectors.vae]\nenabled = true\nmodel = '{model}'\n"
    config = write_config(folder, more=more)
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=":")
    arguments = ["run", str(config)]
    with Child(name="the daemon", module="support.late_daemon", arguments=arguments) as child:
        ready = child.receive_json(timeout_s=READY_S)
        endpoints = ready["endpoints"]
        yield RunningDaemon(
            child=child, frames=endpoints["frames"], events=endpoints["events"], http=ready["http"]
        )


def events_of(client: DefectClient, n_events: int) -> list[DefectEvent]:
    return [client.receive(timeout_s=WAIT_S) for _ in range(n_events)]


def test_late_events_follow_their_first_ones_in_one_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        late_daemon(tmp_path, model="answers", monkeypatch=monkeypatch) as daemon,
        listening_to(daemon) as client,
        simulator_process("--endpoint", daemon.frames, "--fps", 20),
    ):
        events = events_of(client, 60)
        assert client.gaps == ()
        code = daemon.child.stop()

    seen: set[int] = set()
    n_late = 0
    for event in events:
        if event.stage == "first":
            seen.add(event.frame.seq)
        else:
            n_late += 1
            assert event.frame.seq in seen
            assert [defect.pixel_yx for defect in event.defects] == [(101.5, 77.25)]
    assert n_late > 0
    assert len(seen) + n_late == len(events)
    assert code == 0


@pytest.mark.fault
def test_a_late_detector_that_never_comes_back_slows_nobody_and_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        late_daemon(tmp_path, model="hangs", monkeypatch=monkeypatch) as daemon,
        listening_to(daemon) as client,
        simulator_process("--endpoint", daemon.frames, "--fps", 20),
    ):
        events = events_of(client, 40)
        samples = daemon.metrics()
        start_s = time.monotonic()
        code = daemon.child.stop()

    assert {event.stage for event in events} == {"first"}
    assert samples['latticewatch_late_frames_total{fate="dropped"}'] > 30
    assert samples["latticewatch_frames_unaccounted"] == 0
    assert time.monotonic() - start_s < STOP_LIMIT_S
    assert code == 1
