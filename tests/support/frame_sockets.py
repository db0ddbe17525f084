"""Both ends of a frames socket, and frames small and large."""

from contextlib import suppress

import numpy as np

from latticewatch.adapters import native, sockets
from latticewatch.adapters.errors import PortInUseError
from latticewatch.adapters.native import FrameReceiver, FrameSender
from latticewatch.wire.codec import decode_source_message
from latticewatch.wire.frames import FrameHeader, SourceEnd, SourceMessage
from support.waiting import wait_until
from support.zeromq import Context

PATIENCE_MS = 5000
NOW: native.FrameFields = {"t_complete_ns": 1_790_000_000_123_456_789, "t_source": "software"}
SMALL = np.arange(64 * 48, dtype="<u2").reshape(64, 48)
# Several of these fill the buffers of the kernel, which hold small frames by the hundred.
LARGE = np.zeros((1024, 1024), dtype="<u4")


def make_sender(
    context: Context, receiver: FrameReceiver, mode: sockets.Mode = "live"
) -> FrameSender:
    sender = FrameSender(context=context, endpoint=receiver.endpoint, source="haadf1", mode=mode)
    assert sender.wait_for_peer(5.0)
    return sender


def bind_again(context: Context, endpoint: str) -> FrameReceiver:
    """Bind to an address whose last socket was just closed: libzmq lets go of it a moment later."""
    made: list[FrameReceiver] = []

    def is_bound() -> bool:
        with suppress(PortInUseError):
            made.append(FrameReceiver(context=context, endpoint=endpoint))
        return bool(made)

    assert wait_until(is_bound)
    return made[0]


def take(receiver: FrameReceiver) -> SourceMessage:
    parts = receiver.receive(PATIENCE_MS)
    assert parts is not None
    return decode_source_message([part.buffer for part in parts])


def take_all(receiver: FrameReceiver) -> tuple[list[FrameHeader], SourceEnd]:
    headers = []
    while isinstance(message := take(receiver), FrameHeader):
        headers.append(message)
    assert isinstance(message, SourceEnd)
    return headers, message
