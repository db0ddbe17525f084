"""Values without types: finite numbers, vendor metadata, JSON."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from latticewatch.wire.frames import ATTRS_ENTRIES_MAX, FrameHeader

# Wherever a non-finite float64 or float32 stands, its code and an exponent of ones stand too. The
# patterns can also be met in text or inside another number: a slow look decides. Two searches for
# an event with 256 defects take 0.12 ms (one pattern with `|` took 0.5), walking its fields 5 ms.
_MAYBE_NOT_FINITE: Final = (
    re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]"),
    re.compile(rb"\xca[\x7f\xff][\x80-\xff]"),
)

# What a client accepts in one value (protocol.md 12); attrs beyond it are not passed on.
_TEXT_BYTES_MAX: Final = 8192
_ENTRIES_MAX: Final = 256


def find_not_finite(value: object, body: bytes | bytearray | memoryview, name: str) -> str | None:
    """Find a NaN or an infinity in a message.

    Parameters
    ----------
    value
        The message as a struct or map.
    body
        The same message as bytes.
    name
        What to call it.

    Returns
    -------
    str or None
        ``frame.full_scale = nan``, or None if all numbers are finite. Raw attrs are skipped.
    """
    if not any(pattern.search(body) for pattern in _MAYBE_NOT_FINITE):
        return None
    bad = (f"{path} = {x}" for path, x in _floats(value, name) if not math.isfinite(x))
    return next(bad, None)


def pack_attrs(attrs: Mapping[str, Any]) -> msgspec.Raw:  # Any: the vendor's values
    """Encode vendor metadata for `FrameHeader.attrs`.

    Raises
    ------
    ValueError
        If there are more than 64 entries, or a number is NaN or infinite.
    """
    if len(attrs) > ATTRS_ENTRIES_MAX:
        raise ValueError(f"attrs has {len(attrs)} entries, at most {ATTRS_ENTRIES_MAX}")
    body = msgspec.msgpack.encode(attrs)
    bad = find_not_finite(attrs, body, "attrs")
    if bad is not None:
        raise ValueError(f"{bad}: the wire carries finite numbers only")
    return msgspec.Raw(body)


def copy_attrs(header: FrameHeader) -> msgspec.Raw | None:
    """Take a header's attrs over into an event; None if there are none or they do not fit.

    A source may send anything there. What a client would refuse (extension types, NaN, keys that
    are not text) must not spoil the event that carries it.
    """
    if not header.attrs:
        return None
    raw = bytes(header.attrs)  # a copy: else the whole header lives as long as the event
    try:
        plain = _is_plain(msgspec.msgpack.decode(raw))
    except (ValueError, RecursionError):
        return None
    return msgspec.Raw(raw) if plain else None


def to_jsonable(message: msgspec.Struct) -> dict[str, Any]:  # Any: JSON
    """Turn a message into what `json.dumps` takes, keys in canonical order.

    `bin` becomes ``{"$bin": hex}``; attrs are decoded.
    """
    value: dict[object, object] = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    return {str(key): _jsonable(item) for key, item in value.items()}


def _floats(value: object, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for key in value.__struct_fields__:
            yield from _floats(getattr(value, key), f"{path}.{key}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _floats(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _floats(item, f"{path}[{place}]")


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value.encode()) <= _TEXT_BYTES_MAX
    if isinstance(value, dict):
        if len(value) > _ENTRIES_MAX:
            return False
        return all(
            isinstance(key, str) and _is_plain(key) and _is_plain(item)
            for key, item in value.items()
        )
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, bytes))


def _jsonable(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, bytes):
        return {"$bin": value.hex()}
    return value
