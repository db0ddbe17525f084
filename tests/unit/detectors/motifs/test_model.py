"""The file of a motif model: equal after a round trip, and refused in one line when it is odd."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.motif_classes import NEW_LABEL
from latticewatch.detectors import pretrained
from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.motifs.model import DETECTOR, MOST_NAME, MotifModel
from latticewatch.detectors.motifs.motif_class import NEW_NAME
from latticewatch.detectors.motifs.score import MotifDetector
from latticewatch.detectors.protocols import ModelError
from support.motif_models import fitted, stand
from support.motif_scenes import Recipe, motif_scene

Plain = dict[str, Any]  # Any: JSON


def stored(path: Path, header: Plain, arrays: dict[str, NDArray[Any]]) -> MotifModel:
    write_artifact(path, detector=DETECTOR, header=header, arrays=arrays)
    return MotifModel.from_artifact(Artifact.read(path), "mine.model")


def test_model_is_the_same_after_a_round_trip(tmp_path: Path) -> None:
    model = fitted()[0]

    read = stored(tmp_path / "m", model.header(), model.arrays())

    assert read.classes == model.classes
    assert read.shape == model.shape
    assert read.next_id == model.next_id
    for name, array in model.arrays().items():
        assert np.array_equal(read.arrays()[name], array), name
    assert json.dumps(read.header()) == json.dumps(model.header())


def test_read_model_names_as_the_fitted_one(tmp_path: Path) -> None:
    model = fitted()[0]
    image = motif_scene(7, Recipe(side_px=380, n_each=8)).image
    places = np.random.default_rng(0).uniform(50, 330, (50, 2))

    rows = []
    for one in (model, stored(tmp_path / "m", model.header(), model.arrays())):
        detector = MotifDetector(one)
        rows.append(detector.name(stand(detector, image)[2], places).class_index)

    assert np.array_equal(rows[0], rows[1])


def test_a_user_renames_a_class_and_no_other() -> None:
    model = fitted()[0]
    one = model.classes[3]

    named = model.renamed(one.class_id, "  Te on  S ")

    assert named.classes[3] == replace(one, name="Te on S", named_by_user=True)
    assert named.classes[:3] == model.classes[:3]
    assert model.classes[3] == one
    assert named.renamed(one.class_id, "Te on S").classes == named.classes


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "empty name"),
        ("  ", "empty name"),
        ("x" * (MOST_NAME + 1), "65 characters, at most 64"),
        ("a\x00b", "no control characters"),
        ("two\nlines", "line breaks"),
        ("\u202ename", "no control characters"),
        ("new", "no class fits"),
        (" NEW ", "no class fits"),
    ],
)
def test_one_rule_refuses_names_given_and_names_in_files(
    name: str, told: str, tmp_path: Path
) -> None:
    model = fitted()[0]
    header = model.header()
    header["classes"][2]["name"] = name

    with pytest.raises(ValueError, match=told):
        model.renamed(1, name)
    with pytest.raises(ModelError, match=rf"^mine\.model: classes\[2\]\.name[^\n]*{told}[^\n]*$"):
        stored(tmp_path / "m", header, model.arrays())


def test_names_in_files_differ_by_more_than_their_case(tmp_path: Path) -> None:
    model = fitted()[0]
    header = model.header()
    header["classes"][1]["name"] = " " + header["classes"][0]["name"].swapcase()

    with pytest.raises(ModelError, match=r"^mine\.model: classes\[1\]\.name = .* of class 1$"):
        stored(tmp_path / "m", header, model.arrays())


def test_what_events_call_new_is_the_name_that_no_class_may_have() -> None:
    assert NEW_NAME == NEW_LABEL


def test_unknown_classes_and_taken_names_are_refused() -> None:
    model = fitted()[0]
    with pytest.raises(ValueError, match="class 99: there is none, the classes are 1"):
        model.renamed(99, "x")
    with pytest.raises(ValueError, match="is the name of class 1 already"):
        model.renamed(2, model.classes[0].name)
    with pytest.raises(ValueError, match="is the name of class 1 already"):
        model.renamed(2, model.classes[0].name.swapcase())


@pytest.mark.parametrize(
    "change",
    [
        {"radius_px": None},
        {"radius_px": float("1e30")},
        {"radius_px": 0.0},
        {"stride": 0},
        {"stride": 1.5},
        {"n_max": 31},
        {"n_max": True},
        {"contrast": 0},
        {"reject_chi2": -1.0},
        {"next_id": 1},
        {"next_id": 2**31},
        {"next_id": 10**400},
        {"sigma_px": "3"},
        {"sigma_px": 0.0},
        {"sigma_px": 1e9},
        {"nearest_px": -3.0},
        {"nearest_px": 4097.0},
        {"second_px": 0.0},
        {"second_px": 1e30},
        {"classes": []},
        {"classes": {}},
        {"classes": [3]},
        {"classes": "all"},
    ],
)
def test_odd_headers_are_refused_in_one_line(change: Plain, tmp_path: Path) -> None:
    model = fitted()[0]

    with pytest.raises(ModelError, match=r"^mine\.model: [^\n]+$"):
        stored(tmp_path / "m", model.header() | change, model.arrays())


@pytest.mark.parametrize(
    "change",
    [
        {"class_id": 0},
        {"class_id": 10**20},
        {"class_id": 2**31},
        {"class_id": 2},
        {"class_id": "1"},
        {"class_id": True},
        {"name": ""},
        {"name": "a\nb"},
        {"name": 3},
        {"automatic_name": ""},
        {"automatic_name": "a\nb"},
        {"automatic_name": "x" * 201},
        {"role": None},
        {"role": "king"},
        {"kind": "banana"},
        {"sublattice": 0.5},
        {"n_members": "many"},
        {"n_members": -1},
        {"n_members": 10**20},
        {"sublattice": 10**20},
        {"stands_beside": [10**20]},
        {"stands_beside": 3},
        {"stands_beside": ["x"]},
        {"intensity_ratio": "high"},
        {"intensity_ratio": 1e300},
        {"named_by_user": 1},
    ],
)
def test_odd_classes_are_refused_in_one_line(change: Plain, tmp_path: Path) -> None:
    model = fitted()[0]
    header = model.header()
    header["classes"][0] |= change

    with pytest.raises(ModelError, match=r"^mine\.model: [^\n]+$"):
        stored(tmp_path / "m", header, model.arrays())


@pytest.mark.parametrize("name", [
    "basis_px_yx", "pca_mean", "pca_matrix", "means", "covariances", "noise_covariance",
    "feature_means", "patches", "patch_errors", "sample_z", "sample_class", "layout_yx",
    "fraction", "height", "pristine_moments", "pristine_features",
])  # fmt: skip
def test_missing_and_cut_arrays_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    model = fitted()[0]
    whole = model.arrays()
    missing = {key: array for key, array in whole.items() if key != name}
    cut = whole | {name: whole[name][:1] if len(whole[name]) > 1 else whole[name][..., :1]}

    for arrays in (missing, cut, whole | {name: whole[name][..., None]}):
        with pytest.raises(ModelError, match=r"^mine\.model: [^\n]+$"):
            stored(tmp_path / "m", model.header(), arrays)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("covariances", 0.0),
        ("noise_covariance", -1.0),
        ("basis_px_yx", 0.0),
        ("sample_class", 10_000),
        ("sample_class", -2),
        ("height", 0.0),
    ],
)
def test_arrays_without_sense_are_refused(name: str, value: float, tmp_path: Path) -> None:
    model = fitted()[0]
    arrays = model.arrays()
    arrays[name] = np.full_like(arrays[name], value)

    with pytest.raises(ModelError, match=r"^mine\.model: [^\n]+$"):
        stored(tmp_path / "m", model.header(), arrays)


@pytest.mark.parametrize("length_px", [1.9, 4100.0])
def test_lattice_vectors_of_no_crystal_are_refused(length_px: float, tmp_path: Path) -> None:
    model = fitted()[0]
    arrays = model.arrays() | {"basis_px_yx": np.diag([length_px, 20.0])}

    with pytest.raises(ModelError, match=r"^mine\.model: [^\n]*2 to 4096 px long[^\n]*$"):
        stored(tmp_path / "m", model.header(), arrays)


@pytest.mark.parametrize("name", ["covariances", "noise_covariance"])
@pytest.mark.parametrize("fault", ["one triangle", "flat"])
def test_covariances_that_cannot_be_inverted_are_refused(
    name: str, fault: str, tmp_path: Path
) -> None:
    model = fitted()[0]
    arrays = model.arrays()
    array = arrays[name].copy()
    last = array[-1] if name == "covariances" else array
    if fault == "flat":
        last[:] = np.diag([1e-13, *np.ones(len(last) - 1)])
    else:
        last[0, 1] += 1e-5 * np.abs(last).max()

    with pytest.raises(ModelError, match=r"^mine\.model: not so: covariances are symmetric"):
        stored(tmp_path / "m", model.header(), arrays | {name: array})


def test_patches_that_take_all_memory_are_refused_before_their_size_is_compared(
    tmp_path: Path,
) -> None:
    model = fitted()[0]

    with pytest.raises(ModelError, match=r"^mine\.model: not so: 496 squares of 1025 px fit"):
        stored(tmp_path / "m", model.header() | {"radius_px": 512.0, "n_max": 30}, model.arrays())


@pytest.mark.parametrize("name", ["mos2-motifs", "srtio3-motifs", "zincblende-motifs"])
def test_shipped_models_are_read(name: str) -> None:
    with resources.as_file(resources.files(pretrained) / f"{name}.model") as path:
        model = MotifModel.from_artifact(Artifact.read(path), name)

    assert len(model.classes) > 10


def test_model_of_another_detector_is_refused(tmp_path: Path) -> None:
    model = fitted()[0]
    path = tmp_path / "m"
    write_artifact(path, detector="vae", header=model.header(), arrays=model.arrays())

    with pytest.raises(ModelError, match="model of vae, expected motifs"):
        MotifModel.from_artifact(Artifact.read(path), "mine.model")
