"""Frames between two processes: the sender, which numbers them; the receiver stands beside it."""

import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NotRequired, Self, TypedDict, Unpack

import numpy as np
import zmq
from msgspec import UNSET
from numpy.typing import NDArray

from latticewatch.adapters import sockets
from latticewatch.adapters.errors import SenderBlockedError
from latticewatch.adapters.link import Link
from latticewatch.adapters.receiver import FrameReceiver
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

__all__ = ["FrameFields", "FrameReceiver", "FrameSender"]

BLOCK_MS = 5000  # a recording waits this long for its daemon, then fails loudly
END_WAIT_MS = 1000  # nobody waits for the instrument any more, so the last word may take a moment
# What is in flight is 12 frames of 512 x 512 (measured): at 0.2 s a frame they are read by then.
LIVE_DRAIN_MS = 3000
LOSSLESS_DRAIN_MS = 60_000  # the same 12 frames at 5 s each, which is all that `send` waits for one


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
        # Grows with the promise: a live sender that never said the end forgets what is queued.
        self._drain_ms = 0 if self._is_live else LOSSLESS_DRAIN_MS
        self._socket = sockets.make_frame_push(context, mode=mode)
        self._link = Link(self._socket)
        try:
            sockets.connect(self._socket, endpoint)
        except Exception:
            self._link.close()
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
        is_sent = bool(has_room) and self._link.send_frame(parts)
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
        self._link.look()
        return self._link.send_word(encode(message))

    def end(self, reason: EndReason) -> bool:
        """Say that the acquisition is over and how many frames it had; the last message.

        Waits for room, up to a second in live mode, and lets `drain` wait for what is queued, in
        live mode too: the total is what turns lost frames at the end into counted ones.

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
        has_room = self._socket.poll(END_WAIT_MS if self._is_live else BLOCK_MS, zmq.POLLOUT)
        self._drain_ms = max(self._drain_ms, LIVE_DRAIN_MS)
        return bool(has_room) and self._link.send_word(encode(message))

    def drain(self) -> int:
        """Wait until everything has left; the wait ends early when 5 s bring nothing further.

        Lossless: up to a minute. Live: up to 3 s after `end`, not at all before it.

        Returns
        -------
        int
            Frames that are still here; `close` throws them away.
        """
        return self._link.drain(timeout_ms=self._drain_ms, idle_ms=BLOCK_MS)

    def close(self) -> None:
        """Drain and disconnect. Twice does no harm."""
        if not self._link.is_closed:
            self.drain()
            self._link.close()

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
