"""The golden messages of protocol version 1, and the program that writes their files.

``PYTHONPATH=tests python -m support.golden`` adds the files that are missing. It never changes
one that is there: what was published once stays readable.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from latticewatch.wire.codec import encode, pack_attrs
from latticewatch.wire.frames import (
    Context,
    FrameHeader,
    PartialContext,
    Roi,
    SourceEnd,
    SourceHeartbeat,
)
from support.golden_events import SESSION, SOURCE, T_NS, event_messages
from support.golden_status import status_messages

FOLDER: Final = Path(__file__).parents[1] / "data" / "golden" / "v1"

# Longer JSON is written without line breaks: nobody reads 256 defects.
_INDENTED_BYTES_MAX: Final = 20_000

# Maps whose keys are data: a new key there is a new entry, not a newer protocol.
_FREE_MAPS: Final = frozenset({"attrs", "detail", "latency_us"})


def golden_bytes() -> dict[str, bytes]:
    """Every golden message in canonical form, by name."""
    messages = {**_frames(), **_source_messages(), **event_messages(), **status_messages()}
    bodies = {name: encode(message) for name, message in messages.items()}
    return {"frame_minimal": msgspec.msgpack.encode(_minimal_frame()), **bodies}


def read_golden(name: str) -> tuple[bytes, Any]:  # Any: JSON
    """The committed bytes and JSON value of one message."""
    body = (FOLDER / f"{name}.msgpack").read_bytes()
    return body, json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def to_json_value(value: object) -> object:
    """Decoded MessagePack as JSON: `bin` as {"$bin": hex}."""
    if isinstance(value, dict):
        return {key: to_json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(item) for item in value]
    return {"$bin": value.hex()} if isinstance(value, bytes) else value


def from_json_value(value: object) -> object:
    """The inverse of `to_json_value`."""
    if isinstance(value, dict):
        if value.keys() == {"$bin"}:
            return bytes.fromhex(value["$bin"])
        return {key: from_json_value(item) for key, item in value.items()}
    return [from_json_value(item) for item in value] if isinstance(value, list) else value


def with_unknown_keys(value: object) -> object:
    """Add a key of a newer version to every map whose keys the protocol lists."""
    if isinstance(value, list):
        return [with_unknown_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    new: dict[str, object] = {"a_newer_key": {"deep": [1, None, b"\x00", "text"]}}
    for key, item in value.items():
        new[key] = item if key in _FREE_MAPS else with_unknown_keys(item)
    return new


def with_integral_floats_as_ints(value: object) -> object:
    """Write 2.0 as 2, as JavaScript does."""
    if isinstance(value, dict):
        return {key: with_integral_floats_as_ints(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_integral_floats_as_ints(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def write_missing(folder: Path) -> list[str]:
    """Write the files that are not there yet; return the names of those that would differ."""
    differing = []
    for name, body in golden_bytes().items():
        value = to_json_value(msgspec.msgpack.decode(body))
        indent = 1 if len(body) < _INDENTED_BYTES_MAX else None
        text = json.dumps(value, indent=indent) + "\n"
        path = folder / f"{name}.msgpack"
        if not path.exists():
            path.write_bytes(body)
            path.with_suffix(".json").write_text(text, encoding="utf-8")
        elif path.read_bytes() != body:
            differing.append(name)
    return differing


def _minimal_frame() -> dict[str, object]:
    """The required keys and nothing else."""
    return {
        "v": 1,
        "type": "frame",
        "source": SOURCE,
        "session": SESSION,
        "seq": 41,
        "shape_yx": [512, 512],
        "dtype": "<u2",
        "t_complete_ns": T_NS,
        "t_source": "software",
        "dropped": 2,
    }


def _frames() -> dict[str, FrameHeader]:
    minimal = msgspec.convert(_minimal_frame(), FrameHeader)
    full = _full_frame()
    replace = msgspec.structs.replace
    return {
        "frame_full": full,
        "frame_big_endian": replace(minimal, dtype=">u2"),
        "frame_partial": replace(full, seq=42, complete=False, part=3, valid_rows=96, crc32=None),
        "frame_uncalibrated": replace(
            minimal, seq=43, context=PartialContext(rotation_rad=-0.25), roi=Roi()
        ),
        "frame_sharded": replace(minimal, seq=46, shard=(1, 3), dropped=0),
    }


def _full_frame() -> FrameHeader:
    """The example of protocol.md 3.1."""
    return FrameHeader(
        source=SOURCE,
        session=SESSION,
        seq=41,
        shape_yx=(128, 192),
        dtype="<u2",
        t_complete_ns=T_NS,
        t_source="software",
        dropped=2,
        t_start_ns=T_NS - 50_000_000,
        t_error_ns=1_000_000,
        channel="HAADF",
        scan_id="8f0e7c52-6a0b-4c1d-9e2f-3a4b5c6d7e8f",
        frame_index=17,
        calibrated=True,
        context=Context(
            size_yx=(512, 1024),
            fov_nm_yx=(8.0, 16.0),
            center_nm_yx=(1.5, -2.0),
            rotation_rad=0.3,
        ),
        roi=Roi(center_frac_yx=(0.40, 0.65), size_frac_yx=(0.25, 0.1875), rotation_rad=0.2),
        dwell_ns=500.0,
        line_ns=146_000.0,
        flyback_ns=50_000.0,
        polarity="bright",
        full_scale=65_535.0,
        drift_nm_yx=(0.0, 0.0),
        valid_rows=128,
        command_id="c41d07a2",
        crc32=3_735_928_559,
        attrs=pack_attrs({"high_tension_v": 200_000}),
    )


def _source_messages() -> dict[str, SourceHeartbeat | SourceEnd]:
    return {
        "source_heartbeat": SourceHeartbeat(
            source=SOURCE,
            session=SESSION,
            last_seq=41,
            dropped=2,
            t_ns=0x18D75B843A357F95,
        ),
        "source_end": SourceEnd(
            source=SOURCE,
            session=SESSION,
            total=42,
            dropped=2,
            t_ns=T_NS + 250_000_000,
            reason="stopped",
        ),
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    if different := write_missing(FOLDER):
        sys.exit(f"these would change and were left alone: {', '.join(different)}")
