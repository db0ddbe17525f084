"""Both ends of the frame socket; counts what is sent, judges nothing that is received."""

import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NotRequired, Self, TypedDict, Unpack

import numpy as np
import zmq
from msgspec import UNSET
from numpy.typing import NDArray
from zmq.utils.monitor import recv_monitor_message

from latticewatch.adapters import sockets
from latticewatch.adapters.errors import SenderBlockedError
from latticewatch.wire.codec import (
    check_geometry,
    check_pixels,
    decode_source_message,
    encode,
    pack_attrs,
)
from latticewatch.wire.frames import (
    EndReason,
    FrameHeader,
    PartialContext,
    Polarity,
    Roi,
    SourceEnd,
    SourceHeartbeat,
    TimeSource,
)

# A frame has two parts. A third is enough to see that there are too many; the rest is let go.
MAX_PARTS_KEPT = 3

BLOCK_MS = 5000  # a recording waits this long for its daemon, then fails loudly
END_WAIT_MS = 1000  # nobody waits for the instrument any more, so the last word may take a moment


class FrameFields(TypedDict):
    """What a source says about a frame, with the keys, units and ranges of the header."""

    t_complete_ns: int
    t_source: TimeSource
    t_start_ns: NotRequired[int | None]
    t_error_ns: NotRequired[int | None]
    channel: NotRequired[str]
    scan_id: NotRequired[str]
    frame_index: NotRequired[int | None]
    calibrated: NotRequired[bool]
    context: NotRequired[PartialContext]
    roi: NotRequired[Roi]
    dwell_ns: NotRequired[float | None]
    line_ns: NotRequired[float | None]
    flyback_ns: NotRequired[float | None]
    polarity: NotRequired[Polarity]
    full_scale: NotRequired[float | None]
    drift_nm_yx: NotRequired[tuple[float, float] | None]


