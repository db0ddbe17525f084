"""Settings of what looks at frames, and of when a place counts as a defect."""

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from latticewatch.daemon.config_rules import Number, Whole, unit

__all__ = [
    "DetectSettings",
    "DetectorsSettings",
    "MotifsSettings",
    "PattersonSettings",
    "Section",
    "SymmetrySettings",
    "VaeSettings",
]


class Section(BaseModel):
    """What all sections share: frozen, and an unknown name is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class DetectSettings(Section):
    """When a place counts as a defect: exactly one of the two rules."""

    fdr: Number | None = Field(
        default=0.05, gt=0, le=0.5,
        description="Expected share of false ones among the listed defects of a frame.",
    )  # fmt: skip
    false_alarms_per_frame: Number | None = Field(
        default=None, gt=0, le=1000, json_schema_extra=unit("defects per frame"),
        description="Expected false alarms in a frame without any defect, instead of fdr.",
    )  # fmt: skip

    dopants_are_defects: bool = Field(
        default=False,
        description="Whether columns of a second species, where there are many, count as defects; "
        "else they are listed apart, as excess with the flag dopant.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_rule_replaces_the_default(cls, values: object) -> object:
        # Whoever names the other rule has chosen; the default of fdr must not contradict.
        if isinstance(values, dict) and values.get("false_alarms_per_frame") is not None:
            return {"fdr": None} | values
        return values

    @field_validator("false_alarms_per_frame")
    @classmethod
    def _exactly_one_rule(cls, value: float | None, info: ValidationInfo) -> float | None:
        # A bad fdr is not in `data` and has a line of its own.
        if "fdr" in info.data and (info.data["fdr"] is None) == (value is None):
            raise ValueError("give exactly one of fdr and false_alarms_per_frame")
        return value


class PattersonSettings(Section):
    """The one-class machine on Patterson maps."""

    enabled: bool = Field(default=True, description="Whether this detector looks at frames.")
    model: str = Field(
        default="pretrained:mos2", min_length=1,
        description="pretrained:NAME for a shipped model, or the path of a fitted one, "
        "relative to the working folder.",
    )  # fmt: skip


class ReferenceCellSettings(Section):
    """The residual against the frame's own mean cell."""

    enabled: bool = Field(
        default=True, description="Whether this detector looks at frames; it needs no model."
    )


class DomainsSettings(Section):
    """Domains, boundaries, faults and amorphous patches by the amplitudes of reflections."""

    enabled: bool = Field(
        default=True, description="Whether this detector looks at frames; it needs no model."
    )
    always: bool = Field(
        default=False,
        description="Also at frames that hold the lattice everywhere; else only where a part does "
        "not, which is where lines and patches show.",
    )


class VaeSettings(Section):
    """What a small network, fitted to the crystal, cannot redraw."""

    enabled: bool = Field(default=False, description="Whether this detector looks at frames.")
    model: str = Field(
        default="pretrained:mos2-vae", min_length=1,
        description="pretrained:NAME for a shipped model, or the path of a fitted one, "
        "relative to the working folder.",
    )  # fmt: skip
    late: bool = Field(
        default=True,
        description="Whether what it finds follows in an event of its own (stage late), so that "
        "the event of the others does not wait for it; false: one event, after all have looked.",
    )


class SymmetrySettings(Section):
    """How far the texture is from that of the crystal the model knows: lines and patches."""

    enabled: bool = Field(default=False, description="Whether this detector looks at frames.")
    model: str = Field(
        default="pretrained:mos2-symmetry", min_length=1,
        description="pretrained:NAME for a shipped model, or the path of a fitted one, "
        "relative to the working folder.",
    )  # fmt: skip
    late: bool = Field(
        default=True,
        description="Whether what it finds follows in an event of its own (stage late), so that "
        "the event of the others does not wait for it; false: one event, after all have looked.",
    )
    gate: bool = Field(
        default=True,
        description="Whether the network in its model, if there is one, may take lines and patches "
        "off the list of which it calls every part clean.",
    )


class MotifsSettings(Section):
    """Classes of motifs that a model knows: they name what the other detectors find."""

    enabled: bool = Field(default=False, description="Whether defects are named.")
    model: str = Field(
        default="pretrained:mos2-motifs", min_length=1,
        description="pretrained:NAME for a shipped model, or the path of a fitted one, "
        "relative to the working folder.",
    )  # fmt: skip
    follow: bool = Field(
        default=False,
        description="Whether every site is looked at and followed from frame to frame, and told "
        "when its class changes, which takes 11 to 20 ms of each first event at 2,500 sites; "
        "false: only defects that an event lists are looked at, which takes 2 to 4 ms.",
    )
    propose: bool = Field(
        default=True,
        description="Whether defects that no class fits are collected, and groups of them that "
        "agree are proposed as classes while the stream runs.",
    )
    propose_after: Whole = Field(
        default=5, ge=3, le=1000, json_schema_extra=unit("sites"),
        description="Sites with such defects that must agree before a class is proposed.",
    )  # fmt: skip


class DetectorsSettings(Section):
    """The methods that look at each frame."""

    late_within_ms: Whole = Field(
        default=100, ge=1, le=3_600_000, json_schema_extra=unit("ms"),
        description="Age since receipt at which a late detector no longer begins with a frame; an "
        "answer that takes longer is counted, and published while events.valid_for_ms lasts. "
        "In lossless mode every frame is answered.",
    )  # fmt: skip

    patterson: PattersonSettings = Field(default=PattersonSettings())
    reference_cell: ReferenceCellSettings = Field(default=ReferenceCellSettings())
    domains: DomainsSettings = Field(default=DomainsSettings())
    vae: VaeSettings = Field(default=VaeSettings())
    symmetry: SymmetrySettings = Field(default=SymmetrySettings())
    motifs: MotifsSettings = Field(default=MotifsSettings())
