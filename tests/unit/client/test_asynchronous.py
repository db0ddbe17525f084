"""The asyncio client, the same semantics; each test runs a loop of its own."""

import asyncio
from collections.abc import Coroutine

import pytest

from latticewatch.client import (
    AsyncDefectClient,
    ClientClosed,
    DaemonLost,
    DefectEvent,
    Heartbeat,
    ReceiveTimeout,
    Status,
)
from latticewatch.client.inbox import Gap
from support.publishing import (
    SOURCE,
    STREAM,
    Publisher,
    event,
    heartbeat,
    publisher,
    status,
    welcome,
)

PATIENT_S = 10.0


def run(work: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


async def subscribed(daemon: Publisher) -> None:
    """The publisher waits in a thread, while the loop lets the client connect."""
    await asyncio.to_thread(daemon.wait_for, 4)


def test_events_come_in_order_with_their_gaps() -> None:
    async def work() -> None:
        with publisher() as daemon:
            async with AsyncDefectClient(
                SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S
            ) as client:
                await subscribed(daemon)
                daemon.send(welcome(4), event(5), status(0), heartbeat(7), event(8))
                got = []
                async for message in client:
                    got.append((message.seq, message.missed_before))
                    if message.seq == 8:
                        break
                assert got == [(5, 0), (8, 2)]
                assert client.gaps == (Gap("ev", STREAM, 6, 7),)

    run(work())


def test_any_message_can_be_asked_for() -> None:
    async def work() -> None:
        with publisher() as daemon:
            async with AsyncDefectClient(
                SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S
            ) as client:
                await subscribed(daemon)
                daemon.send(status(0), event(0), heartbeat(0))
                kinds = [type(await client.receive_any()) for _ in range(3)]
                assert kinds == [Status, DefectEvent, Heartbeat]

    run(work())


def test_timeout_and_silence_are_told_apart() -> None:
    async def work() -> None:
        with publisher() as daemon:
            async with AsyncDefectClient(
                SOURCE, events=daemon.endpoint, timeout_s=0.1, lost_after_s=0.5
            ) as client:
                await subscribed(daemon)
                with pytest.raises(ReceiveTimeout):
                    await client.receive()
                with pytest.raises(DaemonLost):
                    await client.receive(timeout_s=PATIENT_S)
                daemon.send(event(0))
                assert (await client.receive(timeout_s=PATIENT_S)).seq == 0

    run(work())


def test_cancelled_wait_loses_nothing() -> None:
    async def work() -> None:
        with publisher() as daemon:
            async with AsyncDefectClient(
                SOURCE, events=daemon.endpoint, lost_after_s=PATIENT_S
            ) as client:
                await subscribed(daemon)
                waiting = asyncio.create_task(client.receive())
                await asyncio.sleep(0)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                daemon.send(event(0), event(1))
                assert [(await client.receive()).seq for _ in range(2)] == [0, 1]

    run(work())


def test_closed_client_says_so() -> None:
    async def work() -> None:
        client = AsyncDefectClient(SOURCE)
        client.close()
        client.close()
        with pytest.raises(ClientClosed):
            await client.receive()

    run(work())