class FrameSender:
    """Numbers and sends the frames of one acquisition; one object is one session.

    One thread uses it. An instrument that delivers frames in a callback puts them on a queue of
    its own first.

    Parameters
    ----------
    context
        The caller owns it and ends it after closing the sender.
    endpoint
        Where the daemon listens; it may start later.
    source
        Name of the source, as the daemon was told.
    mode
        "live": `send` never waits; what does not fit is counted in `dropped`. "lossless": `send`
        waits up to 5 s, and then raises.
    utc_ns
        Clock of heartbeats and end.

    Attributes
    ----------
    session : str
        32 random hexadecimal digits.
    n_acquired : int
        Numbers given so far; the next frame has this one.
    dropped : int
        How many of them were not sent.
    """

    def __init__(
        self,
        *,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        source: str,
        mode: sockets.Mode = "live",
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.source = source
        self.session = uuid.uuid4().hex
        self.n_acquired = 0
        self.dropped = 0
        self._endpoint = endpoint
        self._is_live = mode == "live"
        self._utc_ns = utc_ns
        self._socket = sockets.make_frame_push(context, mode=mode)
        try:
            sockets.connect(self._socket, endpoint)
        except Exception:
            self._socket.close(linger=0)
            raise

    def wait_for_peer(self, timeout_s: float) -> bool:
        """Wait until a frame could leave; false when the time is up.

        A live sender thus sees whether a daemon is there. A lossless one has room for its first
        frames in any case.
        """
        return bool(self._socket.poll(round(timeout_s * 1000), zmq.POLLOUT))

    def send(
        self,
        pixels: NDArray[Any],
        *,
        attrs: Mapping[str, Any] | None = None,  # Any: the vendor's values
        **fields: Unpack[FrameFields],
    ) -> bool:
        """Give the next number to a frame and send it without copying the pixels.

        Parameters
        ----------
        pixels : (H, W)
            Of a wire type (`recorded.wire_pixels` converts). The array belongs to the socket from
            here on: it must not change, for it leaves later. Not contiguous means one copy.
        attrs
            Whatever else is known; no detector reads it.
        **fields
            The rest of the header.

        Returns
        -------
        bool
            False: dropped and counted, in live mode only.

        Raises
        ------
        ProtocolError
            The daemon would refuse this frame, and why. No number is used up.
        ValueError
            A field or an attr is NaN or infinite, or there are too many attrs; likewise.
        SenderBlockedError
            Lossless, and no room for 5 s. The frame is counted as dropped.
        """
        parts = [self._encode_header(pixels, attrs, fields), np.ascontiguousarray(pixels)]
        has_room = self._is_live or self._socket.poll(BLOCK_MS, zmq.POLLOUT)
        is_sent = bool(has_room) and self._try_send(parts)
        self.n_acquired += 1
        self.dropped += not is_sent
        if not is_sent and not self._is_live:
            raise SenderBlockedError(
                f"frame {self.n_acquired - 1} of {self.source}: no room at {self._endpoint} for "
                f"{BLOCK_MS / 1000:g} s: is the daemon running, in lossless mode?"
            )
        return is_sent

    def skip(self, n_frames: int = 1) -> None:
        """Count frames that the instrument acquired and nobody could send."""
        self.n_acquired += n_frames
        self.dropped += n_frames

    def heartbeat(self) -> bool:
        """Say that the source lives; due every 250 ms, also while no frame flows.

        Returns
        -------
        bool
            False: no room, or no peer. The queued frames then say the same, or nobody asks.
        """
        message = SourceHeartbeat(
            source=self.source,
            session=self.session,
            last_seq=self.n_acquired - 1,
            dropped=self.dropped,
            t_ns=self._utc_ns(),
        )
        return self._try_send([encode(message)])

    def end(self, reason: EndReason) -> bool:
        """Say that the acquisition is over and how many frames it had; the last message.

        Waits up to a second for room, in live mode too, and lets `close` wait as long for what is
        still queued: the total is what turns lost frames at the end into counted ones.

        Returns
        -------
        bool
            False: nobody is there to hear it.
        """
        message = SourceEnd(
            source=self.source,
            session=self.session,
            total=self.n_acquired,
            dropped=self.dropped,
            t_ns=self._utc_ns(),
            reason=reason,
        )
        has_room = self._socket.poll(END_WAIT_MS, zmq.POLLOUT)
        self._socket.linger = max(self._socket.linger, END_WAIT_MS)
        return bool(has_room) and self._try_send([encode(message)])

    def close(self) -> None:
        """Disconnect; what is queued still leaves, in live mode only after `end`."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _encode_header(
        self, pixels: NDArray[Any], attrs: Mapping[str, Any] | None, fields: FrameFields
    ) -> bytes:
        header = FrameHeader(
            source=self.source,
            session=self.session,
            seq=self.n_acquired,
            shape_yx=pixels.shape,
            dtype=pixels.dtype.str.lstrip("|"),
            dropped=self.dropped,
            attrs=UNSET if attrs is None else pack_attrs(attrs),
            **fields,
        )
        encoded = encode(header)
        # A mistake is found here, by its author, and not as a counter of the daemon's.
        decode_source_message([encoded, b""])
        check_pixels(header, pixels.nbytes)
        check_geometry(header)
        return encoded

    def _try_send(self, parts: list[Any]) -> bool:
        try:
            self._socket.send_multipart(parts, flags=zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return False
        return True


class FrameReceiver:
    """Bound PULL that takes frames as they come, unread. One thread uses it after it was made.

    Parameters
    ----------
    context
        The caller owns it and ends it after closing the receiver.
    endpoint
        Local address; `tcp://127.0.0.1:*` takes a free port.
    hwm
        Messages queued per peer before the sender feels it.
    max_message_bytes
        A peer that announces a larger part is cut off.

    Attributes
    ----------
    endpoint : str
        The real address, for senders.

    Raises
    ------
    EndpointError, PortInUseError
        As `sockets.bind` says.
    """

    def __init__(
        self,
        *,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        hwm: int = sockets.FRAME_HWM,
        max_message_bytes: int = sockets.MAX_FRAME_BYTES,
    ) -> None:
        self._socket = sockets.make_frame_pull(
            context, hwm=hwm, max_message_bytes=max_message_bytes
        )
        self._connections: set[int] = set()
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        try:
            self.endpoint = sockets.bind(self._socket, endpoint)
        except Exception:
            self.close()
            raise

    def receive(self, timeout_ms: int) -> list[zmq.Frame] | None:
        """Take the next whole message, or None after the time without one.

        Returns
        -------
        list of zmq.Frame
            One to three parts, not copied; of more than three the first three. `part.buffer` is a
            memoryview, maybe at an odd address; it lives as long as the part or an array on it.
        """
        if not self._socket.poll(timeout_ms):
            return None
        parts = [self._socket.recv(copy=False)]
        while self._socket.rcvmore:
            part = self._socket.recv(copy=False)
            if len(parts) < MAX_PARTS_KEPT:
                parts.append(part)
        return parts

    @property
    def n_connections(self) -> int:
        """Open connections, those that never spoke included; 0 means no source is there."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor, flags=zmq.DONTWAIT)
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._connections.add(event["value"])
            else:
                self._connections.discard(event["value"])
        return len(self._connections)

    def close(self) -> None:
        """Give up the address, a moment later; what was not taken is lost. Twice does no harm."""
        if self._socket.closed:
            return
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
