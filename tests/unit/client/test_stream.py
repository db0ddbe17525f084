"""The client against a real publisher on loopback."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from latticewatch.client import (
    ClientClosed,
    DaemonLost,
    DefectClient,
    DefectEvent,
    Heartbeat,
    ReceiveTimeout,
    Status,
)
from latticewatch.client.inbox import Gap
from support.publishing import (
    SOURCE,
    STREAM,
    STREAM_2,
    Publisher,
    Repeater,
    event,
    heartbeat,
    publisher,
    status,
    welcome,
)

# Generous: these tests run beside others on two cores.
PATIENT_S = 10.0


def test_events_come_in_order_with_their_gaps() -> None:
    with (
        publisher() as daemon,
        DefectClient(SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S) as client,
    ):
        daemon.wait_for(4)
        daemon.send(welcome(4), event(5), status(0), event(6), heartbeat(9), event(10))
        got = [client.receive() for _ in range(3)]
    assert [message.seq for message in got] == [5, 6, 10]
    assert [message.missed_before for message in got] == [0, 0, 3]
    assert client.gaps == (Gap("ev", STREAM, 7, 9),)
    assert got[0].t_received_ns > got[0].t_pub_ns // 2


def test_client_is_an_iterator_of_events() -> None:
    with (
        publisher() as daemon,
        DefectClient(SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S) as client,
    ):
        daemon.wait_for(4)
        daemon.send(event(0), status(0), heartbeat(0), event(1))
        got = [message.seq for _, message in zip(range(2), client, strict=False)]
    assert got == [0, 1]


def test_any_message_can_be_asked_for() -> None:
    with (
        publisher() as daemon,
        DefectClient(SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S) as client,
    ):
        daemon.wait_for(4)
        daemon.send(welcome(-1), status(0), event(0), heartbeat(0))
        kinds = [type(client.receive_any()) for _ in range(4)]
    assert kinds == [Heartbeat, Status, DefectEvent, Heartbeat]


def test_only_the_topics_asked_for_are_subscribed() -> None:
    with (
        publisher() as daemon,
        DefectClient(
            SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S, topics=["ev"]
        ) as client,
    ):
        daemon.wait_for(3)
        daemon.send(status(0), heartbeat(-1, last_st_seq=0), event(0))
        kinds = [type(client.receive_any()) for _ in range(2)]
    assert kinds == [Heartbeat, DefectEvent]
    assert client.gaps == ()


def test_events_of_another_source_are_not_received() -> None:
    with (
        publisher() as daemon,
        DefectClient("haadf", events=daemon.endpoint, lost_after_s=PATIENT_S) as client,
    ):
        daemon.wait_for(4)
        topic, body = event(3)
        daemon.send([topic, body], [b"ev/haadf/", body])
        client.receive()
    assert client.inbox.n_old == 0


def test_timeout_with_a_living_daemon_blames_nobody() -> None:
    with (
        publisher() as daemon,
        DefectClient(
            SOURCE, events=daemon.endpoint, timeout_s=0.2, lost_after_s=PATIENT_S
        ) as client,
    ):
        daemon.wait_for(4)
        with Repeater(daemon, heartbeat(7)):
            with pytest.raises(ReceiveTimeout, match=r"within 0\.2 s"):
                client.receive()
            with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
                client.receive(timeout_s=0.05)
        daemon.send(event(8))
        assert client.receive(timeout_s=PATIENT_S).seq == 8


def test_timeout_of_zero_does_not_wait() -> None:
    with (
        publisher() as daemon,
        DefectClient(SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S) as client,
    ):
        daemon.wait_for(4)
        daemon.send(event(0), event(1), event(2))
        assert [client.receive().seq for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ReceiveTimeout):
            client.receive(timeout_s=0.0)


def test_silence_is_a_lost_daemon_and_its_return_is_noticed() -> None:
    with (
        publisher() as daemon,
        DefectClient(SOURCE, events=daemon.endpoint, lost_after_s=0.5) as client,
    ):
        daemon.wait_for(4)
        with pytest.raises(DaemonLost, match="is the daemon running"):
            client.receive()
        daemon.send(event(0))
        assert client.receive().seq == 0


def test_daemon_that_never_was_is_lost() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets this port
        endpoint = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        client = DefectClient(SOURCE, events=endpoint, lost_after_s=0.1)
        with client, pytest.raises(DaemonLost, match=endpoint):
            next(client)


def serve(daemon: Publisher) -> None:
    """Wait for the subscriber, then begin a new stream that has got to number 2."""
    daemon.wait_for(4)
    daemon.send(welcome(1, stream=STREAM_2), event(2, stream=STREAM_2))


def test_restarted_daemon_is_followed_to_its_new_stream() -> None:
    with publisher() as first:
        endpoint = first.endpoint
        client = DefectClient(SOURCE, events=endpoint, lost_after_s=PATIENT_S)
        first.wait_for(4)
        first.send(event(41))
        assert client.receive().seq == 41
    with client, publisher(endpoint) as second, ThreadPoolExecutor(1) as thread:
        # A SUB socket subscribes again while its owner waits in it, so the two must overlap.
        served = thread.submit(serve, second)
        got = client.receive()
        served.result()
    assert (got.stream, got.seq, got.missed_before) == (STREAM_2, 2, 2)
    assert client.inbox.stream_changes == 1
    assert client.gaps == (Gap("ev", STREAM_2, 0, 1),)


def test_unreadable_message_costs_one_count_and_the_next_is_delivered() -> None:
    with (
        publisher() as daemon,
        DefectClient(SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S) as client,
    ):
        daemon.wait_for(4)
        daemon.send([b"ev/haadf1/", b"\x91" * 10_000], [b"ev/haadf1/"], event(0))
        assert client.receive().seq == 0
    assert client.inbox.n_unreadable == 2


def test_closed_client_says_so() -> None:
    client = DefectClient(SOURCE)
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.receive()


def test_impossible_endpoint_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="events = 'nonsense'"):
        DefectClient(SOURCE, events="nonsense")
