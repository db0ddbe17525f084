"""Messages that a frames socket must refuse, each with its reason; then a good one.

The invariant after each of them: the next good message is answered.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from latticewatch.wire.errors import Reason

SOURCE: Final = "haadf1"
SESSION: Final = "5f0c3a1e9b7d4c2688aa01f3d2e47b90"
T_NS: Final = 1_790_000_000_123_456_789
PIXELS: Final = bytes(range(256)) * 2  # 16 x 16 of two bytes

_NAN, _INF = float("nan"), float("inf")
_REMOVED: Final = object()


@dataclass(frozen=True, slots=True)
class Hostile:
    """One message to be refused.

    Attributes
    ----------
    counted
        Its number can be read, so its frame is accounted for as dropped. `seq` is that number.
    """

    name: str
    parts: tuple[bytes, ...]
    reason: Reason
    counted: bool = False
    seq: int | None = None


def good_message(
    *, seq: int, source: str = SOURCE, session: str = SESSION, t_complete_ns: int = T_NS
) -> tuple[bytes, bytes]:
    """A frame that must be answered."""
    header = good_header(seq=seq) | {
        "source": source,
        "session": session,
        "t_complete_ns": t_complete_ns,
    }
    return pack(header), PIXELS


def good_header(*, seq: int) -> dict[str, Any]:
    """The header of a frame that must be answered, as a plain map."""
    return {
        "v": 1,
        "type": "frame",
        "source": SOURCE,
        "session": SESSION,
        "seq": seq,
        "shape_yx": [16, 16],
        "dtype": "<u2",
        "t_complete_ns": T_NS,
        "t_source": "software",
        "dropped": 0,
    }


def pack(value: object) -> bytes:
    """MessagePack as msgspec writes it, which includes NaN."""
    return msgspec.msgpack.encode(value)


def hostile_messages(
    *, first_seq: int = 0, source: str = SOURCE, session: str = SESSION
) -> Iterator[Hostile]:
    """Every hostile message; those whose frame is counted take the numbers from `first_seq`."""
    seq = first_seq
    own: dict[str, Any] = {"source": source, "session": session}
    for name, parts, reason in _raw_messages():
        yield Hostile(name, parts, reason)
    for name, changes, reason in _unreadable_headers():
        yield Hostile(name, (_changed(seq, own | changes), PIXELS), reason)
    for name, message in _bad_single_parts():
        yield Hostile(name, (pack(message | own | message),), "header")
    for name, changes, pixels, reason in _bad_frames():
        yield Hostile(name, (_changed(seq, own | changes), pixels), reason, counted=True, seq=seq)
        seq += 1


def _changed(seq: int, changes: dict[str, Any]) -> bytes:
    header = {**good_header(seq=seq), **changes}
    return pack({key: value for key, value in header.items() if value is not _REMOVED})


def _raw_messages() -> Iterator[tuple[str, tuple[bytes, ...], Reason]]:
    """Wrong before any header is read."""
    header = pack(good_header(seq=0))
    heartbeat = pack(_heartbeat())
    yield "no bytes at all", (b"",), "header_size"
    yield "empty header", (b"", PIXELS), "header_size"
    yield "header of 16385 bytes", (b"\x80" * 16_385, PIXELS), "header_size"
    yield "header of 10 MB", (b"\xc0" * 10_000_000, PIXELS), "header_size"
    yield "three parts", (header, PIXELS, b""), "parts"
    yield "nine parts", (header, *([PIXELS] * 8)), "parts"
    yield "frame without pixels", (header,), "parts"
    yield "heartbeat with pixels", (heartbeat, PIXELS), "parts"
    yield "text for a header", (b"GET / HTTP/1.1\r\n\r\n", PIXELS), "header"
    yield "random bytes", (bytes(range(200, 256)) * 3, PIXELS), "header"
    yield "never-used code", (b"\xc1", PIXELS), "header"
    yield "cut header", (header[:-3], PIXELS), "header"
    yield "two headers in one", (header + header, PIXELS), "header"
    yield "array for a map", (pack([1, "frame"]), PIXELS), "header"
    yield "nil for a map", (b"\xc0", PIXELS), "header"
    yield "empty map", (b"\x80", PIXELS), "header"
    yield "integer keys", (pack({1: 1, 2: "frame"}), PIXELS), "header"
    yield "map of 2^32 - 1 announced", (b"\xdf\xff\xff\xff\xff", PIXELS), "header"
    yield "array of 2^32 - 1 announced", (_with_raw(b"\xdd\xff\xff\xff\xff"), PIXELS), "header"
    yield "text of 4 GiB announced", (_with_raw(b"\xdb\xff\xff\xff\xff"), PIXELS), "header"
    yield "bin of 4 GiB announced", (_with_raw(b"\xc6\xff\xff\xff\xff"), PIXELS), "header"
    yield "10000 arrays nested", (_with_raw(b"\x91" * 10_000 + b"\xc0"), PIXELS), "header"
    yield "3000 maps nested", (_with_raw(b"\x81\xa1k" * 3000 + b"\xc0"), PIXELS), "header"
    yield "nested attrs", (_with_raw(b"\x91" * 10_000 + b"\xc0", key="attrs"), PIXELS), "header"
    yield "bare nesting", (b"\x91" * 10_000, PIXELS), "header"


def _with_raw(tail: bytes, *, key: str = "newer") -> bytes:
    """A good header with one more key, whose value is `tail`."""
    header = pack(good_header(seq=0))
    return bytes([header[0] + 1]) + header[1:] + pack(key) + tail


def _unreadable_headers() -> Iterator[tuple[str, dict[str, Any], Reason]]:
    """Wrong in the map, so that the frame's number is not trusted."""
    yield "version 2", {"v": 2}, "version"
    yield "version 0", {"v": 0}, "version"
    yield "version 2^64 - 1", {"v": 2**64 - 1}, "version"
    yield "version as text", {"v": "1"}, "header"
    yield "version true", {"v": True}, "header"
    yield "no version", {"v": _REMOVED}, "header"
    yield "no type", {"type": _REMOVED}, "header"
    yield "unknown type", {"type": "fram"}, "header"
    yield "type as integer", {"type": 1}, "header"
    for key in list(good_header(seq=0))[4:]:
        yield f"no {key}", {key: _REMOVED}, "header"
        yield f"{key} nil", {key: None}, "header"
        yield f"{key} a map", {key: {}}, "header"
    for key in ("seq", "dropped", "t_complete_ns", "part", "frame_index", "crc32"):
        yield f"{key} negative", {key: -1}, "header"
        yield f"{key} true", {key: True}, "header"
        yield f"{key} 3.0", {key: 3.0}, "header"
        yield f"{key} 2^64 - 1", {key: 2**64 - 1}, "header"
    yield "seq 2^63", {"seq": 2**63}, "header"
    yield "more dropped than acquired", {"seq": 5, "dropped": 6}, "header"
    yield "begun after its end", {"t_start_ns": T_NS + 1}, "header"
    yield "clock error negative", {"t_error_ns": -1}, "header"
    yield "unknown time source", {"t_source": "sundial"}, "header"
    yield "shape of three", {"shape_yx": [16, 16, 1]}, "header"
    yield "shape of floats", {"shape_yx": [16.0, 16.0]}, "header"
    yield "shape of booleans", {"shape_yx": [True, True]}, "header"
    yield "part 4096", {"part": 4096}, "header"
    yield "no valid rows", {"valid_rows": 0}, "header"
    yield "valid rows negative", {"valid_rows": -1}, "header"
    yield "valid rows true", {"valid_rows": True}, "header"
    yield "crc of 33 bits", {"crc32": 2**32}, "header"
    yield "complete as integer", {"complete": 1}, "header"
    yield "polarity unknown", {"polarity": "grey"}, "header"
    yield "polarity nil", {"polarity": None}, "header"
    yield "channel too long", {"channel": "x" * 33}, "header"
    yield "channel too long in bytes", {"channel": "é" * 17}, "header"
    yield "scan_id too long", {"scan_id": "x" * 65}, "header"
    yield "command_id too long", {"command_id": "x" * 33}, "header"
    yield "channel not UTF-8", {"channel": msgspec.Raw(b"\xa2\xff\xfe")}, "header"
    yield "attrs an array", {"attrs": []}, "header"
    yield "attrs of 65 entries", {"attrs": {str(key): 0 for key in range(65)}}, "header"
    yield "context an array", {"context": [1, 2]}, "header"
    yield "context of no size", {"context": {"size_yx": [0, 1]}}, "header"
    yield "context of 65537", {"context": {"size_yx": [65_537, 1]}}, "header"
    yield from _bad_floats()
    yield from _bad_names()


