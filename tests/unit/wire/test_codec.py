"""The codec beyond the golden files and the hostile corpus."""

import math
import zlib
from typing import Any

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import given
from msgspec import UNSET

from latticewatch.wire import codec
from latticewatch.wire.errors import DROP_REASONS, REASONS, UNREADABLE_REASONS, ProtocolError
from latticewatch.wire.events import DefectEvent, FrameRef
from latticewatch.wire.frames import Context, FrameHeader, PartialContext, Roi
from support.golden import read_golden
from support.hostile import PIXELS, SOURCE, good_header, good_message, pack

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def header(**changes: object) -> FrameHeader:
    return msgspec.convert(good_header(seq=41) | changes, FrameHeader)


def refusal_of(parts: list[bytes]) -> str | None:
    """Why a message is refused, None if it is not; any other exception fails the test."""
    try:
        message = codec.decode_source_message(parts)
        codec.check_source(message, source=SOURCE)
        if isinstance(message, FrameHeader):
            codec.check_pixels(message, len(parts[1]))
            codec.check_geometry(message)
    except ProtocolError as refusal:
        return refusal.reason
    return None


def golden_event(name: str = "event_two_defects") -> DefectEvent:
    return codec.decode_event(read_golden(name)[0])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_never_sent(value: float) -> None:
    event = golden_event()
    worst = msgspec.structs.replace(event.defects[1], scores=(("patterson", 1.0, value),))
    event = msgspec.structs.replace(event, defects=(event.defects[0], worst))
    with pytest.raises(ValueError, match=r"defects\.defects\[1\]\.scores\[0\]\[2\] = .*(nan|inf)"):
        codec.encode(event)
    with pytest.raises(ProtocolError) as refusal:
        codec.decode_event(msgspec.msgpack.encode(event))
    assert refusal.value.reason == "header"


@given(score=FINITE, text=st.text(max_size=8), data=st.binary(max_size=16))
def test_what_only_looks_like_nan_is_sent(score: float, text: str, data: bytes) -> None:
    """The quick search meets its pattern inside text, bin and mantissas too."""
    nan = msgspec.msgpack.encode(float("nan"))
    event = golden_event()
    first = msgspec.structs.replace(event.defects[0], score=score, label=text)
    attrs = codec.pack_attrs({"bin": nan + data, "text": text})
    event = msgspec.structs.replace(event, defects=(first,), attrs=attrs)
    assert codec.decode_event(codec.encode(event)).defects[0] == first


@given(st.one_of(st.binary(min_size=8, max_size=8), st.binary(min_size=4, max_size=4)))
def test_finite_floats_are_read_and_others_are_not(bits: bytes) -> None:
    head, kind = (b"\xcb", ">f8") if len(bits) == 8 else (b"\xca", ">f4")
    body = pack(good_header(seq=0) | {"full_scale": msgspec.Raw(head + bits)})
    if np.isfinite(np.frombuffer(bits, kind)[0]):
        codec.decode_source_message([body, PIXELS])
    else:
        with pytest.raises(ProtocolError, match="full_scale"):
            codec.decode_source_message([body, PIXELS])


@pytest.mark.parametrize("bits", ["7ff0000000000000", "fff8000000000001", "7f800000", "ffc00000"])
def test_every_kind_of_not_finite_is_refused(bits: str) -> None:
    raw = (b"\xcb" if len(bits) == 16 else b"\xca") + bytes.fromhex(bits)
    body = pack(good_header(seq=0) | {"full_scale": msgspec.Raw(raw)})
    assert refusal_of([body, PIXELS]) == "header"


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_bytes_are_read_or_refused(parts: list[bytes]) -> None:
    assert refusal_of(parts) in (None, *UNREADABLE_REASONS)


@given(st.data())
def test_any_damage_to_a_header_is_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(read_golden("frame_full")[0])
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=4)):
        body[place] = data.draw(st.integers(0, 255))
    assert refusal_of([bytes(body), PIXELS]) in (None, *REASONS)


