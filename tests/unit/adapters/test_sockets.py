"""Addresses that are used and refused, and the options that decide who loses a message."""

import socket as plain
from collections.abc import Iterator
from pathlib import Path

import pytest

from latticewatch.adapters import sockets
from latticewatch.adapters.errors import EndpointError, PortInUseError
from support.zeromq import Context, open_context


@pytest.fixture
def context() -> Iterator[Context]:
    with open_context() as made:
        yield made


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("tcp://127.0.0.1:5610", "tcp://127.0.0.1:5610"),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        ("tcp://127.3.2.1:0", "tcp://127.3.2.1:0"),
        ("tcp://localhost:5610", "tcp://127.0.0.1:5610"),
        ("tcp://[::1]:5610", "tcp://[::1]:5610"),
        ("ipc:///run/latticewatch/frames", "ipc:///run/latticewatch/frames"),
    ],
)
def test_addresses_of_this_computer_are_accepted(endpoint: str, address: str) -> None:
    assert sockets.check_endpoint(endpoint) == address


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:5610",
        "tcp://*:5610",
        "tcp://eth0:5610",
        "tcp://[::]:5610",
        "tcp://192.168.1.7:5610",
        "tcp://127.0.0.1.example.org:5610",
    ],
)
def test_addresses_that_others_reach_are_refused(endpoint: str) -> None:
    with pytest.raises(EndpointError, match=r"other computers.*127\.0\.0\.1"):
        sockets.check_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "5610",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:five",
        "udp://127.0.0.1:5610",
        "ipc://",
        "ipc://relative",
        "ipc://@abstract",  # no folder guards it: every user of the computer can connect
    ],
)
def test_malformed_addresses_are_refused_with_their_text(endpoint: str) -> None:
    with pytest.raises(EndpointError) as refused:
        sockets.check_endpoint(endpoint)
    assert str(refused.value).startswith(endpoint)
    assert "\n" not in str(refused.value)


def test_a_free_port_is_told(context: Context) -> None:
    endpoint = sockets.bind(sockets.make_frame_pull(context), "tcp://127.0.0.1:*")
    assert sockets.check_endpoint(endpoint) == endpoint
    assert int(endpoint.rpartition(":")[2]) > 0


def test_a_port_in_use_is_named(context: Context) -> None:
    endpoint = sockets.bind(sockets.make_frame_pull(context), "tcp://127.0.0.1:*")
    with pytest.raises(PortInUseError, match=endpoint):
        sockets.bind(sockets.make_event_xpub(context), endpoint)


def test_an_ipc_address_wants_a_folder_of_its_own(context: Context, tmp_path: Path) -> None:
    pull = sockets.make_frame_pull(context)
    tmp_path.chmod(0o755)
    with pytest.raises(EndpointError, match=r"0755.*chmod 700"):
        sockets.bind(pull, f"ipc://{tmp_path}/frames")
    with pytest.raises(EndpointError, match="no folder"):
        sockets.bind(pull, f"ipc://{tmp_path}/absent/frames")
    tmp_path.chmod(0o700)
    assert sockets.bind(pull, f"ipc://{tmp_path}/frames") == f"ipc://{tmp_path}/frames"


def test_a_live_ipc_socket_is_not_replaced(context: Context, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    endpoint = sockets.bind(sockets.make_frame_pull(context), f"ipc://{tmp_path}/frames")
    with pytest.raises(PortInUseError):
        sockets.bind(sockets.make_frame_pull(context), endpoint)


def test_a_dead_ipc_socket_is_replaced(context: Context, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with plain.socket(plain.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "frames"))
    assert sockets.bind(sockets.make_frame_pull(context), f"ipc://{tmp_path}/frames")


def test_a_file_in_the_place_of_an_ipc_socket_is_left_alone(
    context: Context, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    notes = tmp_path / "frames"
    notes.write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(notes)
    for path in (notes, link):
        with pytest.raises(EndpointError, match=r"is no socket.*choose another") as refused:
            sockets.bind(sockets.make_frame_pull(context), f"ipc://{path}")
        assert "\n" not in str(refused.value)
    assert link.read_text() == "kept"


def test_a_live_source_never_waits_and_keeps_nothing_for_nobody(
    context: Context,
) -> None:
    push = sockets.make_frame_push(context, mode="live")
    assert (push.sndhwm, push.immediate, push.linger) == (4, 1, 0)


def test_a_recording_keeps_its_queue_for_a_daemon_that_comes_later(context: Context) -> None:
    push = sockets.make_frame_push(context, mode="lossless")
    assert (push.sndhwm, push.immediate) == (4, 0)


def test_sizes_that_a_peer_announces_are_limited(context: Context) -> None:
    assert sockets.make_frame_pull(context).maxmsgsize == 128 * 2**20
    assert sockets.make_event_xpub(context).maxmsgsize == 64 * 2**10


def test_no_socket_takes_a_peer_that_is_behind_for_dead(context: Context) -> None:
    for socket in (
        sockets.make_frame_push(context, mode="live"),
        sockets.make_frame_push(context, mode="lossless"),
        sockets.make_frame_pull(context),
        sockets.make_event_xpub(context),
        sockets.make_event_sub(context, topics=()),
    ):
        assert socket.heartbeat_ivl == 0
        assert socket.tcp_keepalive == 1


@pytest.mark.parametrize("hwm", [0, -1])
def test_a_queue_without_limit_is_refused(context: Context, hwm: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        sockets.make_frame_pull(context, hwm=hwm)
    with pytest.raises(ValueError, match="at least 1"):
        sockets.make_event_xpub(context, hwm=hwm)
