"""Decoded MessagePack to frozen dataclasses, by their annotations; no idea which messages exist.

Unknown keys are skipped. A `float` may arrive as an integer, a `bool` is never a number, NaN and
infinity are refused. A key may be absent where the field has a default.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from latticewatch.client.errors import BadMessage

Reader = Callable[[object, str], Any]  # Any: what the annotation says
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Words:
    """Marks text of an open set: words that are not in it read as ``unknown``."""

    known: frozenset[str]


def not_on_wire(default: T) -> T:
    """Declare a field that the client fills in, whatever the message says."""
    value: T = field(default=default, metadata={"wire": False})
    return value


def reader_of(annotation: object) -> Reader:
    """Build the function that checks and converts one decoded value.

    Parameters
    ----------
    annotation
        int, float, str, bool, Any, `X | None`, a tuple, dict[str, X], Annotated[str, Words] or
        a dataclass of these.

    Returns
    -------
    callable
        Takes the value and its path, for messages; raises `BadMessage`.
    """
    for simple, read in _SIMPLE:
        if annotation is simple:
            return read
    if dataclasses.is_dataclass(annotation):
        return _dataclass_reader(typing.cast("type[object]", annotation))
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _words_reader(arguments[1].known)
    if origin in (types.UnionType, typing.Union):
        return _optional_reader(reader_of(arguments[0]))
    if origin is typing.Literal:
        return _literal_reader(arguments)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is dict:
        return _map_reader(reader_of(arguments[1]))
    raise TypeError(f"no reader for {annotation}")


def _read_int(value: object, path: str) -> int:
    if type(value) is not int:  # not isinstance: True is an int to Python
        raise BadMessage(f"{path}: expected an integer, got {_shown(value)}")
    return value


def _read_float(value: object, path: str) -> float:
    if type(value) not in (float, int):
        raise BadMessage(f"{path}: expected a number, got {_shown(value)}")
    number = float(typing.cast("float", value))
    if not math.isfinite(number):
        raise BadMessage(f"{path}: {number} is not finite")
    return number


def _read_str(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise BadMessage(f"{path}: expected text, got {_shown(value)}")
    return value


def _read_bool(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise BadMessage(f"{path}: expected true or false, got {_shown(value)}")
    return value


def _read_any(value: object, _path: str) -> object:
    return value


_SIMPLE: Final[tuple[tuple[object, Reader], ...]] = (
    (int, _read_int),
    (float, _read_float),
    (str, _read_str),
    (bool, _read_bool),
    (Any, _read_any),
)


def _optional_reader(read: Reader) -> Reader:
    return lambda value, path: None if value is None else read(value, path)


def _words_reader(known: frozenset[str]) -> Reader:
    def read(value: object, path: str) -> str:
        word = _read_str(value, path)
        return word if word in known else "unknown"

    return read


def _literal_reader(allowed: tuple[object, ...]) -> Reader:
    def read(value: object, path: str) -> object:
        # The type too: True == 1.
        if not any(value == word and type(value) is type(word) for word in allowed):
            raise BadMessage(f"{path}: {_shown(value)} is none of {allowed}")
        return value

    return read


def _tuple_reader(arguments: tuple[object, ...]) -> Reader:
    if arguments[-1] is Ellipsis:
        read_item = reader_of(arguments[0])

        def read_all(value: object, path: str) -> tuple[object, ...]:
            items = _read_list(value, path)
            return tuple([read_item(item, path) for item in items])

        return read_all
    readers = [reader_of(argument) for argument in arguments]

    def read_each(value: object, path: str) -> tuple[object, ...]:
        items = _read_list(value, path)
        if len(items) != len(readers):
            raise BadMessage(f"{path}: expected {len(readers)} items, got {len(items)}")
        return tuple([read(item, path) for read, item in zip(readers, items, strict=True)])

    return read_each


def _map_reader(read_item: Reader) -> Reader:
    def read(value: object, path: str) -> dict[str, object]:
        items = _read_map(value, path)
        return {_read_str(key, path): read_item(item, path) for key, item in items.items()}

    return read


def _dataclass_reader(cls: type[object]) -> Reader:
    hints = typing.get_type_hints(cls, include_extras=True)
    readers = [
        (entry.name, reader_of(hints[entry.name]), entry.default is dataclasses.MISSING)
        for entry in dataclasses.fields(typing.cast("Any", cls))  # Any: it is a dataclass
        if entry.metadata.get("wire", True)
    ]

    def read(value: object, path: str) -> object:
        items = _read_map(value, path)
        values = {}
        for name, read_field, is_required in readers:
            if name in items:
                values[name] = read_field(items[name], f"{path}.{name}")
            elif is_required:
                raise BadMessage(f"{path}.{name}: missing")
        return cls(**values)

    return read


def _read_list(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        raise BadMessage(f"{path}: expected an array, got {_shown(value)}")
    return value


def _read_map(value: object, path: str) -> Mapping[object, object]:
    if not isinstance(value, dict):
        raise BadMessage(f"{path}: expected a map, got {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
