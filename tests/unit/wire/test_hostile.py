"""Every hostile message is refused with its reason, and a good one after it is read."""

import numpy as np
import pytest

from latticewatch.wire.codec import (
    check_crc,
    check_geometry,
    check_pixels,
    check_source,
    decode_source_message,
    pixel_array,
)
from latticewatch.wire.errors import UNREADABLE_REASONS, ProtocolError
from latticewatch.wire.frames import FrameHeader
from support.hostile import PIXELS, SOURCE, Hostile, good_message, hostile_messages

CORPUS = list(hostile_messages(first_seq=7))


def read(parts: tuple[bytes, ...]) -> FrameHeader:
    """All checks of the wire, in their order."""
    message = decode_source_message(parts)
    check_source(message, source=SOURCE, shard=(0, 1))
    assert isinstance(message, FrameHeader)
    check_pixels(message, len(parts[1]))
    check_crc(message, parts[1])
    check_geometry(message)
    return message


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_hostile_message_is_refused_and_the_next_good_one_is_read(hostile: Hostile) -> None:
    with pytest.raises(ProtocolError) as refusal:
        read(hostile.parts)
    assert refusal.value.reason == hostile.reason
    assert hostile.counted == (hostile.reason not in UNREADABLE_REASONS)
    good = good_message(seq=41)
    pixels = pixel_array(read(good), good[1])
    np.testing.assert_array_equal(pixels.ravel(), np.frombuffer(PIXELS, "<u2"))


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_refusal_is_one_short_printable_line(hostile: Hostile) -> None:
    with pytest.raises(ProtocolError) as refusal:
        read(hostile.parts)
    text = str(refusal.value)
    assert text.isprintable()
    assert 10 < len(text) < 260


@pytest.mark.parametrize(
    "hostile", [hostile for hostile in CORPUS if hostile.counted], ids=lambda hostile: hostile.name
)
def test_counted_message_tells_its_number(hostile: Hostile) -> None:
    message = decode_source_message(hostile.parts)
    assert isinstance(message, FrameHeader)
    check_source(message, source=SOURCE)
    assert message.seq == hostile.seq


def test_corpus_names_are_unique() -> None:
    names = [hostile.name for hostile in CORPUS]
    assert len(names) == len(set(names))


def test_corpus_speaks_for_any_source_and_session() -> None:
    corpus = hostile_messages(first_seq=0, source="bf", session="0" * 32)
    counted = [hostile for hostile in corpus if hostile.counted]
    assert [hostile.seq for hostile in counted] == list(range(len(counted)))
    message = decode_source_message(counted[0].parts)
    assert (message.source, message.session) == ("bf", "0" * 32)