def _bad_floats() -> Iterator[tuple[str, dict[str, Any], Reason]]:
    """Every float of a header, not finite and out of its range."""
    bad = {"nan": _NAN, "inf": _INF, "-inf": -_INF, "true": True, "text": "1.0"}
    for word, value in bad.items():
        for key in ("dwell_ns", "line_ns", "flyback_ns", "full_scale"):
            yield f"{key} {word}", {key: value}, "header"
        yield f"drift_nm_yx {word}", {"drift_nm_yx": [0.0, value]}, "header"
        for key in ("fov_nm_yx", "center_nm_yx"):
            yield f"context.{key} {word}", {"context": {key: [value, 1.0]}}, "header"
        yield f"context.rotation_rad {word}", {"context": {"rotation_rad": value}}, "header"
        for key in ("center_frac_yx", "size_frac_yx"):
            yield f"roi.{key} {word}", {"roi": {key: [0.5, value]}}, "header"
        yield f"roi.rotation_rad {word}", {"roi": {"rotation_rad": value}}, "header"
    float32_nan = msgspec.Raw(b"\xca\x7f\xc0\x00\x00")
    yield "full_scale nan of 32 bits", {"full_scale": float32_nan}, "header"
    yield "dwell_ns 0", {"dwell_ns": 0.0}, "header"
    yield "line_ns negative", {"line_ns": -1.0}, "header"
    yield "flyback_ns negative", {"flyback_ns": -1.0}, "header"
    yield "fov 0", {"context": {"fov_nm_yx": [0.0, 1.0]}}, "header"
    yield "turned by 7 rad", {"context": {"rotation_rad": 7.0}}, "header"
    yield "roi turned by -7 rad", {"roi": {"rotation_rad": -7.0}}, "header"
    yield "roi far away", {"roi": {"center_frac_yx": [0.5, 2.1]}}, "header"
    yield "roi of no size", {"roi": {"size_frac_yx": [0.0, 1.0]}}, "header"
    yield "roi too large", {"roi": {"size_frac_yx": [4.1, 1.0]}}, "header"
    yield "roi of one number", {"roi": {"size_frac_yx": [1.0]}}, "header"


