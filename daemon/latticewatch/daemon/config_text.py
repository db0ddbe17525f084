"""How settings are read and spoken about: a line for each mistake, a commented default file.

It works on any pydantic model and knows no setting by name.
"""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

__all__ = ["ConfigError", "commented_toml", "describe", "merge", "read_toml", "stray_variables"]

_LINE_WIDTH = 96
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_BOUND_OF_ERROR = {
    "greater_than_equal": "ge",
    "greater_than": "gt",
    "less_than_equal": "le",
    "less_than": "lt",
}
_SENTENCES = {
    "extra_forbidden": "unknown",
    "missing": "missing",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must not be empty",
    "literal_error": "must be one of {expected}",
    "finite_number": "must be finite",
    "too_long": "must have {max_length} entries",
}
# Families of pydantic's error types: bool_parsing, bool_type, int_from_float, ...
_FAMILIES = {
    "bool": "must be true or false",
    "int": "must be a whole number",
    "float": "must be a number",
    "string": "must be text in quotes",
    "tuple": "must be a list",
    "model": "must be a table of settings",
}


class ConfigError(ValueError):
    """The operator's settings are wrong; one line of text per mistake, all of them at once.

    Parameters
    ----------
    lines
        One complete sentence per mistake, each opening with the dotted path of the setting.
    """

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read_toml(path: Path) -> dict[str, Any]:  # Any: nothing is known before validation
    """Return the tables of a TOML file.

    Raises
    ------
    ConfigError
        If there is no such file, or no TOML in it.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([f"{path}: {reason}: `latticewatch config init` writes one"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 text at byte {error.start}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not TOML: {error}"]) from error


def merge(
    below: Mapping[str, Any],  # Any: nothing is known before validation
    above: Mapping[str, Any],
) -> dict[str, Any]:
    """Lay one tree of settings over another.

    Examples
    --------
    >>> merge({"a": {"x": 1, "y": 2}, "b": {"z": 3}}, {"a": {"x": 4}, "b": 5})
    {'a': {'x': 4, 'y': 2}, 'b': 5}
    """
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        if isinstance(under, dict) and isinstance(value, dict):
            merged[name] = merge(under, value)
        else:
            merged[name] = value
    return merged


def describe(error: ValidationError, *, model: type[BaseModel]) -> list[str]:
    """Return one line for each mistake in `error`, each with its dotted path.

    Parameters
    ----------
    error
        What pydantic found, all of it.
    model
        The settings that were tried; names near an unknown one are looked up in it.
    """
    known = dict(_walk(model))
    return [_describe_one(detail, known=known) for detail in error.errors()]


def _describe_one(detail: ErrorDetails, *, known: dict[str, FieldInfo]) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{path}: unknown{_nearest(path, known=list(known))}"
    if detail["type"] == "missing":
        return f"{path}: missing"
    sentence = _sentence(detail, unit=_unit(known.get(path)))
    if isinstance(detail["input"], BaseModel | dict) and not detail["type"].startswith("model"):
        return f"{path}: {sentence}"  # a rule over a whole section has no single value to show
    return f"{path} = {_toml_value(detail['input'])}: {sentence}"


def _sentence(detail: ErrorDetails, *, unit: str) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if bound := _BOUND_OF_ERROR.get(kind):
        return f"must be {_BOUNDS[bound]} {context[bound]}{unit}"
    if sentence := _SENTENCES.get(kind):
        return sentence.format(**context)
    return _FAMILIES.get(kind.split("_")[0], detail["msg"].lower())


def _nearest(path: str, *, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(path, known, n=1, cutoff=0.75)
    if not close:  # the name may be right and stand in the wrong section
        last = path.rpartition(".")[2]
        close = [name for name in known if name.rpartition(".")[2] == last]
    return f", did you mean {close[0]}?" if close else ""


def stray_variables(*, variables: Sequence[str], prefix: str, sections: Sequence[str]) -> list[str]:
    """Return one line for each variable that names a section which does not exist.

    Pydantic skips those without a word. A variable without a double underscore is left alone:
    it is no setting.
    """
    lines = []
    for variable in variables:
        section, nested, _ = variable.removeprefix(prefix).lower().partition("__")
        if not variable.startswith(prefix) or not nested or section in sections:
            continue
        lines.append(f"{variable}: unknown section{_nearest(section, known=sections)}")
    return lines


def _walk(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        path = f"{above}{name}"
        yield path, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk(field.annotation, f"{path}.")


def _unit(field: FieldInfo | None) -> str:
    extra = field.json_schema_extra if field else None
    return f" {extra['unit']}" if isinstance(extra, dict) and "unit" in extra else ""


def commented_toml(settings: BaseModel) -> str:
    """Return a TOML file with every value of `settings`, its meaning, unit and range.

    A value of None is written as a comment, since TOML has no word for it.
    """
    lines = [
        "# Settings of the latticewatch daemon: every one of them, with its default.",
        "# Unknown names are refused. An environment variable wins over this file:",
        "# LATTICEWATCH_INGEST__HWM=8 is hwm in [ingest].",
    ]
    for name in type(settings).model_fields:
        lines += _section(getattr(settings, name), path=name)
    return "\n".join(lines) + "\n"


def _section(section: BaseModel, *, path: str) -> list[str]:
    fields = type(section).model_fields
    inner = [name for name in fields if isinstance(getattr(section, name), BaseModel)]
    lines = []
    if len(inner) < len(fields):
        lines += ["", f"# {type(section).__doc__}".rstrip(), f"[{path}]"]
    for name, field in fields.items():
        if name not in inner:
            lines += _setting(name, field, getattr(section, name))
    for name in inner:
        lines += _section(getattr(section, name), path=f"{path}.{name}")
    return lines


def _setting(name: str, field: FieldInfo, value: object) -> list[str]:
    words = f"{field.description or ''} {_range(field)}".split()
    lines, line = [], "#"
    for word in words:
        if len(line) + 1 + len(word) > _LINE_WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    text = f"# {name} =" if value is None else f"{name} = {_toml_value(value)}"
    return [*lines, line, text]


def _range(field: FieldInfo) -> str:
    bounds = [
        f"{phrase} {getattr(constraint, bound)}"
        for constraint in field.metadata
        for bound, phrase in _BOUNDS.items()
        if hasattr(constraint, bound)
    ]
    unit = _unit(field)
    return f"({', '.join(bounds)}{unit})" if bounds else ""


def _toml_value(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    if isinstance(value, bool | str):
        return json.dumps(value)  # the two languages agree on these
    return str(value)
