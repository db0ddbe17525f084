"""Fits of motif classes: what they find, what they keep, and what they refuse."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors import fit as process
from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.motifs import fit as motifs_fit
from latticewatch.detectors.motifs.fit import fit
from latticewatch.detectors.motifs.model import DETECTOR, MOST_NAME, MotifModel
from latticewatch.detectors.motifs.naming import ClassName, name_classes
from latticewatch.detectors.motifs.parameters import MotifParameters
from latticewatch.detectors.reference_rule import FitError
from support.honeycomb import gaussian_columns
from support.motif_models import SMALL, fitted
from support.motif_scenes import Recipe, motif_scene

Image = NDArray[np.float32]


TWO_CRYSTALS = (
    r"^the frames show different crystals or pixel sizes: "
    r"b\.tif has 2 columns in a cell of 17\.\d px, "
    r"a\.tif 2 in one of 19\.\d px: fit a model for each$"
)


def roles(model: MotifModel) -> dict[str, int]:
    found = [one.role for one in model.classes]
    return {role: found.count(role) for role in sorted(set(found))}


def test_every_kind_that_was_drawn_is_a_class_of_its_own() -> None:
    model, report = fitted()

    assert roles(model)["pristine"] == 2
    assert roles(model)["defect"] == 5
    kinds = sorted(one.kind for one in model.classes if one.role == "defect")
    assert kinds == ["deficit", "deficit", "excess", "excess", "vacancy"]
    assert report.n_frames == 1
    assert report.n_classes == len(model.classes) == len(report.lines)
    assert [one.class_id for one in model.classes] == list(range(1, len(model.classes) + 1))
    assert not report.warnings


def test_ratio_of_intensities_is_that_of_the_drawing() -> None:
    ratios = sorted(
        one.intensity_ratio or 0.0 for one in fitted()[0].classes if one.role == "defect"
    )

    assert ratios == pytest.approx([0.0, 0.5, 0.5, 1.35, 2.0], abs=0.12)


@pytest.mark.slow
def test_frames_of_other_gain_turn_and_dose_are_put_into_one_unit() -> None:
    first, second = (
        motif_scene(1, SMALL),
        motif_scene(2, Recipe(side_px=380, n_each=8, angle_deg=40.0, dose=100.0)),
    )

    model, report = fit([first.image, 300 * second.image + 1000])

    assert report.n_frames == 2
    assert roles(model) == roles(fitted()[0])


def test_crystal_without_defects_gives_a_model_and_a_warning() -> None:
    model, report = fit([motif_scene(1, Recipe(side_px=320, n_each=0)).image])

    assert roles(model) == {"pristine": 2}
    assert any("no class beside pristine" in one for one in report.warnings)


@pytest.mark.parametrize("crystal", ["square", "graphene"])
def test_other_crystals_have_classes_too(crystal: str) -> None:
    scene = motif_scene(1, Recipe(crystal=crystal, side_px=380, n_each=8))

    model, _ = fit([scene.image])

    n_kinds = len(scene.names) - 2
    assert roles(model)["defect"] == n_kinds


def test_wide_columns_are_binned_and_found_again() -> None:
    scene = motif_scene(1, Recipe(side_px=760, bond_px=24.0, sigma_px=6.0, n_each=8, jitter_px=0.6))

    model, _ = fit([scene.image])

    assert model.shape.stride > 1
    assert roles(model)["defect"] == 5


def test_ids_and_names_of_the_user_are_kept() -> None:
    first = fitted()[0]
    vacancy = next(one for one in first.classes if one.kind == "vacancy")
    kept = first.renamed(vacancy.class_id, "2S gone")

    again, report = fit([motif_scene(2, SMALL).image], kept=kept)

    found = next(one for one in again.classes if one.kind == "vacancy")
    assert (found.class_id, found.name, found.named_by_user) == (
        vacancy.class_id, "2S gone", True,
    )  # fmt: skip
    defects = {one.class_id for one in first.classes if one.role == "defect"}
    assert {one.class_id for one in again.classes if one.role == "defect"} == defects
    assert again.next_id >= first.next_id
    assert not any("not kept" in one for one in report.warnings)


def test_a_new_kind_gets_an_id_that_was_never_used() -> None:
    few = Recipe(side_px=380, n_each=8, kinds=("one S absent", "heavy S"))
    first = fitted(1, few)[0]

    again, _ = fit([motif_scene(2, SMALL).image], kept=first)

    old = {one.class_id for one in first.classes}
    new = [one for one in again.classes if one.class_id not in old]
    assert sum(one.role == "defect" for one in new) == 3
    assert min(one.class_id for one in new) >= first.next_id


def test_ids_of_another_pixel_size_are_not_kept_and_this_is_said() -> None:
    scene = motif_scene(1, Recipe(side_px=320, bond_px=15.0, sigma_px=3.75, n_each=4))

    _, report = fit([scene.image], kept=fitted()[0])

    assert any("not kept" in one and "19.3" in one and "24.2" in one for one in report.warnings)


def test_frames_of_two_crystals_are_refused_with_numbers() -> None:
    one, other = motif_scene(1, SMALL).image, motif_scene(1, Recipe(crystal="square")).image

    with pytest.raises(FitError, match=TWO_CRYSTALS):
        fit([one, other], labels=["a.tif", "b.tif"])


def test_too_few_sites_are_refused_with_their_number() -> None:
    image = motif_scene(1, Recipe(crystal="square", side_px=88, n_each=0)).image

    with pytest.raises(FitError, match=r"^2\d sites with room for a patch of 24 px, at least 30"):
        fit([image])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((256, 256), np.float32),
        np.random.default_rng(0).poisson(5.0, (256, 256)).astype(np.float32),
    ],
)
def test_frame_without_a_lattice_is_refused(image: Image) -> None:
    with pytest.raises(FitError, match="no lattice in any of 1 frame"):
        fit([image])


def test_columns_that_are_too_near_each_other_are_refused() -> None:
    # Three columns in a cell of 8 px, 2.4 and 2.6 px from each other.
    turn = np.radians(11.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    cells = 8.0 * np.mgrid[-30:30, -30:30].reshape(2, -1).T
    steps = np.outer([0.0, 2.4, 5.0], [0.0, 1.0])
    places = (cells + steps[:, None]).reshape(-1, 2) @ rotation + 128
    places = places[((places > -4) & (places < 260)).all(axis=1)]
    expected = 0.02 + gaussian_columns(places, np.ones(len(places)), 0.5, 256)
    image = np.random.default_rng(0).poisson(200 * expected) / 200

    with pytest.raises(FitError, match=r"^nearest columns are 2\.\d px .* finer pixel size$"):
        fit([image.astype(np.float32)])


def test_frame_without_a_lattice_is_left_out_and_named() -> None:
    blank = np.random.default_rng(0).poisson(5.0, (256, 256)).astype(np.float32)

    _, report = fit([motif_scene(1, SMALL).image, blank], labels=["a", "b.tif"])

    assert report.n_frames == 1
    assert any("b.tif" in one for one in report.warnings)


def test_dead_pixels_cost_a_few_sites_and_no_class() -> None:
    image = motif_scene(1, SMALL).image.copy()
    rng = np.random.default_rng(0)
    image[rng.integers(0, 380, 20), rng.integers(0, 380, 20)] = 0.0

    assert roles(fit([image])[0])["defect"] >= 4


def test_same_frames_give_the_same_model() -> None:
    one, other = fitted()[0], fit([motif_scene(1, SMALL).image], MotifParameters())[0]

    assert one.classes == other.classes
    assert np.array_equal(one.means, other.means)
    assert np.array_equal(one.layout_yx, other.layout_yx)


def test_name_that_is_too_long_for_a_file_is_cut_and_stays_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def long_names(*given: Any) -> list[ClassName]:  # noqa: ANN401 - as the one replaced
        names = name_classes(*given)
        return [replace(one, automatic_name="x" * 90 + one.automatic_name) for one in names]

    monkeypatch.setattr(motifs_fit, "name_classes", long_names)

    model = fit([motif_scene(1, SMALL).image])[0]

    names = [one.name for one in model.classes]
    assert all(len(name) <= MOST_NAME for name in names)
    assert len(set(names)) == len(names)
    assert all(one.automatic_name.startswith("x" * 90) for one in model.classes)


# The process that fits.


def answer(
    tmp_path: Path,
    **changes: Any,  # noqa: ANN401 - JSON
) -> dict[str, Any]:
    frames = tmp_path / "frames.npz"
    np.savez(frames, f0=motif_scene(1, SMALL).image)
    job = {"detector": DETECTOR, "frames": str(frames), "out": str(tmp_path / "m.model")}
    out = io.StringIO()
    process.serve([json.dumps(job | changes)], out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def read(path: Path) -> MotifModel:
    return MotifModel.from_artifact(Artifact.read(path), str(path))


def test_process_writes_a_model_that_is_read_and_keeps_names_of_the_file_it_writes_over(
    tmp_path: Path,
) -> None:
    told = answer(tmp_path)
    path = tmp_path / "m.model"
    assert told["ok"], told
    assert f"{told['n_classes']} classes" in told["told"]
    assert len(told["lines"]) == told["n_classes"]
    model = read(path).renamed(2, "mine")
    write_artifact(path, detector=DETECTOR, header=model.header(), arrays=model.arrays())

    again = answer(tmp_path)

    assert again["ok"], again
    assert read(path).classes[1].name == "mine"


def test_process_keeps_those_of_the_file_that_is_named_and_refuses_what_is_no_model(
    tmp_path: Path,
) -> None:
    earlier = tmp_path / "earlier.model"
    model = fitted()[0].renamed(2, "mine")
    write_artifact(earlier, detector=DETECTOR, header=model.header(), arrays=model.arrays())
    broken = tmp_path / "broken.model"
    broken.write_bytes(b"nothing")

    told = answer(tmp_path, parameters={"keep": str(earlier), "seed": 3})
    refused = answer(tmp_path, parameters={"keep": str(broken)})
    odd = answer(tmp_path, parameters={"route": "best"})

    assert told["ok"], told
    assert read(tmp_path / "m.model").classes[1].name == "mine"
    assert not refused["ok"]
    assert "broken.model" in refused["error"]
    assert "route = best" in odd["error"]


def test_process_says_that_a_file_that_was_there_is_no_model_of_motifs(tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(b"nothing")

    told = answer(tmp_path)

    assert told["ok"], told
    assert any("no ids are kept" in one for one in told["warnings"])
