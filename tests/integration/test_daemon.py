"""A whole daemon behind real sockets on loopback, with a pipeline that only looks busy."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from latticewatch.adapters.native import FrameSender
from latticewatch.client.messages import DefectEvent, Heartbeat, Status
from latticewatch.client.stream import DefectClient
from latticewatch.daemon.lifecycle import Daemon
from support.daemons import listening_to, make_settings, running_daemon
from support.headers import SOURCE
from support.pipelines import FakePipeline
from support.waiting import wait_until
from support.zeromq import Context, open_context

PIXELS = np.arange(512 * 512, dtype="<u2").reshape(512, 512)
T_NS = 1_790_000_000_123_456_789


@pytest.fixture
def context() -> Iterator[Context]:
    with open_context() as context:
        yield context


def send(sender: FrameSender, n_frames: int = 1) -> None:
    for _ in range(n_frames):
        assert sender.wait_for_peer(5)
        assert sender.send(PIXELS, t_complete_ns=T_NS, t_source="software")


def sender_to(daemon: Daemon, context: Context, *, lossless: bool = False) -> FrameSender:
    sender = FrameSender(
        context=context,
        endpoint=daemon.receiver.endpoint,
        source=SOURCE,
        mode="lossless" if lossless else "live",
    )
    assert sender.wait_for_peer(5)
    return sender


def next_status(client: DefectClient, code: str) -> Status:
    for _ in range(100):  # heartbeats come for ever
        message = client.receive_any(timeout_s=5)
        if isinstance(message, Status) and message.code == code:
            return message
    raise AssertionError(f"no status {code} came")


def get(daemon: Daemon, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(daemon.http.url + path, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code, error.read().decode()


def test_each_frame_has_its_event_also_when_nothing_is_found(context: Context) -> None:
    pipeline = FakePipeline()
    with (
        running_daemon(pipeline) as daemon,
        listening_to(daemon) as client,
        sender_to(daemon, context) as sender,
    ):
        for seq in range(5):
            send(sender)
            event = client.receive(timeout_s=5)
            assert (event.seq, event.frame.seq, event.n_defects) == (seq, seq, 0)
            assert event.stream == daemon.outbox.stream
        assert np.array_equal(pipeline.seen[-1].pixels, PIXELS)
        assert get(daemon, "/healthz")[0] == 200
        metrics = get(daemon, "/metrics")[1]
    assert "latticewatch_frames_processed_total 5.0" in metrics
    assert "latticewatch_frames_unaccounted 0.0" in metrics


@pytest.mark.fault
def test_a_source_faster_than_the_loop_loses_exactly_the_frames_that_are_counted(
    context: Context,
) -> None:
    pipeline = FakePipeline()
    with (
        running_daemon(pipeline) as daemon,
        listening_to(daemon) as client,
        sender_to(daemon, context) as sender,
    ):
        pipeline.gate.clear()
        send(sender)
        assert pipeline.entered.wait(5)
        send(sender, 8)
        assert wait_until(lambda: daemon.books.accounting.counts().received == 9)
        pipeline.gate.set()
        events = [client.receive(timeout_s=5) for _ in range(2)]
        assert [event.frame.seq for event in events] == [0, 8]
        assert [event.dropped_since_last for event in events] == [7, 0]
        sender.end("stopped")
        detail = next_status(client, "session_ended").detail
    assert detail["total"] == 9
    assert (detail["processed"], detail["dropped"]["queue"]) == (2, 7)
    assert (detail["in_flight"], detail["unaccounted"]) == (0, 0)


@pytest.mark.fault
def test_lossless_keeps_every_frame_in_order_and_lets_the_sender_wait(context: Context) -> None:
    pipeline = FakePipeline()
    settings = make_settings(ingest={"mode": "lossless", "queue": 2})
    with (
        running_daemon(pipeline, settings=settings) as daemon,
        listening_to(daemon) as client,
        sender_to(daemon, context, lossless=True) as sender,
    ):
        pipeline.gate.clear()
        send(sender, 4)
        assert pipeline.entered.wait(5)
        # One in hand, two in the queue; the receive thread waits with the fourth.
        assert wait_until(lambda: daemon.books.accounting.counts().in_flight == 4)
        pipeline.gate.set()
        send(sender, 16)
        assert [client.receive(timeout_s=5).frame.seq for _ in range(20)] == list(range(20))
        sender.end("stopped")
        detail = next_status(client, "session_ended").detail
    assert (detail["processed"], sum(detail["dropped"].values())) == (20, 0)


@pytest.mark.fault
def test_a_source_that_leaves_without_a_word_is_down_within_a_second(context: Context) -> None:
    with (
        running_daemon(FakePipeline()) as daemon,
        listening_to(daemon) as client,
    ):
        sender = sender_to(daemon, context)
        send(sender)
        next_status(client, "source_up")
        sender.close()
        next_status(client, "source_down")
        assert get(daemon, "/readyz")[0] == 503
        with sender_to(daemon, context) as again:
            send(again)
            detail = next_status(client, "session_started").detail
            assert detail["session"] == again.session
            next_status(client, "source_up")
            assert get(daemon, "/readyz")[0] == 200
        assert daemon.books.accounting.counts().n_missing == 0


@pytest.mark.fault
def test_a_hung_source_with_a_living_link_is_stalled_and_the_daemon_not_ready(
    context: Context,
) -> None:
    with (
        running_daemon(FakePipeline()) as daemon,
        listening_to(daemon) as client,
        sender_to(daemon, context) as sender,
    ):
        assert sender.heartbeat()
        next_status(client, "source_stalled")
        code, body = get(daemon, "/readyz")
        assert (code, json.loads(body)["reasons"]) == (503, ["source_stalled"])
        assert sender.heartbeat()
        next_status(client, "source_up")


def test_a_stop_answers_what_waits_then_says_the_balance_and_goodbye(context: Context) -> None:
    pipeline = FakePipeline()
    with (
        running_daemon(pipeline) as daemon,
        listening_to(daemon) as client,
        sender_to(daemon, context) as sender,
    ):
        send(sender, 3)
        assert wait_until(lambda: daemon.books.accounting.counts().received == 3)
        assert daemon.stop() == 0
        seen: list[object] = []
        while not (seen and isinstance(seen[-1], Heartbeat) and not seen[-1].ready):
            seen.append(client.receive_any(timeout_s=5))
    events = [message for message in seen if isinstance(message, DefectEvent)]
    detail = next(m.detail for m in seen if isinstance(m, Status) and m.code == "stopping")
    assert detail["processed"] == len(events) == len(pipeline.seen)
    assert detail["frames_received"] == 3
    assert (detail["in_flight"], detail["unaccounted"]) == (0, 0)


def test_attributes_come_back_where_the_pipeline_copies_them(context: Context) -> None:
    with (
        running_daemon(FakePipeline()) as daemon,
        listening_to(daemon) as client,
        sender_to(daemon, context) as sender,
    ):
        attrs = {"truth": {"v": 1, "pixel_yx": [[1.5, 2.0]]}}
        sender.send(PIXELS, t_complete_ns=T_NS, t_source="software", attrs=attrs)
        assert client.receive(timeout_s=5).attrs == attrs