def test_of_a_repeated_key_the_last_one_counts() -> None:
    first = pack(good_header(seq=3))
    twice = bytes([first[0] + 1]) + first[1:] + pack("seq") + pack(9)
    message = codec.decode_source_message([twice, PIXELS])
    assert isinstance(message, FrameHeader)
    assert message.seq == 9


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    parts = [kind(part) for part in good_message(seq=41)]
    assert codec.decode_source_message(parts).source == SOURCE


def test_length_error_says_what_was_promised_and_what_came() -> None:
    with pytest.raises(ProtocolError) as refusal:
        codec.check_pixels(header(shape_yx=[512, 512]), 524_160)
    assert str(refusal.value) == (
        "frame 41 of haadf1: header promises 512 x 512 <u2 = 524288 bytes, payload has 524160: "
        "check the sender's row padding"
    )


def test_pixels_are_viewed_without_a_copy() -> None:
    payload = bytearray(PIXELS)
    pixels = codec.pixel_array(header(dtype=">u2"), payload)
    assert pixels.dtype == np.dtype(">u2")
    assert pixels.shape == (16, 16)
    payload[0:2] = b"\x12\x34"
    assert pixels[0, 0] == 0x1234


def test_unaligned_pixels_are_viewed_too() -> None:
    payload = memoryview(b"\0" + PIXELS)[1:]
    pixels = codec.pixel_array(header(), payload)
    assert pixels[0, 1] == 0x0302
    assert not pixels.flags.writeable


def test_right_crc_passes() -> None:
    codec.check_crc(header(crc32=zlib.crc32(PIXELS)), PIXELS)
    codec.check_crc(header(), PIXELS)


def test_heartbeat_of_another_shard_is_refused() -> None:
    beat = {
        "v": 1,
        "type": "heartbeat",
        "source": SOURCE,
        "session": "0" * 32,
        "last_seq": 4,
        "dropped": 0,
        "t_ns": 1,
    }
    codec.check_source(codec.decode_source_message([pack(beat)]), source=SOURCE, shard=(1, 3))
    none_yet = codec.decode_source_message([pack(beat | {"last_seq": -1})])
    codec.check_source(none_yet, source=SOURCE, shard=(1, 3))
    other = codec.decode_source_message([pack(beat | {"last_seq": 5})])
    with pytest.raises(ProtocolError, match=r"number 5 of haadf1 is not in shard \[1, 3\]"):
        codec.check_source(other, source=SOURCE, shard=(1, 3))


def test_frame_of_this_shard_passes() -> None:
    frame = header(seq=7, shard=[1, 3])
    codec.check_source(frame, source=SOURCE, shard=(1, 3))
    with pytest.raises(ProtocolError, match="not in shard"):
        codec.check_source(header(seq=8, shard=[1, 3]), source=SOURCE, shard=(1, 3))


def test_promised_bytes_do_not_wrap_round() -> None:
    huge = msgspec.structs.replace(header(), shape_yx=(2**63, 2**63))
    assert huge.n_pixel_bytes == 2**127


def test_calibrated_frame_names_what_it_lacks() -> None:
    frame = header(calibrated=True, context={"size_yx": [16, 16]})
    with pytest.raises(ProtocolError, match=r"context\.fov_nm_yx, context\.center_nm_yx, context"):
        codec.check_geometry(frame)


def test_the_most_slender_grid_turned_by_a_quarter_is_a_place() -> None:
    context = PartialContext(
        size_yx=(1, 65_536), fov_nm_yx=(1.0, 65_536.0), center_nm_yx=(0.0, 1e6), rotation_rad=0.3
    )
    roi = Roi(center_frac_yx=(2.0, 2.0), size_frac_yx=(4.0, 4.0), rotation_rad=math.pi / 2)
    codec.check_geometry(header(calibrated=True, context=context, roi=roi))


