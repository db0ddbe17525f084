"""Every socket option, and which addresses may be used; knows no message."""

import errno
import ipaddress
import socket as plain
import stat
from pathlib import Path
from typing import Literal

import zmq

from latticewatch.adapters.errors import EndpointError, PortInUseError

MAX_FRAME_BYTES = 128 * 2**20
MAX_REQUEST_BYTES = 64 * 2**10
MAX_EVENT_BYTES = 2 * 2**20  # an event has at most 1 MiB

FRAME_HWM = 4  # messages per peer; over tcp about 12 frames are then in flight (measured)
EVENT_HWM = 1000
EVENT_LINGER_MS = 1000  # the last status of a daemon that stops within 5 s still leaves

# The kernel finds a link that is dead, in about 5 s; the heartbeats of the protocol find a program
# that hangs. No socket here uses the heartbeats of ZMTP: a peer that is behind answers them late,
# and libzmq 4.3.5 then cuts a link whose messages wait and, when the peer reads on, ends its whole
# process by an assertion (libzmq issues 3937 and 4767).
TCP_KEEPALIVE_IDLE_S = 2
TCP_KEEPALIVE_INTERVAL_S = 1
TCP_KEEPALIVE_COUNT = 3

Mode = Literal["live", "lossless"]


def make_frame_push(context: zmq.Context[zmq.Socket[bytes]], *, mode: Mode) -> zmq.Socket[bytes]:
    """PUSH of a source; nothing is connected yet.

    Parameters
    ----------
    context
        The caller owns it and ends it after closing the socket.
    mode
        "live" keeps no queue for a peer that is not there and forgets what is left at the end: an
        instrument never waits, and four stale frames help nobody. "lossless" keeps the queue; its
        owner waits until it is empty before closing, for that is more than libzmq's linger does.
    """
    socket = _make(context, zmq.PUSH)
    socket.sndhwm = FRAME_HWM
    socket.immediate = mode == "live"
    socket.linger = 0
    return socket


def make_frame_pull(
    context: zmq.Context[zmq.Socket[bytes]],
    *,
    hwm: int = FRAME_HWM,
    max_message_bytes: int = MAX_FRAME_BYTES,
) -> zmq.Socket[bytes]:
    """PULL of the daemon; nothing is bound yet.

    Parameters
    ----------
    context
        The caller owns it and ends it after closing the socket.
    hwm
        Messages queued per peer, at least 1. 0 would mean without limit and is refused.
    max_message_bytes
        A peer that announces a larger part is cut off before anything is allocated.
    """
    if hwm < 1 or max_message_bytes < 1:
        raise ValueError(f"hwm = {hwm}, max_message_bytes = {max_message_bytes}: both at least 1")
    socket = _make(context, zmq.PULL)
    socket.rcvhwm = hwm
    socket.maxmsgsize = max_message_bytes
    socket.linger = 0
    return socket


def make_event_xpub(
    context: zmq.Context[zmq.Socket[bytes]], *, hwm: int = EVENT_HWM
) -> zmq.Socket[bytes]:
    """XPUB of the daemon; nothing is bound yet.

    Each subscription and each end of one is told, also where another peer has the same: that
    is how subscribers are counted and how a new one gets its welcome.

    Parameters
    ----------
    context
        The caller owns it and ends it after closing the socket.
    hwm
        Messages queued per subscriber, at least 1; then this one subscriber loses.
    """
    if hwm < 1:
        raise ValueError(f"hwm = {hwm}: must be at least 1")
    socket = _make(context, zmq.XPUB)
    socket.sndhwm = hwm
    socket.maxmsgsize = MAX_REQUEST_BYTES
    # VERBOSER is VERBOSE for subscriptions, and the same for their end.
    socket.setsockopt(zmq.XPUB_VERBOSER, 1)
    socket.linger = EVENT_LINGER_MS
    return socket


def make_event_sub(
    context: zmq.Context[zmq.Socket[bytes]], *, topics: tuple[bytes, ...]
) -> zmq.Socket[bytes]:
    """SUB to events with the given topic prefixes; nothing is connected yet."""
    socket = _make(context, zmq.SUB)
    socket.rcvhwm = EVENT_HWM
    socket.maxmsgsize = MAX_EVENT_BYTES
    socket.linger = 0
    for topic in topics:
        socket.subscribe(topic)
    return socket


