"""Which pipeline judges a recording offline: settings, and a model fitted on itself."""

import io
import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from latticewatch.adapters.recorded import open_recording
from latticewatch.daemon.config import Settings
from latticewatch.daemon.fitting import FitRefusedError, FitReport
from latticewatch.daemon.models import MODEL_SUFFIX
from latticewatch.daemon.offline import analyze_recording
from latticewatch.daemon.offline_pipeline import (
    FitOnItself,
    offline_settings,
    with_detectors,
    with_models,
)
from latticewatch.daemon.offline_report import Report
from latticewatch.daemon.offline_results import Results
from latticewatch.daemon.reference_frames import Reference
from latticewatch.detectors import pretrained
from support.analyzing import without_times


class CopyingFitter:
    """Fits nothing: every recording gets the shipped model."""

    def fit(self, reference: Reference, *, out: Path, **_: object) -> FitReport:
        assert reference.images
        with resources.as_file(resources.files(pretrained) / f"mos2{MODEL_SUFFIX}") as path:
            shutil.copy(path, out)
        assert out.suffix == MODEL_SUFFIX
        return FitReport(out, sha256="", told="1 site", warnings=())


def analyze_by_itself(path: Path, folder: Path) -> list[dict[str, Any]]:
    folder.mkdir()
    recording, lines = open_recording(path), io.StringIO()
    choose = FitOnItself(fitter=CopyingFitter(), folder=folder, settings=offline_settings())
    analyze_recording(
        recording, choose(recording), Results(lines, plot_folder=None, report=Report(io.StringIO()))
    )
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_recording_judged_by_itself_gives_the_same_lines_in_every_run(
    crystal: Path, tmp_path: Path
) -> None:
    first = analyze_by_itself(crystal, tmp_path / "one")
    second = analyze_by_itself(crystal, tmp_path / "another")

    assert first[0]["detectors"][1]["artifact"] == "fitted:crystal.npy"
    assert [json.dumps(without_times(line)) for line in first] == [
        json.dumps(without_times(line)) for line in second
    ]


class RefusingFitter:
    """Fits nothing, and says so."""

    def fit(self, reference: Reference, *, out: Path, **_: object) -> FitReport:
        raise FitRefusedError(f"{reference.labels[0]}: 12 sites, 60 are needed for {out.name}")


def test_where_no_model_can_be_fitted_the_other_detectors_look(
    crystal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording, lines = open_recording(crystal), io.StringIO()
    choose = FitOnItself(fitter=RefusingFitter(), folder=tmp_path, settings=offline_settings())

    analyze_recording(
        recording, choose(recording), Results(lines, plot_folder=None, report=Report(io.StringIO()))
    )

    event = json.loads(lines.getvalue().splitlines()[0])
    assert (event["outcome"], [one["name"] for one in event["detectors"]]) == (
        "scored", ["reference_cell", "domains"]
    )  # fmt: skip
    assert "60 are needed" in (told := capsys.readouterr().err)
    assert "patterson does not look" in told


def test_where_no_model_can_be_fitted_and_nobody_else_looks_that_is_the_answer(
    crystal: Path, tmp_path: Path
) -> None:
    alone = with_detectors(offline_settings(), ("patterson",))
    choose = FitOnItself(fitter=RefusingFitter(), folder=tmp_path, settings=alone)

    with pytest.raises(FitRefusedError, match="60 are needed"):
        choose(open_recording(crystal))


class RefusingPatterson:
    """Fits symmetry with a shipped model, and nothing else."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fit(self, reference: Reference, *, out: Path, detector: str, **_: object) -> FitReport:
        self.asked.append(detector)
        if detector != "symmetry":
            raise FitRefusedError(f"{reference.labels[0]}: 12 sites, 60 are needed")
        with resources.as_file(
            resources.files(pretrained) / f"mos2-symmetry{MODEL_SUFFIX}"
        ) as path:
            shutil.copy(path, out)
        return FitReport(out, sha256="", told="1 site", warnings=())


def test_where_nobody_finds_points_motifs_are_left_out_too_and_the_rest_looks(
    crystal: Path, tmp_path: Path
) -> None:
    names = ("patterson", "symmetry", "motifs")
    told: list[str] = []
    fitter = RefusingPatterson()
    choose = FitOnItself(
        fitter=fitter,
        folder=tmp_path,
        settings=with_detectors(offline_settings(), names),
        names=names,
        tell=told.append,
    )
    recording, lines = open_recording(crystal), io.StringIO()
    analyze_recording(
        recording, choose(recording), Results(lines, plot_folder=None, report=Report(io.StringIO()))
    )
    event = json.loads(lines.getvalue().splitlines()[0])
    assert [one["name"] for one in event["detectors"]] == ["symmetry"]
    assert fitter.asked == ["patterson", "symmetry"]
    assert any("motifs names what others find" in line for line in told)


def test_settings_make_room_for_every_defect_and_keep_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATTICEWATCH_DETECT__FDR", "0.2")

    settings = offline_settings()

    assert settings.events.max_defects == 1024
    assert settings.detect.fdr == 0.2


def test_a_model_is_for_the_detector_that_it_says() -> None:
    settings, to_fit = with_models(Settings(), [Path("pretrained:srtio3")])

    assert settings.detectors.patterson.model == "pretrained:srtio3"
    assert to_fit == []
    assert with_models(Settings(), [])[1] == ["patterson"]


def test_models_that_contradict_the_choice_of_detectors_are_refused() -> None:
    model = Path("pretrained:mos2")

    with pytest.raises(ValueError, match="are both for patterson: give one"):
        with_models(Settings(), [model, model])
    with pytest.raises(ValueError, match="which does not look: add it to --detectors"):
        with_models(with_detectors(Settings(), ("reference_cell",)), [model])
