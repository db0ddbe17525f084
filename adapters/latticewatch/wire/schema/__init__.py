"""JSON Schema 2020-12 of every message, generated from the types; the files beside this one.

``python -m latticewatch.wire.schema`` writes them again.
"""

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from latticewatch.wire.events import DefectEvent, Heartbeat, Preview, Status, Welcome
from latticewatch.wire.frames import FrameHeader, SourceEnd, SourceHeartbeat

MESSAGES: Final[dict[str, type[msgspec.Struct]]] = {
    "frame": FrameHeader,
    "source_heartbeat": SourceHeartbeat,
    "source_end": SourceEnd,
    "defects": DefectEvent,
    "status": Status,
    "heartbeat": Heartbeat,
    "welcome": Welcome,
    "preview": Preview,
}
FOLDER: Final = Path(__file__).parent


def schema_of(name: str) -> dict[str, Any]:  # Any: JSON
    """Generate the schema of one message.

    Parameters
    ----------
    name
        A key of `MESSAGES`.
    """
    kind = MESSAGES[name]
    schema = msgspec.json.schema(kind)
    # The structs fill these two in, for whoever writes a message; on the wire they must stand.
    definition = schema["$defs"][kind.__name__]
    definition["required"] = ["v", "type", *definition["required"]]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"latticewatch protocol version 1: {name}",
    }
    return head | schema


def to_text(schema: dict[str, Any]) -> str:  # Any: JSON
    """Write a schema as it stands in its file."""
    return json.dumps(schema, indent=1) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write a file per message; return their paths."""
    paths = []
    for name in MESSAGES:
        path = folder / f"{name}.json"
        path.write_text(to_text(schema_of(name)), encoding="utf-8")
        paths.append(path)
    return paths
