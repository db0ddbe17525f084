"""The hostile corpus through a real socket: after each message the next good frame is answered."""

import io
from collections import Counter

import msgspec
import pytest

from latticewatch.adapters import sockets
from latticewatch.client.messages import Status
from latticewatch.wire.codec import encode
from latticewatch.wire.frames import MAX_INT64
from support.daemons import listening_to, running_daemon
from support.headers import boundless_sessions
from support.hostile import good_message, hostile_messages
from support.pipelines import FakePipeline
from support.waiting import wait_until
from support.zeromq import open_context

pytestmark = pytest.mark.fault


def test_after_every_hostile_message_the_next_good_frame_is_answered() -> None:
    log = io.StringIO()
    expected: Counter[str] = Counter()
    with (
        open_context() as context,
        running_daemon(FakePipeline(), log=log) as daemon,
        listening_to(daemon) as client,
    ):
        push = sockets.make_frame_push(context, mode="lossless")
        push.linger = 0
        sockets.connect(push, daemon.receiver.endpoint)
        seq = 0
        for message in list(hostile_messages()):
            if message.counted:
                # Renumbered, so that good frames can come in between.
                header = msgspec.msgpack.decode(message.parts[0]) | {"seq": seq}
                parts = (msgspec.msgpack.encode(header), *message.parts[1:])
                is_partial = header.get("complete") is False
                expected["incomplete" if is_partial else message.reason] += 1
                seq += 1
            else:
                parts = message.parts
                expected[message.reason] += 1
            push.send_multipart(parts)
            push.send_multipart(good_message(seq=seq))
            event = client.receive(timeout_s=5)
            assert event.frame.seq == seq, message.name
            seq += 1
        assert wait_until(lambda: daemon.books.accounting.counts().in_flight == 0)
        counts = daemon.books.accounting.counts()
        value = daemon.books.metrics.registry.get_sample_value
        refused: Counter[str] = Counter({str(why): n for why, n in counts.dropped.items() if n})
        for reason in ("parts", "header_size", "header", "version", "source"):
            n = value("latticewatch_messages_unreadable_total", {"reason": reason})
            refused[reason] += int(n or 0)
    assert refused == expected
    assert counts.n_missing == 0
    assert counts.unaccounted == 0
    assert counts.numbers == seq
    # 250 refusals, and a handful of lines: one per reason and second.
    assert len(log.getvalue().splitlines()) < 60


def test_a_header_bomb_costs_no_memory_and_no_time() -> None:
    with (
        open_context() as context,
        running_daemon(FakePipeline()) as daemon,
        listening_to(daemon) as client,
    ):
        push = sockets.make_frame_push(context, mode="lossless")
        push.linger = 0
        sockets.connect(push, daemon.receiver.endpoint)
        for _ in range(50):
            push.send_multipart([b"\xdf\xff\xff\xff\xff" + b"\x91" * 10_000, b""])
        push.send_multipart(good_message(seq=0))
        assert client.receive(timeout_s=5).frame.seq == 0


def test_sessions_of_more_frames_than_an_integer_holds_stop_nothing() -> None:
    with (
        open_context() as context,
        running_daemon(FakePipeline()) as daemon,
        listening_to(daemon) as client,
    ):
        push = sockets.make_frame_push(context, mode="lossless")
        push.linger = 0
        sockets.connect(push, daemon.receiver.endpoint)
        for heartbeat in boundless_sessions():
            push.send(encode(heartbeat))
        push.send_multipart(good_message(seq=0))
        assert client.receive(timeout_s=5).missing_since_last == MAX_INT64
        assert daemon.stop() == 0
        messages = iter(lambda: client.receive_any(timeout_s=5), None)
        statuses = (message for message in messages if isinstance(message, Status))
        detail = next(status.detail for status in statuses if status.code == "stopping")
    assert detail["missing"]["before_join"] == MAX_INT64
    assert (detail["processed"], detail["unaccounted"]) == (1, 0)
