"""What an ONNX file holds, read from its bytes alone: no library, nothing is run or opened.

A network of ours has a handful of operators and its numbers inside. Anything else, functions, loops
and numbers kept in other files among it, is refused before a runtime sees the file. Field numbers
are those of onnx.proto3.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from latticewatch.detectors.protocols import ModelError

MOST_BYTES = 4 * 2**20
_OPSETS = range(13, 23)
# Fields of ModelProto, GraphProto, NodeProto, TensorProto and OperatorSetIdProto.
_GRAPH, _OPSET, _FUNCTIONS = 7, 8, 25
_NODE, _INITIALIZER = 1, 5
_OPERATOR, _NODE_DOMAIN, _ATTRIBUTE = 4, 7, 5
_SUBGRAPHS = (6, 11)
_EXTERNAL, _LOCATION = 13, 14
_DOMAIN, _VERSION = 1, 2
_BYTES, _VARINT = 2, 0


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    value: bytes | int

    @property
    def content(self) -> bytes:
        if not isinstance(self.value, bytes):
            raise ValueError("a number where a message should be")
        return self.value


def refuse_foreign(
    content: bytes, where: str, operators: Set[str], *, most_bytes: int = MOST_BYTES
) -> None:
    """Refuse an ONNX file that is too large, or holds what our networks do not.

    Parameters
    ----------
    content
        Of the file.
    where
        Its name, for messages.
    operators
        All that it may hold.
    most_bytes
        All that it may be long.

    Raises
    ------
    ModelError
        One line that names what was found and what was expected.
    """
    if len(content) > most_bytes:
        raise ModelError(f"{where}: the network has {len(content)} bytes, at most {most_bytes}")
    try:
        wrong = _foreign(content, operators)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ModelError(f"{where}: the network is no ONNX file ({error})") from error
    if wrong:
        raise ModelError(f"{where}: the network has {wrong}")


def _foreign(content: bytes, operators: Set[str]) -> str:
    """Say what speaks against a file, or nothing."""
    fields = list(_fields(content))
    graphs = [one.content for one in fields if one.number == _GRAPH]
    if len(graphs) != 1:
        raise ValueError(f"{len(graphs)} graphs, expected 1")
    if any(one.number == _FUNCTIONS for one in fields):
        return "functions of its own, expected none"
    for one in fields:
        if one.number == _OPSET and (wrong := _foreign_opset(one.content)):
            return wrong
    for one in _fields(graphs[0]):
        if one.number == _NODE and (wrong := _foreign_node(one.content, operators)):
            return wrong
        if one.number == _INITIALIZER and _is_elsewhere(one.content):
            return "numbers in another file, expected all inside"
    return ""


def _foreign_opset(content: bytes) -> str:
    domain, version = "", 0
    for one in _fields(content):
        if one.number == _DOMAIN:
            domain = one.content.decode()
        elif one.number == _VERSION:
            version = int(one.value)
    if domain not in ("", "ai.onnx"):
        return f"operators of {domain!r:.40}, expected those of ONNX alone"
    if version not in _OPSETS:
        return f"opset {version}, expected {_OPSETS.start} to {_OPSETS.stop - 1}"
    return ""


def _foreign_node(content: bytes, operators: Set[str]) -> str:
    for one in _fields(content):
        if one.number == _OPERATOR and (name := one.content.decode()) not in operators:
            return f"an operator {name!r:.40}, expected {', '.join(sorted(operators))}"
        if one.number == _NODE_DOMAIN and one.content not in (b"", b"ai.onnx"):
            return f"an operator of {one.content.decode()!r:.40}, expected those of ONNX alone"
        if one.number == _ATTRIBUTE and any(
            part.number in _SUBGRAPHS for part in _fields(one.content)
        ):
            return "a graph inside an operator, expected none"
    return ""


def _is_elsewhere(content: bytes) -> bool:
    return any(
        one.number == _EXTERNAL or (one.number == _LOCATION and one.value != 0)
        for one in _fields(content)
    )


def _fields(content: bytes) -> Iterator[_Field]:
    """Fields of a protobuf message."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(content, at)
            yield _Field(key >> 3, number)
            continue
        if kind == _BYTES:
            length, at = _varint(content, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + length > len(content):
            raise ValueError("it ends too early")
        yield _Field(key >> 3, content[at : at + length])
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without an end")
