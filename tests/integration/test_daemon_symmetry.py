"""The symmetry maps in the real daemon: lines and patches late, and the map for whoever looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from latticewatch.adapters.native import FrameSender
from latticewatch.client import DefectClient, DefectEvent, PreviewClient
from latticewatch.daemon.lifecycle import Daemon
from latticewatch.daemon.logs import LogBook, make_logger
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.runtime import build_daemon, load_analysis
from latticewatch.detectors.artifact import write_artifact
from latticewatch.detectors.symmetry.model import DETECTOR
from support.daemons import listening_to, make_settings
from support.headers import SOURCE
from support.symmetry_looks import model, scene
from support.waiting import wait_until
from support.zeromq import open_context

T_NS = 1_790_000_000_123_456_789
# A stalled computer is not taken for a slow detector.
PATIENT_MS = 60_000


@contextmanager
def daemon_with(folder: Path, *, late: bool) -> Iterator[Daemon]:
    """A daemon as its settings build it, with the model of the drawn crystal."""
    path = folder / "my.model"
    write_artifact(path, detector=DETECTOR, header=model().header(), arrays=model().arrays())
    settings = make_settings(
        detectors={
            "late_within_ms": PATIENT_MS,
            "patterson": {"enabled": False},
            "symmetry": {"enabled": True, "model": str(path), "late": late},
        },
        events={"valid_for_ms": PATIENT_MS},
    )
    clock = SystemClock()
    daemon = build_daemon(
        settings=settings,
        analysis=load_analysis(settings, clock=clock),
        log=LogBook(logger=make_logger(form="json", level="error"), clock=clock),
        clock=clock,
    )
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@contextmanager
def sending_to(daemon: Daemon) -> Iterator[FrameSender]:
    with (
        open_context() as context,
        FrameSender(
            context=context, endpoint=daemon.receiver.endpoint, source=SOURCE, mode="live"
        ) as sender,
    ):
        assert sender.wait_for_peer(5)
        yield sender


def send(sender: FrameSender, defect: str, seed: int = 1) -> None:
    pixels = scene(defect, seed).frame.astype("<u2")
    assert sender.send(pixels, t_complete_ns=T_NS, t_source="software")


def events_of(client: DefectClient, n: int) -> list[DefectEvent]:
    return [client.receive(timeout_s=20) for _ in range(n)]


@pytest.mark.slow
def test_late_event_has_the_lines_and_patches_that_the_first_has_not(tmp_path: Path) -> None:
    with (
        daemon_with(tmp_path, late=True) as daemon,
        listening_to(daemon) as client,
        sending_to(daemon) as sender,
    ):
        send(sender, "fault")
        first, late = events_of(client, 2)
        assert (first.stage, late.stage) == ("first", "late")
        assert [state.name for state in first.detectors] == ["reference_cell", "domains"]
        assert [state.name for state in late.detectors] == ["symmetry"]
        assert (late.outcome, [one.kind for one in late.defects]) == ("scored", ["boundary"])
        assert late.defects[0].scores[0][0] == "symmetry"
        assert late.latency_us["symmetry"] > 0

        send(sender, "patch")
        first, late = events_of(client, 2)
        (patch,) = [one for one in first.defects if one.kind == "amorphous"]
        assert (late.confirms, late.defects) == ((patch.i,), ())
    stages = daemon.books.metrics.registry.get_sample_value(
        "latticewatch_latency_seconds_count", {"stage": "symmetry"}
    )
    assert stages == 2


@pytest.mark.slow
def test_where_it_is_waited_for_there_is_one_event(tmp_path: Path) -> None:
    with (
        daemon_with(tmp_path, late=False) as daemon,
        listening_to(daemon) as client,
        sending_to(daemon) as sender,
    ):
        assert daemon.late is None
        send(sender, "patch")
        (event,) = events_of(client, 1)
        (patch,) = [one for one in event.defects if one.kind == "amorphous"]
        assert [name for name, _, _ in patch.scores] == ["patterson_patches", "symmetry"]


@pytest.mark.slow
@pytest.mark.parametrize("late", [True, False])
def test_the_map_comes_to_whoever_looks(tmp_path: Path, late: bool) -> None:
    with (
        daemon_with(tmp_path, late=late) as daemon,
        listening_to(daemon) as client,
        sending_to(daemon) as sender,
    ):
        send(sender, "none")
        events_of(client, 1 + late)
        with PreviewClient(SOURCE, events=daemon.publisher.endpoint) as previews:
            assert wait_until(lambda: daemon.outbox.previews.is_wanted)
            send(sender, "fault")
            events_of(client, 1 + late)
            preview = previews.receive(20)
        assert (preview.layer, preview.frame.seq) == ("symmetry", 1)
        shown = np.frombuffer(preview.pixels, np.uint8).reshape(preview.shape_yx)
        assert preview.step_px == model().step_px
        assert (shown[0] == 0).all()  # the border is not known
        severity = preview.low + shown / 255 * (preview.high - preview.low)
        assert severity.max() > 1.5
        (line,) = scene("fault").lines
        peak = preview.step_px * (np.argwhere(severity > 1.5) + 0.5) - 0.5
        away = [np.hypot(*(line - place).T).min() for place in peak]
        assert np.median(away) < scene("fault").period_px
