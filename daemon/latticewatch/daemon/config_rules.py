"""What a setting may be: whole numbers, loopback addresses, units; no address twice."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

__all__ = ["Endpoint", "Host", "Number", "Whole", "clashes", "unit"]

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


def clashes(values: Mapping[str, Any]) -> list[str]:  # Any: nothing is known before validation
    """Return one line for each address that an earlier setting has already taken.

    Parameters
    ----------
    values
        All settings before validation. What is no address has a mistake of its own, and port 0 or
        * is another one each time.

    Examples
    --------
    >>> taken = {"endpoint": "tcp://127.0.0.1:7"}
    >>> clashes({"ingest": taken, "events": taken, "http": {"host": "127.0.0.1", "port": 0}})
    ['events.endpoint = "tcp://127.0.0.1:7": is taken by ingest.endpoint: choose another']
    """
    lines, owners = [], dict[str, str]()
    for path, address in _addresses(values).items():
        place = _place(address)
        if place is None:
            continue
        owner = owners.setdefault(place, path)
        if owner != path:
            lines.append(f'{path} = "{address}": is taken by {owner}: choose another')
    return lines


def _addresses(values: Mapping[str, Any]) -> dict[str, object]:
    sections = {
        name: section if isinstance(section := values.get(name), dict) else {}
        for name in ("ingest", "events", "http")
    }
    host = sections["http"].get("host")
    host = f"[{host}]" if host == "::1" else host
    return {
        "ingest.endpoint": sections["ingest"].get("endpoint"),
        "events.endpoint": sections["events"].get("endpoint"),
        "http.port": f"tcp://{host}:{sections['http'].get('port')}",
    }


def _place(address: object) -> str | None:
    if not isinstance(address, str):
        return None
    if address.startswith("ipc:///"):
        return address
    match = _LOOPBACK_TCP.fullmatch(address)
    if match is None or match[2] == "*" or int(match[2]) == 0:
        return None
    host = "127.0.0.1" if match[1] == "localhost" else match[1]
    return f"{host}:{int(match[2])}"
