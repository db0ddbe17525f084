"""EventPublisher over real sockets: who gets what, who is welcomed, and who cannot hold it up."""

from collections.abc import Callable, Iterator

import pytest
import zmq

from latticewatch.adapters import sockets
from latticewatch.adapters.errors import PortInUseError
from latticewatch.adapters.publisher import EventPublisher
from support.waiting import wait_until
from support.zeromq import Context, open_context

PATIENCE_MS = 5000


@pytest.fixture
def context() -> Iterator[Context]:
    with open_context() as made:
        yield made


@pytest.fixture
def publisher(context: Context) -> Iterator[EventPublisher]:
    with EventPublisher(context=context, endpoint="tcp://127.0.0.1:*", source="haadf1") as made:
        yield made


def subscribe(context: Context, endpoint: str, *topics: bytes) -> zmq.Socket[bytes]:
    socket = sockets.make_event_sub(context, topics=topics)
    sockets.connect(socket, endpoint)
    return socket


def wait_for(publisher: EventPublisher, is_true: Callable[[], bool]) -> None:
    def serve_and_ask() -> bool:
        publisher.service_subscriptions(lambda: b"welcome")
        return is_true()

    assert wait_until(serve_and_ask)


def receive(socket: zmq.Socket[bytes]) -> list[bytes]:
    assert socket.poll(PATIENCE_MS)
    return socket.recv_multipart()


def test_a_subscriber_gets_its_topics_and_no_others(
    context: Context, publisher: EventPublisher
) -> None:
    socket = subscribe(context, publisher.endpoint, b"ev/haadf1/")
    wait_for(publisher, lambda: publisher.n_subscribers == 1)
    for topic in (b"st/haadf1/", b"ev/haadf10/", b"ev/haadf1/"):
        publisher.publish(topic, b"body")
    assert receive(socket) == [b"ev/haadf1/", b"body"]
    assert not socket.poll(0)


def test_a_newcomer_is_welcomed_in_one_part(context: Context, publisher: EventPublisher) -> None:
    socket = subscribe(context, publisher.endpoint, b"wl/haadf1/")
    wait_for(publisher, lambda: publisher.is_wanted(b"wl/haadf1/"))
    assert receive(socket) == [b"wl/haadf1/welcome"]


def test_the_second_newcomer_is_welcomed_too(context: Context, publisher: EventPublisher) -> None:
    first = subscribe(context, publisher.endpoint, b"wl/haadf1/")
    wait_for(publisher, lambda: publisher.is_wanted(b"wl/haadf1/"))
    assert receive(first) == [b"wl/haadf1/welcome"]
    second = subscribe(context, publisher.endpoint, b"wl/haadf1/")
    wait_for(publisher, lambda: bool(second.poll(0)))
    assert receive(second) == [b"wl/haadf1/welcome"]


def test_who_did_not_ask_for_a_welcome_gets_none(
    context: Context, publisher: EventPublisher
) -> None:
    asked: list[bool] = []

    def welcome() -> bytes:
        asked.append(True)
        return b""

    subscribe(context, publisher.endpoint, b"ev/haadf1/", b"wl/other/")

    def is_there() -> bool:
        publisher.service_subscriptions(welcome)
        return publisher.n_subscribers == 1

    assert wait_until(is_there)
    assert not asked


def test_subscribers_of_one_topic_are_counted_until_they_leave(
    context: Context, publisher: EventPublisher
) -> None:
    first, second = (subscribe(context, publisher.endpoint, b"ev/haadf1/") for _ in range(2))
    wait_for(publisher, lambda: publisher.n_subscribers == 2)
    first.close()
    wait_for(publisher, lambda: publisher.n_subscribers == 1)
    second.unsubscribe(b"ev/haadf1/")
    wait_for(publisher, lambda: publisher.n_subscribers == 0)


def test_who_wants_everything_wants_each_topic(context: Context, publisher: EventPublisher) -> None:
    socket = subscribe(context, publisher.endpoint, b"")
    wait_for(publisher, lambda: publisher.n_subscribers == 1)
    assert publisher.is_wanted(b"st/haadf1/")
    assert receive(socket) == [b"wl/haadf1/welcome"]


def test_foreign_topics_are_not_remembered(context: Context, publisher: EventPublisher) -> None:
    foreign = tuple(b"ev/other%d/" % number for number in range(1000))
    subscribe(context, publisher.endpoint, *foreign, b"ev/haadf1/")
    wait_for(publisher, lambda: publisher.n_subscribers == 1)
    assert set(publisher._subscribed) == {b"ev/haadf1/"}


def test_a_subscriber_that_does_not_read_loses_and_holds_nobody_up(
    context: Context, publisher: EventPublisher
) -> None:
    stalled = subscribe(context, publisher.endpoint, b"ev/haadf1/")
    prompt = subscribe(context, publisher.endpoint, b"ev/haadf1/")
    wait_for(publisher, lambda: publisher.n_subscribers == 2)
    n_events = 4000  # both queues hold 1000, the kernel some hundred of this size
    for number in range(n_events):
        publisher.publish(b"ev/haadf1/", number.to_bytes(2) * 10_000)
        assert receive(prompt)[1][:2] == number.to_bytes(2)
    n_late = 0
    while stalled.poll(100):
        stalled.recv_multipart()
        n_late += 1
    assert 0 < n_late < n_events


def test_the_last_word_leaves_after_close(context: Context) -> None:
    publisher = EventPublisher(context=context, endpoint="tcp://127.0.0.1:*", source="haadf1")
    socket = subscribe(context, publisher.endpoint, b"st/haadf1/")
    wait_for(publisher, lambda: publisher.is_wanted(b"st/haadf1/"))
    publisher.publish(b"st/haadf1/", b"stopping" * 10_000)
    publisher.close()
    assert receive(socket)[1] == b"stopping" * 10_000


def test_two_publishers_cannot_share_an_address(
    context: Context, publisher: EventPublisher
) -> None:
    with pytest.raises(PortInUseError, match=publisher.endpoint):
        EventPublisher(context=context, endpoint=publisher.endpoint, source="haadf1")


def test_a_preview_goes_with_its_pixels_to_those_who_asked(
    context: Context, publisher: EventPublisher
) -> None:
    watches = subscribe(context, publisher.endpoint, b"pv/haadf1/")
    steers = subscribe(context, publisher.endpoint, b"ev/haadf1/")
    wait_for(publisher, lambda: publisher.n_subscribers == 1)
    wait_for(publisher, lambda: publisher.is_wanted(b"pv/haadf1/"))
    publisher.publish(b"pv/haadf1/", b"header", b"pixels")
    publisher.publish(b"ev/haadf1/", b"event")
    assert receive(watches) == [b"pv/haadf1/", b"header", b"pixels"]
    assert receive(steers) == [b"ev/haadf1/", b"event"]
    watches.close()
    wait_for(publisher, lambda: not publisher.is_wanted(b"pv/haadf1/"))
