"""A model is taken whole and consistent, or refused in one line that names what is wrong."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.model_choices import late_names, require_detector
from latticewatch.daemon.models import ModelSet, load_models, load_patterson
from latticewatch.detectors import pretrained
from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.patterson.fit import FitReport
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.protocols import ModelError
from support.crystals import CRYSTALS, in_force

WHERE = "my.model"
MODEL = in_force().detector.model
LATER = {
    *("step_px", "contrast", "level_low", "level_high", "residual_median", "residual_mad"),
    *("features", "image", "tail_width"),
}
NUMBERS = [
    name
    for name, value in MODEL.header().items()
    if isinstance(value, int | float) and name not in LATER
]  # all but the units


def artifact_with(
    *,
    detector: str = "patterson",
    header: dict[str, object] | None = None,
    arrays: dict[str, NDArray[Any]] | None = None,  # Any: both float widths
    without: str = "",
) -> Artifact:
    """Make the artifact of a shipped model with a change."""
    numbers = MODEL.header() | (header or {})
    members = MODEL.arrays() | (arrays or {})
    numbers.pop(without, None)
    members.pop(without, None)
    return Artifact(detector=detector, header=numbers, arrays=members, sha256="0" * 64)


def refusal_of(artifact: Artifact) -> str:
    with pytest.raises(ModelError) as refusal:
        PattersonModel.from_artifact(artifact, WHERE)
    message = str(refusal.value)
    assert message.startswith(f"{WHERE}: ")
    assert "\n" not in message
    return message


def test_model_comes_back_from_its_artifact() -> None:
    model = PattersonModel.from_artifact(artifact_with(), WHERE)

    assert model.header() == MODEL.header()
    for name, array in MODEL.arrays().items():
        assert np.array_equal(model.arrays()[name], array)


def test_fitted_model_comes_back_from_its_file(
    fitted: tuple[PattersonModel, FitReport], tmp_path: Path
) -> None:
    model, _ = fitted
    path = tmp_path / "a.model"
    write_artifact(path, detector="patterson", header=model.header(), arrays=model.arrays())

    loaded = load_patterson(str(path))

    assert loaded.artifact == str(path)
    assert loaded.detector.model.header() == model.header()
    assert ModelSet(loaded).describe()[0]["sha256"] == loaded.sha256


def test_equal_models_are_written_as_equal_files(tmp_path: Path) -> None:
    again = PattersonModel.from_artifact(artifact_with(), WHERE)
    digests = [
        write_artifact(
            tmp_path / name, detector="patterson", header=model.header(), arrays=model.arrays()
        )
        for name, model in (("a.model", MODEL), ("b.model", again))
    ]

    assert digests[0] == digests[1]


def test_model_of_another_method_is_refused() -> None:
    assert "motifs" in refusal_of(artifact_with(detector="motifs"))


@pytest.mark.parametrize("name", NUMBERS)
def test_absent_number_is_named(name: str) -> None:
    assert name in refusal_of(artifact_with(without=name))


def test_file_of_an_earlier_version_means_what_that_version_did() -> None:
    numbers = {name: value for name, value in MODEL.header().items() if name not in LATER}
    artifact = Artifact("patterson", numbers, MODEL.arrays(), "0" * 64)

    model = PattersonModel.from_artifact(artifact, WHERE)

    assert (model.features, model.image, model.step_px) == ("patterson", "frame", 1)
    assert (model.rule.contrast, model.rule.levels) == (1, (0.02, 0.98))
    assert model.residual_mad == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features", "pixel"),
        ("features", 1),
        ("image", None),
        ("step_px", 0),
        ("step_px", 2**20),
        ("contrast", 0),
        ("level_low", 0.99),
        ("level_high", 1.5),
        ("residual_mad", -1.0),
        ("tail_width", 0.0),
    ],
)
def test_value_out_of_range_of_a_later_field_is_refused(name: str, value: object) -> None:
    refusal_of(artifact_with(header={name: value}))


@pytest.mark.parametrize(
    "value",
    [None, True, "1", [1], {}, float("nan"), float("inf"), 10**400],
    ids=["null", "true", "text", "list", "map", "NaN", "infinity", "400 digits"],
)
@pytest.mark.parametrize("name", ["gamma", "scale", "polarity", "patch_size_px"])
def test_number_that_is_none_is_refused(name: str, value: object) -> None:
    assert name in refusal_of(artifact_with(header={name: value}))


@pytest.mark.parametrize("name", ["polarity", "min_distance_px", "patch_size_px", "cutoff"])
def test_fraction_is_no_whole_number(name: str) -> None:
    whole = MODEL.header()[name]

    refusal_of(artifact_with(header={name: whole + 0.5}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("smooth_sigma_px", 0.0),
        ("smooth_sigma_px", -3.0),
        ("smooth_sigma_px", 1e9),
        ("polarity", 0),
        ("polarity", 2),
        ("min_distance_px", 0),
        ("min_distance_px", 10**9),
        ("patch_size_px", 34),
        ("patch_size_px", -1),
        ("patch_size_px", 10**9 + 1),
        ("cutoff", 0),
        ("cutoff", 63),
        ("cutoff", 10**9),
        ("scale", 0.0),
        ("scale", -1.0),
        ("gamma", 0.0),
        ("gamma", -0.1),
        ("nu", 0.0),
        ("nu", 1.5),
        ("outlier_share", -0.1),
        ("outlier_share", 1.1),
        ("distance_scale", 0.0),
    ],
)
def test_number_out_of_range_is_refused(name: str, value: float) -> None:
    refusal_of(artifact_with(header={name: value}))


@pytest.mark.parametrize("name", MODEL.arrays())
def test_absent_empty_or_misshapen_array_is_named(name: str) -> None:
    array = MODEL.arrays()[name]

    assert name in refusal_of(artifact_with(without=name))
    assert name in refusal_of(artifact_with(arrays={name: array[:0]}))
    assert name in refusal_of(artifact_with(arrays={name: array[None]}))


@pytest.mark.parametrize("name", [name for name in MODEL.arrays() if name != "reference_decisions"])
def test_array_whose_size_disagrees_with_the_others_is_refused(name: str) -> None:
    refusal_of(artifact_with(arrays={name: MODEL.arrays()[name][:-1]}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("z_mad", 0.0),
        ("z_mad", -1.0),
        ("basis_px_yx", 0.0),
        ("basis_px_yx", 1.0),
    ],
)
def test_array_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    refusal_of(artifact_with(arrays={name: np.full_like(MODEL.arrays()[name], value)}))


def test_reference_must_ascend() -> None:
    falling = MODEL.reference_decisions[::-1].copy()

    assert "ascending" in refusal_of(artifact_with(arrays={"reference_decisions": falling}))


@pytest.mark.parametrize("name", ["mean", "components", "support", "mean_patch"])
def test_number_beyond_single_precision_is_refused(name: str) -> None:
    array = MODEL.arrays()[name].astype(np.float64)
    array.flat[0] = 1e300

    refusal_of(artifact_with(arrays={name: array}))


@pytest.mark.parametrize(
    "change", [{"probe_decision": MODEL.probe_decision + 0.5}, {"offset": MODEL.offset * 1.1}]
)
def test_model_that_does_not_give_its_own_answer_is_refused(change: dict[str, float]) -> None:
    detector = PattersonDetector(dataclasses.replace(MODEL, **change))  # type: ignore[arg-type]

    with pytest.raises(ModelError, match="probe"):
        detector.check_probe(WHERE)


@pytest.mark.parametrize("name", ["mean", "support", "dual"])
def test_model_whose_arrays_were_exchanged_is_refused(name: str) -> None:
    other = MODEL.arrays()[name][::-1] * np.float32(1.5)
    detector = PattersonDetector(
        PattersonModel.from_artifact(artifact_with(arrays={name: other}), WHERE)
    )

    with pytest.raises(ModelError, match="probe"):
        detector.check_probe(WHERE)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_shipped_models_give_their_own_answers(crystal: str) -> None:
    model = in_force(crystal)

    model.detector.check_probe(crystal)
    assert len(model.sha256) == 64
    assert len(ModelSet(model).digest) == 16


def test_every_model_in_the_list_is_shipped_and_no_other() -> None:
    others = {f"{crystal}-{name}" for crystal in CRYSTALS for name in ("vae", "symmetry", "motifs")}
    assert set(pretrained.MODELS) == set(CRYSTALS) | others


def test_name_of_no_shipped_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(ModelError, match="mos2, mos2-motifs, mos2-symmetry, mos2-vae, srtio3"):
        load_patterson("pretrained:graphene")


def test_a_shipped_model_without_its_prefix_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelError, match=r"^mos2: no such file, did you mean pretrained:mos2\?$"):
        load_patterson("mos2")


@pytest.mark.parametrize("name", ["pretrained:", "pretrained:../mos2", "pretrained:mos2.model"])
def test_only_names_of_the_list_are_looked_for(name: str) -> None:
    with pytest.raises(ModelError, match="no such model"):
        load_patterson(name)


@dataclasses.dataclass(frozen=True)
class Choice:
    enabled: bool = True
    model: str = "pretrained:mos2"
    always: bool = False
    late: bool = True
    gate: bool = True
    follow: bool = True
    propose: bool = True
    propose_after: int = 5


@dataclasses.dataclass(frozen=True)
class Choices:
    patterson: Choice
    reference_cell: Choice = Choice(enabled=False)
    domains: Choice = Choice(enabled=False)
    vae: Choice = Choice(enabled=False)
    symmetry: Choice = Choice(enabled=False)
    motifs: Choice = Choice(enabled=False)


def test_settings_choose_the_model() -> None:
    models = load_models(Choices(Choice()))
    assert models.patterson is not None
    assert models.patterson.sha256 == in_force().sha256


def test_no_model_is_read_where_none_is_asked_for() -> None:
    choices = Choices(Choice(enabled=False, model="no such file"), Choice())
    models = load_models(choices)
    assert (models.patterson, models.describe(), models.reference_cell) == (None, [], True)
    assert len(models.digest) == 16


def test_daemon_without_any_detector_is_refused() -> None:
    with pytest.raises(ModelError, match=r"detectors\.reference_cell\.enabled"):
        load_models(Choices(Choice(enabled=False)))


@pytest.mark.parametrize("name", ["vae", "symmetry"])
def test_any_late_detector_alone_has_nobody_to_follow(name: str) -> None:
    alone = Choices(Choice(enabled=False), **{name: Choice()})
    with pytest.raises(ModelError, match=rf"^detectors\.{name}\.late = true: .*nobody to follow"):
        require_detector(alone)


def test_two_late_detectors_alone_have_nobody_to_follow() -> None:
    alone = Choices(Choice(enabled=False), vae=Choice(), symmetry=Choice())
    with pytest.raises(ModelError, match=r"^detectors\.vae\.late and detectors\.symmetry\.late"):
        require_detector(alone)


@pytest.mark.parametrize("first", ["vae", "symmetry"])
def test_one_that_is_waited_for_may_answer_alone_and_another_follow_it(first: str) -> None:
    other = {"vae": "symmetry", "symmetry": "vae"}[first]
    waits = {first: Choice(late=False)}
    require_detector(Choices(Choice(enabled=False), **waits))
    require_detector(Choices(Choice(enabled=False), **waits, **{other: Choice()}))


def test_those_that_look_late_are_named() -> None:
    looks = Choices(Choice(), vae=Choice(late=False), symmetry=Choice())
    assert late_names(looks) == {"symmetry"}
    assert late_names(Choices(Choice())) == set()
