"""Stages of events: the client and the codec read and refuse the same."""

from typing import Any

import msgpack
import pytest

from latticewatch.client.decoding import decode
from latticewatch.client.errors import BadMessage
from latticewatch.client.messages import DefectEvent
from latticewatch.wire import codec
from latticewatch.wire.errors import ProtocolError
from support.golden import read_golden


def golden_map(name: str) -> dict[str, Any]:
    value: dict[str, Any] = msgpack.unpackb(read_golden(name)[0])
    return value


def late_with(**changes: object) -> bytes:
    packed: bytes = msgpack.packb(golden_map("event_late") | changes)
    return packed


def test_an_event_without_a_stage_is_the_first_of_its_frame() -> None:
    event = decode(read_golden("event_none")[0])
    assert isinstance(event, DefectEvent)
    assert (event.stage, event.confirms) == ("first", ())


def test_a_late_event_says_what_it_adds_and_what_it_confirms() -> None:
    event = decode(read_golden("event_late")[0])
    assert isinstance(event, DefectEvent)
    assert (event.stage, event.confirms, event.n_defects) == ("late", (0, 1), 1)


def test_a_stage_of_a_newer_version_is_unknown_and_not_the_first() -> None:
    body = late_with(stage="another")
    event = decode(body)
    assert isinstance(event, DefectEvent)
    assert event.stage == "unknown"
    assert codec.decode_event(body).stage == "another"


@pytest.mark.parametrize(
    "changes",
    [
        {"confirms": [-1]},
        {"confirms": [0, -1]},
        {"confirms": [True]},
        {"confirms": [0.0]},
        {"confirms": 0},
        {"confirms": None},
        {"confirms": [None]},
        {"stage": None},
        {"stage": 1},
        {"stage": "first"},
    ],
)
def test_hostile_stage_is_refused_and_the_next_good_one_is_read(changes: dict[str, Any]) -> None:
    body = late_with(**changes)
    with pytest.raises(BadMessage):
        decode(body)
    with pytest.raises(ProtocolError):
        codec.decode_event(body)
    assert decode(read_golden("event_late")[0]) is not None


def test_a_first_event_confirms_nothing() -> None:
    body = msgpack.packb(golden_map("event_two_defects") | {"confirms": [0]})
    with pytest.raises(BadMessage, match="confirms"):
        decode(body)
    with pytest.raises(ProtocolError, match="confirms"):
        codec.decode_event(body)
