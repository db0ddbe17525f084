"""Every setting of the daemon: its default, unit and range, and where its value comes from.

A file is TOML; an environment variable such as ``LATTICEWATCH_INGEST__HWM=8`` wins over it.
How mistakes and the commented default file are worded is in `config_text`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from latticewatch.daemon import config_text
from latticewatch.daemon.config_detect import (
    DetectorsSettings,
    DetectSettings,
    PattersonSettings,
    Section,
)
from latticewatch.daemon.config_material import MaterialSettings
from latticewatch.daemon.config_rules import Endpoint, Host, Whole, clashes, unit
from latticewatch.daemon.config_text import ConfigError
from latticewatch.wire.frames import SOURCE_PATTERN

__all__ = [
    "ComputeSettings",
    "ConfigError",
    "DetectSettings",
    "DetectorsSettings",
    "EventsSettings",
    "HttpSettings",
    "IngestSettings",
    "LogSettings",
    "MaterialSettings",
    "PattersonSettings",
    "Settings",
    "SourceSettings",
    "default_toml",
    "load_settings",
    "settings_schema",
]

ENVIRONMENT_PREFIX = "LATTICEWATCH_"


class SourceSettings(Section):
    """Whose frames this process watches."""

    name: str = Field(
        default="haadf1",
        pattern=f"^{SOURCE_PATTERN}$",
        description="Name of the source; frames under another name are refused. "
        "a-z, 0-9, _ and -, at most 32.",
    )


class IngestSettings(Section):
    """How frames come in."""

    endpoint: Endpoint = Field(
        default="tcp://127.0.0.1:5610",
        description="Where the daemon waits for frames; port * takes a free one.",
    )
    mode: Literal["live", "lossless"] = Field(
        default="live",
        description="live: the newest frame wins, older ones are dropped and counted. "
        "lossless: nothing is dropped, the sender waits.",
    )
    hwm: Whole = Field(
        default=4, ge=1, le=64,
        description="High-water mark of the socket; every message more is one more frame of age.",
    )  # fmt: skip
    max_message_mib: Whole = Field(
        default=128, ge=1, le=1024, json_schema_extra=unit("MiB"),
        description="Largest part of a message; the connection of a larger one is cut.",
    )  # fmt: skip
    max_age_ms: Whole = Field(
        default=1000, ge=0, le=3_600_000, json_schema_extra=unit("ms"),
        description="Live mode: a frame older than this when its turn comes is dropped as stale. "
        "0 switches the check off.",
    )  # fmt: skip
    clock_synchronised: bool = Field(
        default=False,
        description="Whether the source keeps the same UTC as this computer. If so age counts "
        "from the end of the last pixel, otherwise from receipt.",
    )
    verify_crc: bool = Field(default=True, description="Check the pixels where a crc32 is sent.")
    queue: Whole = Field(
        default=8, ge=1, le=1024,
        description="Lossless mode: frames that wait in the daemon before the sender does.",
    )  # fmt: skip
    shard: tuple[Whole, Whole] = Field(
        default=(0, 1),
        description="[k, n]: this process takes the frames whose number leaves k when divided "
        "by n. [0, 1] takes all.",
    )

    @field_validator("shard")
    @classmethod
    def _shard_is_a_remainder(cls, shard: tuple[int, int]) -> tuple[int, int]:
        k, n = shard
        if not 0 <= k < n <= 1024:
            raise ValueError("must be [k, n] with 0 <= k < n <= 1024")
        return shard


class EventsSettings(Section):
    """What goes out."""

    endpoint: Endpoint = Field(
        default="tcp://127.0.0.1:5611",
        description="Where clients subscribe to events; port * takes a free one.",
    )
    hwm: Whole = Field(
        default=1000, ge=1, le=100_000,
        description="Messages kept for a slow client before it loses some.",
    )  # fmt: skip
    max_defects: Whole = Field(
        default=256, ge=1, le=1024,
        description="Most defects in one event; the strongest evidence stays.",
    )  # fmt: skip
    copy_attrs: bool = Field(
        default=False, description="Copy the vendor metadata of the frame into its event."
    )
    valid_for_ms: Whole = Field(
        default=1000, ge=1, le=3_600_000, json_schema_extra=unit("ms"),
        description="Age at which a controller must no longer act on an event.",
    )  # fmt: skip
    heartbeat_ms: Whole = Field(
        default=250, ge=50, le=250, json_schema_extra=unit("ms"),
        description="Pause between heartbeats; clients take three missing at 250 ms for a loss.",
    )  # fmt: skip


class HttpSettings(Section):
    """Metrics and health, read-only."""

    host: Host = Field(
        default="127.0.0.1", description="Address of /metrics, /healthz and /readyz."
    )
    port: Whole = Field(
        default=5619, ge=0, le=65535, description="Port of the same; 0 takes a free one."
    )


class ComputeSettings(Section):
    """What the loop may use."""

    threads: Whole = Field(
        default=1,
        ge=1,
        le=1,
        description="Threads of parallel kernels; no kernel of this version is parallel, so 1. "
        "Linear algebra always has one.",
    )


class LogSettings(Section):
    """What the operator reads on standard error."""

    format: Literal["console", "json"] = Field(default="console", description="Form of a line.")
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )


class Settings(BaseSettings):
    """All settings of one daemon process, frozen.

    Built by `load_settings`; as an object it can also be built from keyword arguments, which
    then win over the environment.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        validate_default=True,
    )

    source: SourceSettings = SourceSettings()
    ingest: IngestSettings = IngestSettings()
    events: EventsSettings = EventsSettings()
    http: HttpSettings = HttpSettings()
    material: MaterialSettings = MaterialSettings()
    detect: DetectSettings = DetectSettings()
    detectors: DetectorsSettings = DetectorsSettings()
    compute: ComputeSettings = ComputeSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give the environment the last word over the file, and read nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def _says_nothing(_: DetectorsSettings) -> list[str]:
    return []


