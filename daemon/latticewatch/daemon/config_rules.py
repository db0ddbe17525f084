"""What a single setting may be, whatever its name: whole numbers, loopback addresses, units."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

__all__ = ["Endpoint", "Host", "Number", "Whole", "unit"]

_LOOPBACK_TCP = re.compile(r"tcp://(127(?:\.\d{1,3}){3}|localhost|\[::1\]):(\d{1,5}|\*)")


def _refuse_bool(value: object) -> object:
    # Python counts with True, so pydantic would read `hwm = true` as 1.
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _check_endpoint(value: object) -> object:
    if not isinstance(value, str):
        return value  # the type error is pydantic's to report
    match = _LOOPBACK_TCP.fullmatch(value)
    if match and (match[2] == "*" or int(match[2]) <= 65535):
        return value
    if value.startswith("ipc:///"):
        return value
    raise ValueError("must be tcp://127.0.0.1:PORT or ipc:///FOLDER/NAME; other hosts come later")


def _check_host(value: object) -> object:
    if value not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError("must be 127.0.0.1, ::1 or localhost; other hosts come later")
    return value


Whole = Annotated[int, BeforeValidator(_refuse_bool)]
Number = Annotated[float, BeforeValidator(_refuse_bool), Field(allow_inf_nan=False)]
Endpoint = Annotated[str, BeforeValidator(_check_endpoint)]
Host = Annotated[str, BeforeValidator(_check_host)]


def unit(name: str) -> dict[str, Any]:  # Any: the type that pydantic gives to this argument
    """Return what carries the unit of a setting into its schema and into messages."""
    return {"unit": name}
