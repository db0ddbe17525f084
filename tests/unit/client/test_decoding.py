"""The client reads the golden files with its own code, to the codec's values."""

import dataclasses
import math
from typing import Any

import msgpack
import pytest

from latticewatch.client.decoding import LIMITS, decode
from latticewatch.client.errors import BadMessage, UnsupportedVersion
from latticewatch.client.messages import DefectEvent, Heartbeat, Status
from latticewatch.wire import codec
from latticewatch.wire.errors import ProtocolError
from support.golden import (
    FOLDER,
    from_json_value,
    read_golden,
    to_json_value,
    with_integral_floats_as_ints,
    with_unknown_keys,
)

NAMES = sorted(
    path.stem
    for path in FOLDER.glob("*.msgpack")
    if path.stem.startswith(("event_", "status", "heartbeat", "welcome"))
)


# Left out of the wire where there is none, where other keys are written as nil.
LEFT_OUT = frozenset({"outline_px_yx", "pixel_size", "motif"})
OF_LATER_STAGES = frozenset({"stage", "confirms"})


def as_json(message: Any) -> Any:  # noqa: ANN401 - any dataclass, any JSON
    """The fields that came over the wire, as JSON."""
    return to_json_value(
        {
            field.name: _plain(getattr(message, field.name))
            for field in dataclasses.fields(message)
            if field.metadata.get("wire", True)
            and not (field.name in LEFT_OUT and getattr(message, field.name) is None)
            and not (field.name == "motif_changes" and not message.motif_changes)
            and not (field.name in OF_LATER_STAGES and message.stage == "first")
        }
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field
    if dataclasses.is_dataclass(value):
        return as_json(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def golden_map(name: str = "event_two_defects") -> dict[str, Any]:
    value: dict[str, Any] = msgpack.unpackb(read_golden(name)[0])
    return value


@pytest.mark.parametrize("name", NAMES)
def test_golden_message_decodes_to_the_golden_json(name: str) -> None:
    body, value = read_golden(name)
    assert as_json(decode(body)) == value


@pytest.mark.parametrize("name", NAMES)
def test_client_and_codec_read_the_same_values(name: str) -> None:
    body, _ = read_golden(name)
    kind = name.partition("_")[0]
    typed = getattr(codec, f"decode_{kind}")(body)
    assert as_json(decode(body)) == codec.to_jsonable(typed)


@pytest.mark.parametrize("name", NAMES)
def test_floats_are_floats_and_integers_are_integers(name: str) -> None:
    """Python's == does not see the difference; repr does."""
    body, value = read_golden(name)
    assert repr(as_json(decode(body))) == repr(value)


@pytest.mark.parametrize("name", NAMES)
def test_golden_json_packs_to_the_golden_bytes(name: str) -> None:
    body, value = read_golden(name)
    assert msgpack.packb(from_json_value(value)) == body


@pytest.mark.parametrize("name", NAMES)
def test_unknown_keys_of_a_newer_daemon_are_skipped(name: str) -> None:
    body, _ = read_golden(name)
    newer = msgpack.packb(with_unknown_keys(msgpack.unpackb(body)))
    assert decode(newer) == decode(body)


@pytest.mark.parametrize("name", NAMES)
def test_two_point_zero_may_arrive_as_two(name: str) -> None:
    body, value = read_golden(name)
    read: Any = decode(msgpack.packb(with_integral_floats_as_ints(msgpack.unpackb(body))))
    assert read == decode(body)
    if not value.get("attrs") and not value.get("detail"):
        assert repr(read) == repr(decode(body))


def test_unknown_words_read_as_unknown() -> None:
    value = golden_map()
    value["defects"][0] |= {"kind": "grain", "flags": ["merged", "newer"]}
    value["quality"] = ["foggy", "saturated"]
    event = decode(msgpack.packb(value))
    assert isinstance(event, DefectEvent)
    assert event.defects[0].kind == "unknown"
    assert event.defects[0].flags == ("merged", "unknown")
    assert event.quality == ("unknown", "saturated")
    status = decode(msgpack.packb(golden_map("status") | {"code": "coffee"}))
    assert isinstance(status, Status)
    assert status.code == "unknown"


def test_keys_of_the_client_are_not_taken_from_the_wire() -> None:
    event = decode(msgpack.packb(golden_map() | {"missed_before": 7, "t_received_ns": 1}))
    assert isinstance(event, DefectEvent)
    assert (event.missed_before, event.t_received_ns) == (0, 0)


def test_unknown_message_type_reads_as_none() -> None:
    assert decode(msgpack.packb({"v": 1, "type": "horoscope", "stars": 4})) is None


def test_another_version_names_both_numbers() -> None:
    with pytest.raises(UnsupportedVersion, match="version 2, this client 1"):
        decode(msgpack.packb(golden_map("heartbeat") | {"v": 2}))


def test_welcome_is_a_heartbeat() -> None:
    assert isinstance(decode(read_golden("welcome")[0]), Heartbeat)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seq": True}, "defects.seq: expected an integer, got True"),
        ({"seq": 3.0}, "defects.seq: expected an integer, got 3.0"),
        ({"seq": None}, "defects.seq: expected an integer"),
        ({"truncated": 1}, "defects.truncated: expected true or false"),
        ({"stream": b"x"}, "defects.stream: expected text"),
        ({"defects": {}}, "defects.defects: expected an array"),
        ({"frame": []}, "defects.frame: expected a map"),
        ({"frame": {}}, "defects.frame.session: missing"),
        ({"cut": {"rule": "fdr", "value": math.nan}}, "defects.cut.value: nan is not finite"),
        ({"cut": {"rule": "fdr", "value": math.inf}}, "defects.cut.value: inf is not finite"),
        ({"cut": {"rule": "fdr", "value": True}}, "defects.cut.value: expected a number"),
        ({"cut": {"rule": "luck", "value": 1}}, "defects.cut.rule: 'luck' is none of"),
        ({"latency_us": {"total": 1.5}}, "defects.latency_us: expected an integer"),
        ({"outcome": "maybe"}, "defects.outcome: 'maybe' is none of"),
    ],
)
def test_wrong_value_is_refused_with_its_path(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadMessage) as refusal:
        decode(msgpack.packb(golden_map() | changes))
    assert says in str(refusal.value)


