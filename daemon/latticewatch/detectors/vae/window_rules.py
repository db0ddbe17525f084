"""How a model file keeps the rule of a mode that looks at windows: one header entry a number."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def read_entries(kind: Any, mode: str, header: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Read what a rule was written as, out of a header that may hold more.

    Parameters
    ----------
    kind
        Dataclass of the rule; each field has a default, which gives its type.
    mode
        That the header must say.
    header
        JSON values.

    Raises
    ------
    ValueError
        Another mode, or an entry that is missing or of another type.
    """
    if header.get("mode") != mode:
        raise ValueError(f"mode is {header.get('mode')!r}: expected {mode!r}")
    entries: dict[str, Any] = {}
    for one in fields(kind):
        value = header.get(one.name)
        right = (int, float) if isinstance(one.default, float) else type(one.default)
        if not isinstance(value, right) or isinstance(value, bool):
            raise ValueError(f"{one.name} = {value!r} is no {type(one.default).__name__}")
        entries[one.name] = value
    return entries
