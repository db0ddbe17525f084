"""MessagePack bytes to messages, with msgpack alone; limits first."""

from typing import Any, Final

import msgpack

from latticewatch.client.errors import BadMessage, UnsupportedVersion
from latticewatch.client.messages import DefectEvent, Heartbeat, Message, Status
from latticewatch.client.reading import Reader, reader_of

VERSION: Final = 1

# Largest values the protocol allows; without them a few bytes could ask for gigabytes.
LIMITS: Final = {
    "max_str_len": 8192,
    "max_bin_len": 2**21,
    "max_array_len": 65_536,
    "max_map_len": 256,
    "max_ext_len": 0,
}

_READERS: Final[dict[str, Reader]] = {
    "defects": reader_of(DefectEvent),
    "status": reader_of(Status),
    "heartbeat": reader_of(Heartbeat),
    "welcome": reader_of(Heartbeat),
}


def unpack(body: bytes) -> dict[str, Any]:  # Any: not yet checked
    """Read one MessagePack map of a supported version; nothing else about it is checked.

    Raises
    ------
    BadMessage, UnsupportedVersion
    """
    try:
        value = msgpack.unpackb(body, **LIMITS)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise BadMessage(f"not MessagePack within limits: {str(error)[:200]}") from None
    if not isinstance(value, dict) or type(value.get("v")) is not int:
        raise BadMessage("expected a map with an integer v")
    if value["v"] != VERSION:
        raise UnsupportedVersion(
            f"daemon speaks protocol version {value['v']}, this client {VERSION}: "
            "install the same release on both"
        )
    return value


def to_message(value: dict[str, Any]) -> Message | None:  # Any: not yet checked
    """Check an unpacked map and turn it into its message; None for a type not known here.

    Raises
    ------
    BadMessage
    """
    kind = value.get("type")
    if not isinstance(kind, str):
        raise BadMessage("expected a map with a type")
    read = _READERS.get(kind)
    message: Message | None = None if read is None else read(value, kind)
    return message


def decode(body: bytes) -> Message | None:
    """Read one published message; None for a type that this version does not know.

    Raises
    ------
    BadMessage, UnsupportedVersion
    """
    return to_message(unpack(body))