def bind(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind to a local address and return the real one, with the port that was chosen.

    Parameters
    ----------
    socket
        Made by a function of this module.
    endpoint
        `tcp://127.0.0.1:5610`, `tcp://127.0.0.1:*` for a free port, or `ipc:///folder/name` in a
        folder of mode 0700.

    Raises
    ------
    EndpointError
        The address is not of this computer, open to other users, or malformed.
    PortInUseError
        Another program is bound to it.
    """
    address = check_endpoint(endpoint)
    if address.startswith("ipc://"):
        _refuse_unsafe_path(endpoint)
    socket.ipv6 = "[" in address
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        if error.errno == errno.EADDRINUSE:
            raise _port_in_use(endpoint) from error
        raise EndpointError(f"{endpoint}: cannot bind: {error.strerror}") from error
    return str(socket.getsockopt_string(zmq.LAST_ENDPOINT))


def connect(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Connect to a local address; the peer may come later.

    Raises
    ------
    EndpointError
        The address is not of this computer, or malformed.
    """
    address = check_endpoint(endpoint)
    socket.ipv6 = "[" in address
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        raise EndpointError(f"{endpoint}: cannot connect: {error.strerror}") from error


def check_endpoint(endpoint: str) -> str:
    """Endpoint as ZeroMQ wants it, if it stays on this computer.

    Raises
    ------
    EndpointError
        Anything else: this version has no encryption and no keys, so it speaks to nobody outside.

    Examples
    --------
    >>> check_endpoint("tcp://localhost:5610")
    'tcp://127.0.0.1:5610'
    """
    scheme, _, rest = endpoint.partition("://")
    if scheme == "ipc" and rest.startswith("/"):
        return endpoint
    host, colon, port = rest.rpartition(":")
    if scheme != "tcp" or not colon:
        raise EndpointError(
            f"{endpoint}: expected tcp://127.0.0.1:PORT or ipc:///FOLDER/NAME with a full path"
        )
    if port != "*" and not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise EndpointError(f"{endpoint}: port {port!r}: must be 0..65535, or * for a free one")
    # Binding wants an address: libzmq does not look names up for it.
    host = "127.0.0.1" if host == "localhost" else host
    if not _is_loopback(host):
        raise EndpointError(
            f"{endpoint}: {host} may be reached from other computers, and this version has neither "
            "encryption nor keys (CURVE comes later): use 127.0.0.1"
        )
    return f"tcp://{host}:{port}"


def _make(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = TCP_KEEPALIVE_IDLE_S
    socket.tcp_keepalive_intvl = TCP_KEEPALIVE_INTERVAL_S
    socket.tcp_keepalive_cnt = TCP_KEEPALIVE_COUNT
    return socket


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _refuse_unsafe_path(endpoint: str) -> None:
    """Raise where others could open the socket, or where libzmq would replace what is in use."""
    path = Path(endpoint.removeprefix("ipc://"))
    if not path.parent.is_dir():
        raise EndpointError(f"{endpoint}: no folder {path.parent}: create it with mode 0700")
    mode = path.parent.stat().st_mode & 0o777
    if mode & 0o077:
        raise EndpointError(
            f"{endpoint}: folder {path.parent} has mode {mode:04o}, others can reach it: chmod 700"
        )
    # libzmq removes whatever is there before it binds: a file would be gone, and the daemon of a
    # live socket would lose its sources without a word.
    if (path.exists() or path.is_symlink()) and not stat.S_ISSOCK(path.lstat().st_mode):
        raise EndpointError(f"{endpoint}: {path} is no socket: move it away or choose another")
    with plain.socket(plain.AF_UNIX, plain.SOCK_STREAM) as probe:
        if path.exists() and probe.connect_ex(str(path)) == 0:
            raise _port_in_use(endpoint)


def _port_in_use(endpoint: str) -> PortInUseError:
    return PortInUseError(
        errno.EADDRINUSE, f"{endpoint}: another program is bound to it: stop it or choose another"
    )
