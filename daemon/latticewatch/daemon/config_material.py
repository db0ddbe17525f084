"""Settings of what the specimen is made of, and how the command line names it."""

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from latticewatch.daemon.config_detect import Section
from latticewatch.daemon.config_rules import Number, unit
from latticewatch.daemon.config_text import ConfigError, describe
from latticewatch.detectors.materials import MATERIALS, known_name
from latticewatch.detectors.pixel_size import PlaneNet

__all__ = ["MaterialSettings", "material_of"]

_NAMES = ", ".join(MATERIALS)
_RIGHT_ANGLE_DEG = 90.0


class MaterialSettings(Section):
    """What the specimen is, seen along the beam: where known, its lattice gives the pixel size."""

    name: str | None = Field(
        default=None,
        description=f"A material by name: {_NAMES}. Or its plane lattice, below.",
    )
    a_pm: Number | None = Field(
        default=None, ge=50, le=10_000, json_schema_extra=unit("pm"),
        description="A primitive lattice vector of what the image repeats.",
    )  # fmt: skip
    b_pm: Number | None = Field(
        default=None, ge=50, le=10_000, json_schema_extra=unit("pm"),
        description="Another one; as long as the first if left out.",
    )  # fmt: skip
    angle_deg: Number = Field(
        default=_RIGHT_ANGLE_DEG, ge=20, le=160, json_schema_extra=unit("degrees"),
        description="Between them.",
    )  # fmt: skip

    @field_validator("name")
    @classmethod
    def _name_is_known(cls, name: str | None) -> str | None:
        if name is not None and known_name(name) is None:
            raise ValueError(f"must be one of {_NAMES}, or give a_pm")
        return name and known_name(name)

    @field_validator("a_pm")
    @classmethod
    def _name_or_lattice(cls, a_pm: float | None, info: ValidationInfo) -> float | None:
        if a_pm is not None and info.data.get("name") is not None:
            raise ValueError("give either name or a_pm")
        return a_pm

    @field_validator("b_pm", "angle_deg")
    @classmethod
    def _others_need_first(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value in (None, _RIGHT_ANGLE_DEG):  # left out, or as good as that
            return value
        # A bad a_pm is not in `data` and has a line of its own.
        if "a_pm" in info.data and info.data["a_pm"] is None:
            if info.data.get("name") is not None:
                raise ValueError("give a_pm in place of name, or leave this out")
            raise ValueError("give a_pm, too")
        return value

    @property
    def net(self) -> PlaneNet | None:
        """The plane lattice; None where the material is not known."""
        if self.name is not None:
            return MATERIALS[self.name]
        if self.a_pm is None:
            return None
        return PlaneNet(self.a_pm, self.a_pm if self.b_pm is None else self.b_pm, self.angle_deg)


def material_of(text: str) -> MaterialSettings:
    """Read a material as the command line names it: ``MoS2``, or ``a_pm[,b_pm[,angle_deg]]``.

    Raises
    ------
    ConfigError
        With one line for every mistake.

    Examples
    --------
    >>> material_of("390.5").net
    PlaneNet(a_pm=390.5, b_pm=390.5, angle_deg=90.0)
    >>> material_of("graphene").net == material_of("246.4,246.4,120").net
    True
    """
    if known_name(text.strip()) is not None:
        return MaterialSettings(name=text.strip())
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3:
        raise ConfigError([f"{text!r}: expected one of {_NAMES}, or a_pm[,b_pm[,angle_deg]]"])
    try:
        return MaterialSettings.model_validate(
            dict(zip(("a_pm", "b_pm", "angle_deg"), numbers, strict=False))
        )
    except ValidationError as error:
        raise ConfigError(describe(error, model=MaterialSettings)) from error