def load_settings(
    path: Path | None = None,
    *,
    model_mistakes: Callable[[DetectorsSettings], list[str]] = _says_nothing,
) -> Settings:
    """Read and validate a settings file, with the environment on top.

    Parameters
    ----------
    path
        A TOML file; None takes every default.
    model_mistakes
        Finds what is wrong with the models, so that it is told with the mistakes in the settings.
        Alone it raises nothing here: an artifact is refused by whoever loads it.

    Raises
    ------
    ConfigError
        With one line for every mistake in file and environment together.
    """
    values = {} if path is None else config_text.read_toml(path)
    stray = config_text.stray_variables(
        variables=list(os.environ), prefix=ENVIRONMENT_PREFIX, sections=list(Settings.model_fields)
    )
    lines: list[str] = []
    try:
        merged = config_text.merge(values, EnvSettingsSource(Settings)())
        settings = Settings(**values)
    except SettingsError as error:
        # Only a list or table in a variable can end here; the parser stops at the first one.
        reason = error.__cause__ or error
        raise ConfigError([*stray, f"environment: {error}: {reason}"]) from error
    except ValidationError as error:
        lines = config_text.describe(error, model=Settings)
    defaults = {name: field.default.model_dump() for name, field in Settings.model_fields.items()}
    lines += clashes(config_text.merge(defaults, merged)) + stray
    if lines:
        raise ConfigError(lines + _of_detectors(merged, model_mistakes))
    return settings


def _of_detectors(
    values: dict[str, Any],  # Any: nothing is known before validation
    model_mistakes: Callable[[DetectorsSettings], list[str]],
) -> list[str]:
    try:
        return model_mistakes(DetectorsSettings.model_validate(values.get("detectors", {})))
    except ValidationError:
        return []  # told already


def settings_schema() -> dict[str, Any]:  # Any: JSON
    """Return the JSON Schema of a settings file, for editors."""
    return Settings.model_json_schema()


def default_toml() -> str:
    """Return a commented settings file that holds every default with its unit and range."""
    return config_text.commented_toml(Settings())
