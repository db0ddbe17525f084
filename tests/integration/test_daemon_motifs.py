"""Motifs in the real daemon: names in its events, classes proposed in a status, metrics."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from latticewatch.adapters.native import FrameSender
from latticewatch.client import DefectClient, DefectEvent, Status
from latticewatch.daemon.lifecycle import EXIT_ASKED, Daemon
from latticewatch.daemon.logs import LogBook, make_logger
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.runtime import build_daemon, load_analysis
from latticewatch.detectors.artifact import write_artifact
from latticewatch.detectors.motifs.model import DETECTOR
from support.daemons import listening_to, make_settings
from support.headers import SOURCE
from support.motif_frames import motif_model, noisy, specimen
from support.zeromq import open_context

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

T_NS = 1_790_000_000_123_456_789
KNOWN = ("one S absent", "both S absent", "heavy S", "light metal")


@contextmanager
def daemon_with(folder: Path) -> Iterator[Daemon]:
    """A daemon as its settings build it, whose model never saw a heavy metal."""
    path, model = folder / "my.model", motif_model(301, KNOWN)
    write_artifact(path, detector=DETECTOR, header=model.header(), arrays=model.arrays())
    settings = make_settings(
        detectors={
            "patterson": {"enabled": False},
            "domains": {"enabled": False},
            "motifs": {"enabled": True, "model": str(path)},
        },
        events={"valid_for_ms": 60_000},
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
        assert daemon.stop() == EXIT_ASKED


class Heard:
    """Keeps what a client receives: a status may come before the event of its frame, or after."""

    def __init__(self, client: DefectClient) -> None:
        self._client = client
        self._events: list[DefectEvent] = []
        self._proposals: list[Status] = []

    def next_event(self) -> DefectEvent:
        self._listen(self._events)
        return self._events.pop(0)

    def next_proposal(self) -> Status:
        self._listen(self._proposals)
        return self._proposals.pop(0)

    def _listen(self, wanted: Sequence[object]) -> None:
        for _ in range(80):  # a heartbeat comes every quarter of a second
            if wanted:
                return
            message = self._client.receive_any(timeout_s=20)
            if isinstance(message, DefectEvent):
                self._events.append(message)
            elif isinstance(message, Status) and message.code == "motif_proposed":
                self._proposals.append(message)
        raise AssertionError("nothing came")


def test_an_unknown_kind_is_new_then_proposed_then_named(tmp_path: Path) -> None:
    scene = specimen(5, n_each=10, kinds=("heavy metal", "one S absent"))
    with (
        daemon_with(tmp_path) as daemon,
        listening_to(daemon) as client,
        open_context() as context,
        FrameSender(
            context=context, endpoint=daemon.receiver.endpoint, source=SOURCE, mode="live"
        ) as sender,
    ):
        assert sender.wait_for_peer(5)
        heard = Heard(client)

        def send(seed: int) -> None:
            pixels = noisy(scene.image, seed).astype("<u2")
            assert sender.send(pixels, t_complete_ns=T_NS, t_source="software")

        send(0)
        event = heard.next_event()
        assert [one.name for one in event.detectors] == ["reference_cell", "motifs"]
        assert sum(one.label == "new" for one in event.defects) >= 8
        status = heard.next_proposal()
        assert (status.level, status.detail["kind"]) == ("info", "excess")
        send(1)
        event = heard.next_event()
        named = [one for one in event.defects if one.label == status.detail["name"]]
        assert len(named) >= 8
        assert all(one.motif and one.motif.id == status.detail["id"] for one in named)
        value = daemon.books.metrics.registry.get_sample_value
        assert value("latticewatch_motifs_proposed_total") == 1
        assert (value("latticewatch_motifs_total", {"answer": "named"}) or 0) > 10
        assert (value("latticewatch_motif_reservoir_sites") or 0) >= 8
        assert value("latticewatch_latency_seconds_count", {"stage": "motifs"}) == 2