def test_pair_of_three_is_refused() -> None:
    value = golden_map()
    value["defects"][0]["pixel_yx"] = [1.0, 2.0, 3.0]
    with pytest.raises(BadMessage, match="expected 2 items, got 3"):
        decode(msgpack.packb(value))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"\xc0",
        b"\x93\x01\x02\x03",
        b"\x91" * 10_000,
        b"\x81\xa1v" * 3000,
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x81\xa1v\xd4\x01\x00",
        b"\x81\xa1v\xa2\xff\xfe",
        b"\x81\x01\x02",
        msgpack.packb({"v": 1}),
        msgpack.packb({"v": 1, "type": 3}),
        msgpack.packb({"v": True, "type": "status"}),
        msgpack.packb({"v": 1, "type": "status", "x": list(range(70_000))}),
        msgpack.packb({"v": 1, "type": "status", "x": "x" * 9000}),
        msgpack.packb({"v": 1, "type": "status"} | {str(key): 0 for key in range(300)}),
        msgpack.packb({"v": 1, "type": "status"}) + b"\x00",
    ],
    ids=lambda body: body[:12].hex() or "empty",
)
def test_hostile_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(BadMessage) as refusal:
        decode(body)
    assert len(str(refusal.value)) < 300


def test_every_golden_message_fits_the_limits() -> None:
    assert LIMITS["max_ext_len"] == 0
    for name in NAMES:
        assert decode(read_golden(name)[0]) is not None


def test_age_is_counted_from_the_end_of_the_frame() -> None:
    event = decode(read_golden("event_none")[0])
    assert isinstance(event, DefectEvent)
    assert event.age_ms(event.frame.t_complete_ns + 2_500_000) == 2.5
    assert not event.is_void(event.frame.t_complete_ns + 1_000_000_000)
    assert event.is_void(event.frame.t_complete_ns + 1_000_000_001)


OUTLINES = {
    "one point": [[0.0, 0.0]],
    "no point": [],
    "too many points": [[0.0, 0.0]] * 513,
    "above the frame": [[-1.25, 0.0], [5.0, 5.0]],
    "right of the frame": [[0.0, 0.0], [5.0, 192.5]],
    "far away": [[0.0, 0.0], [1e300, 5.0]],
    "not a number": [[0.0, 0.0], [math.nan, 5.0]],
    "infinite": [[0.0, 0.0], [5.0, math.inf]],
    "three numbers": [[0.0, 0.0, 0.0], [5.0, 5.0, 5.0]],
    "text": [["a", "b"], ["c", "d"]],
    "flat": [0.0, 0.0, 5.0, 5.0],
    "a map": {"0": [0.0, 0.0]},
}


def test_a_newer_source_of_the_pixel_size_reads_as_unknown() -> None:
    value = golden_map("event_pixel_size")
    value["pixel_size"]["source"] = "interferometer"
    event = decode(msgpack.packb(value))
    assert isinstance(event, DefectEvent)
    assert event.pixel_size is not None
    assert (event.pixel_size.source, event.pixel_size.size_pm) == ("unknown", 15.75)


def with_outline(outline: object) -> bytes:
    value = golden_map("event_outlines")
    value["defects"][0]["outline_px_yx"] = outline
    body: bytes = msgpack.packb(value)
    return body


@pytest.mark.parametrize("name", sorted(OUTLINES))
def test_hostile_outline_is_refused_and_the_next_good_one_is_read(name: str) -> None:
    with pytest.raises(BadMessage, match="outline_px_yx"):
        decode(with_outline(OUTLINES[name]))
    with pytest.raises(ProtocolError):
        codec.decode_event(with_outline(OUTLINES[name]))
    good = decode(read_golden("event_outlines")[0])
    assert isinstance(good, DefectEvent)
    assert good.defects[0].outline_px_yx == ((0.0, 20.5), (60.25, 95.5), (127.0, 191.0))
    assert good.defects[2].outline_px_yx is None


def test_outline_may_reach_a_pixel_beyond_the_frame() -> None:
    corners = [[-1.0, -1.0], [128.0, 192.0]]
    event = decode(with_outline(corners))
    assert isinstance(event, DefectEvent)
    assert event.defects[0].outline_px_yx == ((-1.0, -1.0), (128.0, 192.0))
    assert codec.decode_event(with_outline(corners)).defects[0].outline_px_yx == (
        (-1.0, -1.0),
        (128.0, 192.0),
    )
