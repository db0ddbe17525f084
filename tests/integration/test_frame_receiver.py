"""FrameReceiver over real sockets: what was sent arrives as it was, whoever else is connected."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from latticewatch.adapters import native, sockets
from latticewatch.adapters.errors import EndpointError, PortInUseError
from latticewatch.adapters.native import FrameReceiver, FrameSender
from latticewatch.wire.codec import decode_source_message, pixel_array
from latticewatch.wire.frames import FrameHeader, SourceEnd
from support.frame_sockets import (
    NOW,
    PATIENCE_MS,
    SMALL,
    make_sender,
    take,
)
from support.waiting import wait_until
from support.zeromq import Context, open_context


@pytest.fixture
def context() -> Iterator[Context]:
    with open_context() as made:
        yield made


@pytest.fixture
def receiver(context: Context) -> Iterator[FrameReceiver]:
    with FrameReceiver(context=context, endpoint="tcp://127.0.0.1:*") as made:
        yield made


@pytest.mark.parametrize(
    "pixels",
    [
        SMALL,
        SMALL.astype("u1"),
        SMALL.astype(">u2"),
        SMALL.astype("<u4"),
        SMALL.astype("<f4"),
        SMALL[::2, ::-1],
        SMALL.T,
        np.asfortranarray(SMALL),
        np.frombuffer(b"x" + SMALL.tobytes(), dtype="<u2", offset=1).reshape(64, 48),
    ],
    ids=["u2", "u1", "big-endian", "u4", "f4", "strided", "turned", "columns first", "unaligned"],
)
def test_pixels_arrive_as_they_were(
    context: Context, receiver: FrameReceiver, pixels: NDArray[Any]
) -> None:
    with make_sender(context, receiver) as sender:
        assert sender.send(pixels, **NOW)
        parts = receiver.receive(PATIENCE_MS)
    assert parts is not None
    header = decode_source_message([part.buffer for part in parts])
    assert isinstance(header, FrameHeader)
    np.testing.assert_array_equal(pixel_array(header, parts[1].buffer), pixels, strict=True)


def test_read_only_pixels_are_sent(context: Context, receiver: FrameReceiver) -> None:
    pixels = SMALL.copy()
    pixels.flags.writeable = False
    with make_sender(context, receiver) as sender:
        assert sender.send(pixels, **NOW)
        assert isinstance(take(receiver), FrameHeader)


def test_silence_is_none(receiver: FrameReceiver) -> None:
    assert receiver.receive(0) is None


@pytest.mark.parametrize("n_parts", [1, 2, 3, 4, 1000])
def test_of_many_parts_three_are_kept_and_the_next_message_is_whole(
    context: Context, receiver: FrameReceiver, n_parts: int
) -> None:
    push = sockets.make_frame_push(context, mode="lossless")
    sockets.connect(push, receiver.endpoint)
    push.send_multipart([b"%d" % part for part in range(n_parts)])
    push.send_multipart([b"good"])
    first, second = receiver.receive(PATIENCE_MS), receiver.receive(PATIENCE_MS)
    assert first is not None
    assert second is not None
    assert [part.bytes for part in first] == [b"%d" % part for part in range(min(n_parts, 3))]
    assert [part.bytes for part in second] == [b"good"]


def test_a_part_above_the_limit_costs_its_sender_the_connection(context: Context) -> None:
    with FrameReceiver(
        context=context, endpoint="tcp://127.0.0.1:*", max_message_bytes=10_000
    ) as receiver:
        hostile = sockets.make_frame_push(context, mode="live")
        hostile.reconnect_ivl = -1
        sockets.connect(hostile, receiver.endpoint)
        assert hostile.poll(PATIENCE_MS, zmq.POLLOUT)
        assert wait_until(lambda: receiver.n_connections == 1)
        hostile.send(bytes(10_001))
        assert wait_until(lambda: receiver.n_connections == 0)
        assert receiver.receive(0) is None
        with make_sender(context, receiver) as sender:
            sender.send(SMALL, **NOW)
            assert isinstance(take(receiver), FrameHeader)


def test_connections_are_counted(context: Context, receiver: FrameReceiver) -> None:
    assert receiver.n_connections == 0
    first, second = make_sender(context, receiver), make_sender(context, receiver)
    assert wait_until(lambda: receiver.n_connections == 2)
    first.close()
    assert wait_until(lambda: receiver.n_connections == 1)
    second.close()
    assert wait_until(lambda: receiver.n_connections == 0)


def test_closing_twice_does_no_harm(receiver: FrameReceiver) -> None:
    receiver.close()
    receiver.close()


def test_two_receivers_cannot_share_an_address(context: Context, receiver: FrameReceiver) -> None:
    with pytest.raises(PortInUseError, match=receiver.endpoint):
        FrameReceiver(context=context, endpoint=receiver.endpoint)


def test_an_address_that_others_reach_is_refused_at_both_ends(context: Context) -> None:
    with pytest.raises(EndpointError):
        FrameReceiver(context=context, endpoint="tcp://0.0.0.0:*")
    with pytest.raises(EndpointError):
        FrameSender(context=context, endpoint="tcp://192.168.1.7:5610", source="haadf1")


def test_the_source_in_the_readme_is_understood(receiver: FrameReceiver) -> None:
    readme = Path(native.__file__).parents[2] / "README.md"
    program = readme.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    exec(program.replace("tcp://127.0.0.1:5610", receiver.endpoint), {})
    messages = [take(receiver)]
    while not isinstance(messages[-1], SourceEnd):
        messages.append(take(receiver))
    n_frames = sum(isinstance(message, FrameHeader) for message in messages)
    end = messages[-1]
    assert n_frames + end.dropped == end.total == 3