def test_defaults_of_a_context_are_filled_in() -> None:
    frame = header(context={"fov_nm_yx": [2.0, 3.0]})
    assert isinstance(frame.context, PartialContext)
    assert frame.full_context == Context(size_yx=(16, 16), fov_nm_yx=(2.0, 3.0))


def test_optional_keys_of_a_source_are_left_out_when_unset() -> None:
    sent = msgspec.msgpack.decode(codec.encode(header()))
    for key in ("channel", "scan_id", "context", "roi", "polarity", "valid_rows", "attrs"):
        assert key not in sent
    assert not UNSET


def test_event_names_its_frame_with_nil_where_the_header_was_silent() -> None:
    reference = FrameRef.from_header(header())
    assert reference.channel is None
    assert reference.valid_rows == 16
    full = codec.decode_source_message([read_golden("frame_full")[0], PIXELS])
    assert isinstance(full, FrameHeader)
    assert FrameRef.from_header(full) == golden_event().frame


def test_attrs_are_never_decoded_on_the_way_in() -> None:
    raw = pack({"nan": float("nan"), "ext": msgspec.msgpack.Ext(5, b"x"), "n": 1})
    message = codec.decode_source_message(
        [pack(good_header(seq=1) | {"attrs": msgspec.Raw(raw)}), b""]
    )
    assert isinstance(message, FrameHeader)
    assert bytes(message.attrs or b"") == raw


@pytest.mark.parametrize(
    "attrs",
    [
        {"a": float("nan")},
        {"a": {"b": [float("inf")]}},
        {"a": msgspec.msgpack.Ext(5, b"x")},
        {"a": {1: 2}},
        {"a": {b"k": 2}},
        {"a": "x" * 9000},
        {"a": {str(key): 0 for key in range(257)}},
        {"a": msgspec.Raw(b"\xa2\xff\xfe")},
        {"a": msgspec.Raw(b"\xd6\xff\x00\x00\x00\x00")},
    ],
    ids=["nan", "infinity", "extension", "whole_key", "bytes_key", "long", "many", "text", "time"],
)
def test_attrs_that_a_client_would_refuse_are_not_passed_on(attrs: dict[str, Any]) -> None:
    frame = msgspec.structs.replace(header(), attrs=msgspec.Raw(msgspec.msgpack.encode(attrs)))
    assert codec.copy_attrs(frame) is None


def test_plain_attrs_are_passed_on_as_they_came() -> None:
    raw = codec.pack_attrs({"a": [1, 2.5, None, True, b"x", {"deep": "text"}]})
    copied = codec.copy_attrs(msgspec.structs.replace(header(), attrs=raw))
    assert copied is not None
    assert bytes(copied) == bytes(raw)
    assert codec.copy_attrs(header()) is None


def test_attrs_to_send_are_checked() -> None:
    with pytest.raises(ValueError, match="65 entries, at most 64"):
        codec.pack_attrs({str(key): 0 for key in range(65)})
    with pytest.raises(ValueError, match=r"attrs\.a\.b\[1\] = nan"):
        codec.pack_attrs({"a": {"b": [0.0, float("nan")]}})


def test_published_message_of_another_kind_is_refused() -> None:
    with pytest.raises(ProtocolError, match="type 'heartbeat': expected status"):
        codec.decode_status(read_golden("heartbeat")[0])


def test_unknown_words_of_open_sets_are_kept_by_the_codec() -> None:
    event = golden_event()
    first = msgspec.structs.replace(event.defects[0], kind="grain", flags=("new",))
    event = msgspec.structs.replace(event, quality=("foggy",), defects=(first,))
    assert codec.decode_event(codec.encode(event)) == event


def test_topic_ends_in_a_slash() -> None:
    assert codec.topic("hb", "haadf1") == b"hb/haadf1/"


def test_sets_of_reasons_are_the_protocols() -> None:
    assert REASONS[:5] == UNREADABLE_REASONS
    assert set(DROP_REASONS) - set(REASONS) == {"queue", "incomplete"}
