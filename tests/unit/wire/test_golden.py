"""The committed golden files, the codec and the schema say the same."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from latticewatch.wire import codec
from latticewatch.wire.frames import FrameHeader
from latticewatch.wire.schema import FOLDER as SCHEMAS
from latticewatch.wire.schema import MESSAGES, schema_of, to_text
from support.golden import (
    FOLDER,
    from_json_value,
    golden_bytes,
    read_golden,
    to_json_value,
    with_integral_floats_as_ints,
    with_unknown_keys,
)

NAMES = sorted(golden_bytes())
FROM_SOURCES = [name for name in NAMES if name.startswith(("frame_", "source_"))]
# As their first source wrote it, without the keys that a typed header writes as nil.
TYPED = [name for name in NAMES if name != "frame_minimal"]


def decode(name: str, body: bytes) -> msgspec.Struct:
    """Read a golden message with the function meant for its kind."""
    if name.startswith("frame_"):
        return codec.decode_source_message([body, b""])
    if name.startswith("source_"):
        return codec.decode_source_message([body])
    kind = "heartbeat" if name == "heartbeat_first" else name.partition("_")[0]
    decoder: Any = getattr(codec, f"decode_{kind}")
    message: msgspec.Struct = decoder(body)
    return message


def schema_name(name: str) -> str:
    if name.startswith("source_"):
        return name
    return {"event": "defects"}.get(name.partition("_")[0], name.partition("_")[0])


def test_every_committed_file_belongs_to_a_golden_message() -> None:
    expected = {f"{name}.{ending}" for name in NAMES for ending in ("json", "msgpack")}
    assert {path.name for path in FOLDER.iterdir()} == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_types_still_write_the_committed_bytes(name: str) -> None:
    assert golden_bytes()[name] == read_golden(name)[0]


@pytest.mark.parametrize("name", NAMES)
def test_golden_json_encodes_to_the_golden_bytes(name: str) -> None:
    body, value = read_golden(name)
    assert msgspec.msgpack.encode(from_json_value(value)) == body


@pytest.mark.parametrize("name", NAMES)
def test_golden_bytes_decode_to_the_golden_json(name: str) -> None:
    body, value = read_golden(name)
    assert to_json_value(msgspec.msgpack.decode(body)) == value


@pytest.mark.parametrize("name", TYPED)
def test_typed_round_trip_keeps_every_byte(name: str) -> None:
    body, value = read_golden(name)
    message: Any = decode(name, body)
    assert codec.encode(message) == body
    assert codec.to_jsonable(message) == value


@pytest.mark.parametrize("name", NAMES)
def test_unknown_keys_of_a_newer_peer_are_skipped(name: str) -> None:
    body, value = read_golden(name)
    newer = msgspec.msgpack.encode(with_unknown_keys(from_json_value(value)))
    assert len(newer) > len(body)
    assert decode(name, newer) == decode(name, body)


@pytest.mark.parametrize("name", NAMES)
def test_two_point_zero_may_arrive_as_two(name: str) -> None:
    body, value = read_golden(name)
    integral = msgspec.msgpack.encode(with_integral_floats_as_ints(from_json_value(value)))
    message: Any = decode(name, integral)
    expected: Any = decode(name, body)
    assert message == expected
    # Where every key has a type the floats come out as floats again; attrs and detail have none.
    if not value.get("attrs") and not value.get("detail"):
        assert codec.encode(message) == codec.encode(expected)


@pytest.mark.parametrize("name", NAMES)
def test_schema_accepts_the_golden_json(name: str) -> None:
    jsonschema.Draft202012Validator(schema_of(schema_name(name))).validate(read_golden(name)[1])


@pytest.mark.parametrize("name", NAMES)
def test_schema_refuses_a_message_without_version_or_type(name: str) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(schema_name(name)))
    value = read_golden(name)[1]
    for key in ("v", "type", "source"):
        assert not validator.is_valid({other: value[other] for other in value if other != key})
    assert not validator.is_valid(value | {"v": 2})


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_committed_schema_is_the_generated_one(name: str) -> None:
    text = (SCHEMAS / f"{name}.json").read_text(encoding="utf-8")
    assert text == to_text(schema_of(name)), "run: python -m latticewatch.wire.schema"
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_no_schema_file_is_left_over() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(MESSAGES)


def test_the_first_golden_message_is_the_one_printed_in_the_protocol() -> None:
    body, _ = read_golden("source_heartbeat")
    assert len(body) == 108
    assert body.hex() == (
        "87a17601a474797065a9686561727462656174a6736f75726365a6686161646631a773657373696f6ed920"
        "3566306333613165396237643463323638386161303166336432653437623930a86c6173745f73657129a7"
        "64726f7070656402a4745f6e73cf18d75b843a357f95"
    )


def test_header_sizes_are_those_of_the_protocol() -> None:
    assert len(read_golden("frame_full")[0]) == 701
    assert len(read_golden("frame_minimal")[0]) == 152


def test_minimal_frame_reads_with_the_defaults_of_the_protocol() -> None:
    header = codec.decode_source_message([read_golden("frame_minimal")[0], b""])
    assert isinstance(header, FrameHeader)
    assert (header.complete, header.part, header.codec, header.shard) == (True, 0, "raw", (0, 1))
    assert header.n_valid_rows == 512
    assert header.full_context.size_yx == (512, 512)
    assert header.full_roi.center_frac_yx == (0.5, 0.5)
    assert header.full_roi.size_frac_yx == (1.0, 1.0)