def _bad_names() -> Iterator[tuple[str, dict[str, Any], Reason]]:
    """Well typed, and not for this endpoint."""
    yield "another source", {"source": "haadf2"}, "source"
    yield "source in capitals", {"source": "HAADF1"}, "source"
    yield "source of 33 letters", {"source": "h" * 33}, "source"
    yield "source empty", {"source": ""}, "source"
    yield "source with a newline", {"source": "haadf1\n"}, "source"
    yield "source a path", {"source": "../../etc"}, "source"
    yield "source of 10 kB", {"source": "x" * 10_000}, "source"
    yield "session short", {"session": "5f0c"}, "source"
    yield "session in capitals", {"session": "5F0C3A1E9B7D4C2688AA01F3D2E47B90"}, "source"
    yield "session not hex", {"session": "x" * 32}, "source"
    yield "another shard", {"shard": [1, 2], "seq": 1}, "source"
    yield "shard beyond its count", {"shard": [2, 2]}, "header"
    yield "shards none", {"shard": [0, 0]}, "header"
    yield "shard negative", {"shard": [-1, 2]}, "header"


def _heartbeat() -> dict[str, Any]:
    return {
        "v": 1,
        "type": "heartbeat",
        "source": SOURCE,
        "session": SESSION,
        "last_seq": 41,
        "dropped": 2,
        "t_ns": T_NS,
    }


