"""FrameSender over real sockets: every number is sent, dropped or missing."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import pytest
from numpy.typing import NDArray

from latticewatch.adapters import native
from latticewatch.adapters.errors import SenderBlockedError
from latticewatch.adapters.native import FrameReceiver, FrameSender
from latticewatch.wire.errors import ProtocolError
from latticewatch.wire.frames import Context as ScanField
from latticewatch.wire.frames import FrameHeader, SourceEnd, SourceHeartbeat
from support.frame_sockets import (
    LARGE,
    NOW,
    SMALL,
    bind_again,
    make_sender,
    take,
    take_all,
)
from support.waiting import wait_until
from support.zeromq import Context, open_context

# A process that ends right after its last word, as `latticewatch simulate` does.
SEND_AND_LEAVE = """
import numpy, zmq
from latticewatch.adapters.native import FrameSender
pixels = numpy.zeros((512, 512), "<u2")
with zmq.Context() as context, FrameSender(
    context=context, endpoint="{endpoint}", source="haadf1", mode="{mode}"
) as sender:
    {wait}
    for _ in range({n_frames}):
        sender.send(pixels, t_complete_ns=1, t_source="software")
    sender.end("stopped")
"""


@pytest.fixture
def context() -> Iterator[Context]:
    with open_context() as made:
        yield made


@pytest.fixture
def receiver(context: Context) -> Iterator[FrameReceiver]:
    with FrameReceiver(context=context, endpoint="tcp://127.0.0.1:*") as made:
        yield made


def test_what_the_source_says_arrives(context: Context, receiver: FrameReceiver) -> None:
    field = ScanField(size_yx=(64, 48), fov_nm_yx=(8.0, 6.0), center_nm_yx=(1.5, -2.0))
    with make_sender(context, receiver) as sender:
        said: native.FrameFields = {**NOW, "calibrated": True, "context": field, "dwell_ns": 500.0}
        sender.send(SMALL, attrs={"truth": [1, 2]}, **said)
        header = take(receiver)
    assert isinstance(header, FrameHeader)
    assert (header.source, header.session, header.seq) == ("haadf1", sender.session, 0)
    assert (header.full_context, header.dwell_ns) == (field, 500.0)
    assert bytes(header.attrs or b"") == b"\x81\xa5truth\x92\x01\x02"


def test_each_sender_is_a_session_of_its_own(context: Context, receiver: FrameReceiver) -> None:
    with make_sender(context, receiver) as first, make_sender(context, receiver) as second:
        assert first.session != second.session


def test_heartbeats_say_how_far_the_count_is(context: Context, receiver: FrameReceiver) -> None:
    with make_sender(context, receiver) as sender:
        assert sender.heartbeat()
        sender.skip(3)
        sender.send(SMALL, **NOW)
        assert sender.heartbeat()
        messages = [take(receiver) for _ in range(3)]
    assert isinstance(messages[1], FrameHeader)
    assert (messages[1].seq, messages[1].dropped) == (3, 3)
    beats = [message for message in messages if isinstance(message, SourceHeartbeat)]
    assert [(beat.last_seq, beat.dropped) for beat in beats] == [(-1, 0), (3, 3)]
    assert min(beat.t_ns for beat in beats) > 10**18


def test_a_live_sender_without_a_daemon_counts_and_goes_on(
    context: Context, tmp_path: Path
) -> None:
    # Not a port: who dials a free one of the kernel's again and again may in the end reach itself.
    endpoint = f"ipc://{tmp_path}/frames"
    with FrameSender(context=context, endpoint=endpoint, source="haadf1") as sender:
        assert [sender.send(SMALL, **NOW) for _ in range(3)] == [False] * 3
        assert not sender.heartbeat()
        with bind_again(context, endpoint) as receiver:
            assert sender.wait_for_peer(5.0)
            assert sender.send(SMALL, **NOW)
            header = take(receiver)
    assert isinstance(header, FrameHeader)
    assert (header.seq, header.dropped) == (3, 3)


def test_a_live_sender_drops_and_counts_while_the_daemon_stalls(
    context: Context, receiver: FrameReceiver
) -> None:
    with make_sender(context, receiver) as sender:
        sent = [sender.send(LARGE, **NOW) for _ in range(200)]
        assert not all(sent)
        assert sender.dropped == sent.count(False)
        headers = [take(receiver) for _ in range(sent.count(True))]
        assert sender.end("stopped")
        end = take(receiver)
    assert isinstance(end, SourceEnd)
    assert (end.total, end.dropped, end.reason) == (200, 200 - len(headers), "stopped")
    for header in headers:
        assert isinstance(header, FrameHeader)
        assert header.dropped == sent[: header.seq].count(False)


def test_the_count_survives_a_restart_of_the_daemon(context: Context, tmp_path: Path) -> None:
    with FrameReceiver(context=context, endpoint=f"ipc://{tmp_path}/frames") as before:
        endpoint, sender = before.endpoint, make_sender(context, before)
        sender.send(SMALL, **NOW)
        assert isinstance(take(before), FrameHeader)
    # What goes into the link until it is found dead is missing, what comes after is dropped.
    assert wait_until(lambda: not sender.send(SMALL, **NOW))
    with sender, bind_again(context, endpoint) as after:
        assert sender.wait_for_peer(5.0)
        sender.send(SMALL, **NOW)
        header = take(after)
    assert isinstance(header, FrameHeader)
    assert header.seq == sender.n_acquired - 1
    assert header.dropped == sender.dropped >= 1


def test_a_lossless_sender_waits_for_a_slow_daemon(
    context: Context, receiver: FrameReceiver
) -> None:
    def send_all() -> None:
        with FrameSender(
            context=context, endpoint=receiver.endpoint, source="haadf1", mode="lossless"
        ) as sender:
            for _ in range(100):
                sender.send(LARGE, **NOW)
            sender.end("stopped")

    thread = Thread(target=send_all)
    thread.start()
    headers, end = take_all(receiver)
    thread.join()
    assert [header.seq for header in headers] == list(range(100))
    assert (end.total, end.dropped) == (100, 0)


@pytest.mark.parametrize("pause_s", [0.03, 0.9])
@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_what_a_slow_daemon_had_not_read_when_the_sender_ended_still_arrives(
    context: Context, tmp_path: Path, kind: str, pause_s: float
) -> None:
    """A link that is closed, or taken for dead, while frames wait in it loses them."""
    tmp_path.chmod(0o700)
    endpoint = "tcp://127.0.0.1:*" if kind == "tcp" else f"ipc://{tmp_path}/frames"
    n_frames = 40 if pause_s < 0.1 else 14
    with FrameReceiver(context=context, endpoint=endpoint) as slow:
        code = SEND_AND_LEAVE.format(
            endpoint=slow.endpoint, n_frames=n_frames, mode="lossless", wait=""
        )
        with subprocess.Popen([sys.executable, "-c", code]):
            headers, is_pausing = [], Event()
            while isinstance(message := take(slow), FrameHeader):
                headers.append(message.seq)
                # The slow part of a slow daemon; the longer one just at the start.
                is_pausing.wait(pause_s if len(headers) < 3 or pause_s < 0.1 else 0.0)
    assert headers == list(range(n_frames))
    assert isinstance(message, SourceEnd)
    assert (message.total, message.dropped) == (n_frames, 0)


def test_a_live_sender_that_leaves_still_says_its_total_to_a_slow_daemon(
    context: Context,
) -> None:
    with FrameReceiver(context=context, endpoint="tcp://127.0.0.1:*") as slow:
        code = SEND_AND_LEAVE.format(
            endpoint=slow.endpoint, n_frames=100, mode="live", wait="sender.wait_for_peer(5)"
        )
        with subprocess.Popen([sys.executable, "-c", code]):
            headers, is_pausing = [], Event()
            while isinstance(message := take(slow), FrameHeader):
                headers.append(message.seq)
                is_pausing.wait(0.05)
    assert isinstance(message, SourceEnd)
    assert message.total == 100
    assert len(headers) + message.dropped == 100


def test_what_did_not_leave_in_time_is_counted(
    context: Context, receiver: FrameReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "BLOCK_MS", 20)
    with make_sender(context, receiver, mode="lossless") as sender:
        with suppress(SenderBlockedError):
            for _ in range(200):
                sender.send(LARGE, **NOW)
        n_left = sender.drain()
        sent = sender.n_acquired - sender.dropped
    # Nobody reads: what fits into the buffers of the kernel has left, the queue has not.
    assert 0 < n_left < sent


def test_nothing_is_left_once_everything_was_read(
    context: Context, receiver: FrameReceiver
) -> None:
    with make_sender(context, receiver, mode="lossless") as sender:
        for _ in range(3):
            sender.send(SMALL, **NOW)
        sender.end("stopped")
        take_all(receiver)
        assert sender.drain() == 0


def test_a_lossless_sender_fails_loudly_when_nobody_reads(
    context: Context, receiver: FrameReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "BLOCK_MS", 20)
    sender = make_sender(context, receiver, mode="lossless")

    def send_until_blocked() -> None:
        for _ in range(200):
            sender.send(LARGE, **NOW)

    with sender, pytest.raises(SenderBlockedError, match=r"frame \d+ of haadf1: .*0\.02 s"):
        send_until_blocked()
    assert sender.dropped == 1


def test_the_end_arrives_though_the_sender_closes_at_once(
    context: Context, receiver: FrameReceiver
) -> None:
    with make_sender(context, receiver) as sender:
        for _ in range(4):
            sender.send(LARGE, **NOW)
        sender.end("aborted")
    headers, end = take_all(receiver)
    assert len(headers) + end.dropped == end.total == 4
    assert end.reason == "aborted"


def test_nobody_hears_the_end_of_a_source_without_daemon(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "END_WAIT_MS", 20)
    with FrameSender(context=context, endpoint="tcp://127.0.0.1:1", source="haadf1") as sender:
        assert not sender.end("error")


@pytest.mark.parametrize(
    ("pixels", "fields", "reason"),
    [
        (SMALL.astype("<i2"), {}, "dtype"),
        (SMALL.astype(">u4"), {}, "dtype"),
        (SMALL[:8], {}, "shape"),
        (SMALL[0], {}, "header"),
        (SMALL, {"calibrated": True}, "geometry"),
        (SMALL, {"channel": "x" * 33}, "header"),
        (SMALL, {"attrs": {"x": "y" * 20_000}}, "header_size"),
    ],
)
def test_a_frame_that_would_be_refused_is_refused_at_home(
    context: Context,
    receiver: FrameReceiver,
    pixels: NDArray[Any],
    fields: dict[str, Any],
    reason: str,
) -> None:
    with make_sender(context, receiver) as sender:
        with pytest.raises(ProtocolError) as refused:
            sender.send(pixels, **{**cast("dict[str, Any]", NOW), **fields})
        assert refused.value.reason == reason
        assert (sender.n_acquired, sender.dropped) == (0, 0)


def test_a_field_that_is_not_finite_is_refused_at_home(
    context: Context, receiver: FrameReceiver
) -> None:
    with make_sender(context, receiver) as sender:
        with pytest.raises(ValueError, match="full_scale = nan"):
            sender.send(SMALL, full_scale=float("nan"), **cast("dict[str, Any]", NOW))
        with pytest.raises(ValueError, match="inf"):
            sender.send(SMALL, attrs={"dose": float("inf")}, **NOW)
        assert sender.n_acquired == 0
