"""One kind of site, as people and model files know it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from latticewatch.detectors.protocols import ModelError

MOST_NAME = 64
MOST_AUTOMATIC_NAME = 200
LARGEST_ID = 2**31 - 1
NEW_NAME = "new"
"""What events call a defect that no class fits: no class has this name."""
ROLES = ("pristine", "defect", "neighbour", "proposed")
KINDS = ("none", "vacancy", "deficit", "excess", "extra", "displaced", "unknown")
_LARGEST = float(np.finfo(np.float32).max)
_KIND_OF: dict[str, type] = {
    **{"class_id": int, "name": str, "automatic_name": str, "named_by_user": bool},
    **{"role": str, "kind": str, "sublattice": int, "n_members": int, "stands_beside": list},
}


@dataclass(frozen=True, slots=True)
class MotifClass:
    """One kind of site.

    Attributes
    ----------
    class_id
        At least 1; stays through refits, and is never given to another kind.
    name
        Shown: the user's, or else `automatic_name`.
    automatic_name
        From physics.
    named_by_user
        A refit keeps the name.
    role
        "pristine", "defect", "neighbour" of a defect, or "proposed" while a daemon runs.
    kind
        Word of the protocol for a defect; "none" for others.
    sublattice
        That most members are on, 0 the brightest; -1 for several.
    n_members
        Sites of the fit.
    stands_beside
        Ids of the defects that a neighbour stands beside.
    intensity_ratio
        Of the central column to that of pristine sites; None where it cannot be told.
    """

    class_id: int
    name: str
    automatic_name: str
    named_by_user: bool
    role: str
    kind: str
    sublattice: int
    n_members: int
    stands_beside: tuple[int, ...] = ()
    intensity_ratio: float | None = None


def plain_name(name: str) -> str:
    """Return a name as it is kept, with single spaces and none at its ends.

    Raises
    ------
    ValueError
        It is empty, longer than 64 characters, not plain text in one line, or "new".
    """
    if not name.isprintable():
        raise ValueError(f"{name!r:.80}: a name has no control characters or line breaks")
    plain = " ".join(name.split())
    if not plain:
        raise ValueError("a class cannot have an empty name")
    if len(plain) > MOST_NAME:
        raise ValueError(f"{plain[:20]!r}...: {len(plain)} characters, at most {MOST_NAME}")
    if plain.casefold() == NEW_NAME:
        raise ValueError(f"{plain!r}: that is what events say of a defect that no class fits")
    return plain


def twin_of(name: str, others: Iterable[MotifClass]) -> MotifClass | None:
    """Return the class that has this name already, in whatever case; None where there is none."""
    folded = name.casefold()
    return next((one for one in others if one.name.casefold() == folded), None)


def classes_in(header: Mapping[str, Any], where: str) -> tuple[MotifClass, ...]:  # Any: JSON
    """Read the classes of a model out of its header.

    Raises
    ------
    ModelError
        Something in one of them is missing or odd; the message opens with `where`.
    """
    found = header.get("classes")
    if not isinstance(found, list) or not found:
        raise ModelError(f"{where}: classes: expected a list of one or more")
    classes: list[MotifClass] = []
    for row, raw in enumerate(found):
        at = f"{where}: classes[{row}]"
        one = _class_of(raw, at)
        twin = twin_of(one.name, classes)
        if twin is not None:
            raise ModelError(f"{at}.name = {one.name!r}: is the name of class {twin.class_id}")
        classes.append(one)
    return tuple(classes)


def _class_of(found: object, where: str) -> MotifClass:
    if not isinstance(found, dict):
        raise ModelError(f"{where}: expected a map")
    for name, kind in _KIND_OF.items():
        value = found.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ModelError(f"{where}.{name} = {value!r:.40}, expected {kind.__name__}")
    try:
        name = plain_name(found["name"])
    except ValueError as error:
        raise ModelError(f"{where}.name: {error}") from None
    ratio, beside = found.get("intensity_ratio"), found["stands_beside"]
    claims = {
        "intensity_ratio": ratio is None or (_is_number(ratio) and 0 <= ratio <= _LARGEST),
        "role": found["role"] in ROLES,
        "kind": found["kind"] in KINDS,
        "class_id": 1 <= found["class_id"] <= LARGEST_ID,
        "n_members": 0 <= found["n_members"] <= LARGEST_ID,
        "sublattice": -1 <= found["sublattice"] <= LARGEST_ID,
        "stands_beside": all(_is_id(one) for one in beside),
        "automatic_name": _is_automatic_name(found["automatic_name"]),
    }
    for claim, holds in claims.items():
        if not holds:
            raise ModelError(f"{where}.{claim} = {found[claim]!r:.80}, expected {_EXPECTED[claim]}")
    known = {one.name for one in fields(MotifClass)}
    plain = {key: value for key, value in found.items() if key in known}
    return MotifClass(**plain | {"name": name, "stands_beside": tuple(beside)})


_EXPECTED = {
    "intensity_ratio": "a number from 0, or null",
    "role": f"one of {', '.join(ROLES)}",
    "kind": f"one of {', '.join(KINDS)}",
    "class_id": f"1 to {LARGEST_ID}",
    "n_members": f"0 to {LARGEST_ID}",
    "sublattice": f"-1 to {LARGEST_ID}",
    "stands_beside": "ids of classes",
    "automatic_name": f"1 to {MOST_AUTOMATIC_NAME} printable characters",
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ID


def _is_automatic_name(name: str) -> bool:
    return bool(name.strip()) and len(name) <= MOST_AUTOMATIC_NAME and name.isprintable()