def _bad_single_parts() -> Iterator[tuple[str, dict[str, Any]]]:
    """Heartbeats and ends that lie."""
    end = _heartbeat() | {"type": "end", "total": 42, "reason": "stopped"}
    del end["last_seq"]
    yield "heartbeat of -2", _heartbeat() | {"last_seq": -2}
    yield "heartbeat of 2^63", _heartbeat() | {"last_seq": 2**63}
    yield "heartbeat true", _heartbeat() | {"last_seq": True}
    yield "heartbeat dropped all and more", _heartbeat() | {"dropped": 43}
    yield "heartbeat at no time", _heartbeat() | {"t_ns": 0}
    yield "end negative", end | {"total": -1}
    yield "end dropped more than all", end | {"dropped": 43}
    yield "end without a known reason", end | {"reason": "tired"}


def _bad_frames() -> Iterator[tuple[str, dict[str, Any], bytes, Reason]]:
    """Well formed and numbered, and not to be processed."""
    yield "sides of 15", {"shape_yx": [15, 16]}, PIXELS[:480], "shape"
    yield "sides of 8193", {"shape_yx": [16, 8193]}, PIXELS, "shape"
    yield "sides of 0", {"shape_yx": [0, 0]}, b"", "shape"
    yield "sides negative", {"shape_yx": [-16, -16]}, PIXELS, "shape"
    yield "sides of 2^32: product wraps to 0", {"shape_yx": [2**32, 2**32]}, b"", "shape"
    yield "sides of 2^63", {"shape_yx": [2**63, 16]}, PIXELS, "shape"
    yield "sides of 2^64 - 1", {"shape_yx": [2**64 - 1, 2**64 - 1]}, PIXELS, "shape"
    yield "512 MiB promised", {"shape_yx": [8192, 8192], "dtype": "<f4"}, PIXELS, "length"
    for dtype in ("<u8", "<i2", ">f4", "f8", "u2", "|O", "object", "", "x" * 1000, "<u2,<u2"):
        yield f"dtype {dtype[:8]!r}", {"dtype": dtype}, PIXELS, "dtype"
    yield "codec lz4", {"codec": "lz4"}, PIXELS, "codec"
    yield "codec pickle", {"codec": "pickle"}, PIXELS, "codec"
    yield "one byte short", {}, PIXELS[:-1], "length"
    yield "one byte long", {}, PIXELS + b"\0", "length"
    yield "no pixels", {}, b"", "length"
    yield "wrong item size", {"dtype": "<u4"}, PIXELS, "length"
    yield "wrong crc", {"crc32": zlib.crc32(PIXELS) ^ 1}, PIXELS, "crc"
    yield "calibrated without context", {"calibrated": True}, PIXELS, "geometry"
    partial = {"size_yx": [16, 16], "center_nm_yx": [0.0, 0.0], "rotation_rad": 0.0}
    yield "calibrated without fov", {"calibrated": True, "context": partial}, PIXELS, "geometry"
    nil = partial | {"fov_nm_yx": None}
    yield "calibrated with fov nil", {"calibrated": True, "context": nil}, PIXELS, "geometry"
    for name, changes in _bad_fields():
        yield name, {"calibrated": True} | changes, PIXELS, "geometry"
    yield "17 of 16 rows", {"valid_rows": 17, "complete": False}, PIXELS, "geometry"
    yield "2^64 - 1 rows", {"valid_rows": 2**64 - 1}, PIXELS, "geometry"
    yield "complete with 15 rows", {"valid_rows": 15}, PIXELS, "geometry"


def _bad_fields() -> Iterator[tuple[str, dict[str, Any]]]:
    """Finite numbers, each in its range, and together not a place on a specimen."""
    field = {
        "size_yx": [16, 16],
        "fov_nm_yx": [8.0, 8.0],
        "center_nm_yx": [0.0, 0.0],
        "rotation_rad": 0.0,
    }
    thin = field | {"fov_nm_yx": [1e308, 1e-5]}
    yield "field of 1e308 by 1e-5 nm", {"context": thin}
    yield "the same field, turned", {"context": thin | {"rotation_rad": 0.3}}
    yield "the same field, part turned", {"context": thin, "roi": {"rotation_rad": 0.3}}
    line = field | {"fov_nm_yx": [1.0, 1e-300]}
    yield "part turned in a field of no width", {"context": line, "roi": {"rotation_rad": 0.3}}
    yield "field of 10 m", {"context": field | {"fov_nm_yx": [1e10, 1e10]}}
    yield "centre at 1e308 nm", {"context": field | {"center_nm_yx": [0.0, 1e308]}}
