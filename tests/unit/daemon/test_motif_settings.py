"""How motifs are asked for, and what is refused before anything runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from latticewatch.daemon.choosing import chosen_detectors
from latticewatch.daemon.cli import app
from latticewatch.daemon.config import load_settings
from latticewatch.daemon.models import ModelError, ModelSet, check_models, load_models
from latticewatch.daemon.offline_pipeline import offline_settings
from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.motifs.model import DETECTOR
from support.motif_frames import loaded, motif_model


def settings_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("asked", ["motifs", "domains,motifs", "symmetry,motifs"])
def test_motifs_without_a_detector_of_points_are_refused(asked: str) -> None:
    with pytest.raises(ValueError, match="motifs names what others find"):
        chosen_detectors(asked)


@pytest.mark.parametrize("asked", ["reference_cell,motifs", "patterson,motifs", "vae,motifs"])
def test_motifs_beside_a_detector_of_points_are_accepted(asked: str) -> None:
    assert chosen_detectors(asked)[-1] == "motifs"


def test_settings_with_motifs_alone_are_refused(tmp_path: Path) -> None:
    alone = "".join(
        f"[detectors.{name}]\nenabled = {'true' if name == 'motifs' else 'false'}\n"
        for name in ("patterson", "reference_cell", "motifs")
    )
    settings = load_settings(settings_of(tmp_path, alone))
    with pytest.raises(ModelError, match=r"detectors\.motifs\.enabled = true: it names points"):
        load_models(settings.detectors)


def test_a_missing_model_names_the_setting(tmp_path: Path) -> None:
    text = '[detectors.motifs]\nenabled = true\nmodel = "nowhere.model"\n'
    settings = load_settings(settings_of(tmp_path, text))
    with pytest.raises(ModelError, match=r"detectors\.motifs\.model: nowhere\.model"):
        check_models(settings.detectors)


def test_a_model_of_another_detector_is_refused(tmp_path: Path) -> None:
    text = '[detectors.motifs]\nenabled = true\nmodel = "pretrained:mos2"\n'
    settings = load_settings(settings_of(tmp_path, text))
    with pytest.raises(ModelError, match="model of patterson, expected motifs"):
        check_models(settings.detectors)


def test_nothing_is_named_unless_asked_for_and_nothing_proposed_offline() -> None:
    assert not load_settings().detectors.motifs.enabled
    assert load_settings().detectors.motifs.propose
    assert not load_settings().detectors.motifs.follow  # the first event comes fast
    assert not offline_settings().detectors.motifs.propose


def test_the_command_line_says_why_motifs_alone_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["analyze", str(tmp_path), "--detectors", "motifs"])
    assert done.exit_code == 2
    assert "motifs names what others find" in " ".join(done.output.replace("│", " ").split())


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = motif_model()
    path = tmp_path_factory.mktemp("motifs") / "drawn.model"
    header = model.header() | {"provenance": {"kept": True}}
    write_artifact(path, detector=DETECTOR, header=header, arrays=model.arrays())
    return path


@pytest.fixture
def own_file(model_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "own.model"
    path.write_bytes(model_file.read_bytes())
    return path


@pytest.mark.slow
def test_the_digest_tells_how_motifs_are_asked() -> None:
    model = motif_model()
    sets = [
        ModelSet(None, reference_cell=True),
        ModelSet(None, reference_cell=True, motifs=loaded(model)),
        ModelSet(None, reference_cell=True, motifs=loaded(model, follow=True)),
        ModelSet(None, reference_cell=True, motifs=loaded(model, propose_after=5)),
    ]
    assert len({one.digest for one in sets}) == 4
    assert sets[1].describe() == [{"name": "motifs", "artifact": "drawn", "sha256": "0" * 64}]


@pytest.mark.slow
def test_classes_are_listed_and_named_in_the_file(own_file: Path) -> None:
    before = Artifact.read(own_file)
    listed = CliRunner().invoke(app, ["classes", str(own_file)])
    assert listed.exit_code == 0
    assert listed.output.split()[:5] == ["id", "name", "role", "n", "ratio"]
    done = CliRunner().invoke(
        app, ["classes", str(own_file), "--rename", "8=Fe on W", "--rename", "11= 2S vacancy "]
    )
    assert done.exit_code == 0, done.output
    after = Artifact.read(own_file)
    names = {one["class_id"]: one["name"] for one in after.header["classes"]}
    assert (names[8], names[11]) == ("Fe on W", "2S vacancy")
    assert [one["class_id"] for one in after.header["classes"] if one["named_by_user"]] == [8, 11]
    assert after.header["provenance"] == {"kept": True}
    assert after.arrays.keys() == before.arrays.keys()
    again = CliRunner().invoke(app, ["classes", str(own_file)])
    assert "Fe on W" in again.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rename", "told"),
    [
        ("99=x", "no class has the id 99"),
        ("x=y", "expected ID=NAME"),
        ("8", "expected ID=NAME"),
        ("8=", "empty name"),
        ("8=" + "x" * 65, "at most 64"),
        ("8=a\x07b", "control characters"),
        ("8=vacancy on B", "is the name of class 11 already"),
        ("8=New", "no class fits"),
    ],
)
def test_names_that_are_none_are_refused_and_the_file_stays(
    own_file: Path, rename: str, told: str
) -> None:
    before = own_file.read_bytes()
    done = CliRunner().invoke(app, ["classes", str(own_file), "--rename", rename])
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())
    assert own_file.read_bytes() == before


def test_a_shipped_model_is_not_renamed() -> None:
    done = CliRunner().invoke(app, ["classes", "pretrained:mos2-motifs", "--rename", "1=x"])
    assert done.exit_code == 2
    assert "is shipped" in done.output
