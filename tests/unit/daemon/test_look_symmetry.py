"""The symmetry maps in the pipeline: what is listed, when nothing is, and what pictures show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latticewatch.daemon.config import load_settings
from latticewatch.daemon.loaded_symmetry import contrast_of
from latticewatch.daemon.look_symmetry import without_repaired
from latticewatch.daemon.models import ModelSet, load_symmetry, symmetry_in_force
from latticewatch.daemon.sights import Scene
from latticewatch.detectors.artifact import write_artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.symmetry.model import DETECTOR
from support.crystals import TickingClock
from support.faulted import faulted
from support.symmetry_looks import (
    FakeJudge,
    FakeMapper,
    flat_map,
    loaded,
    looker,
    model,
    scene,
    segment,
    told_looker,
)
from support.vae_looks import BUDGET, scene_of

LINE = [(20.0, 100.0), (350.0, 120.0)]


# What is listed


def test_a_fault_is_drawn_where_it_is() -> None:
    drawn = scene("fault")
    sight = looker().look(scene_of(drawn.frame), BUDGET)
    assert (sight.condition, sight.faults, sight.note) == ("ok", (), "")
    assert sight.is_extended
    lines = [one for one in sight.findings if one.kind == "boundary"]
    assert lines
    (truth,) = drawn.lines
    for finding in lines:
        assert finding.outline_px_yx is not None
        away = [np.hypot(*(truth - point).T).min() for point in finding.outline_px_yx]
        assert np.median(away) < drawn.period_px
    assert (sight.q_value == [one.p_value for one in sight.findings]).all()


def test_an_amorphous_patch_is_listed_as_a_polygon() -> None:
    drawn = scene("patch")
    sight = looker().look(scene_of(drawn.frame), BUDGET)
    patches = [one for one in sight.findings if one.kind == "amorphous"]
    assert len(patches) == 1
    rows, columns = np.nonzero(drawn.patch)
    center = patches[0].pixel_yx
    assert center == pytest.approx((rows.mean(), columns.mean()), abs=drawn.period_px)


def test_a_clean_frame_lists_nothing_and_says_how_many_cells_were_judged() -> None:
    sight = looker().look(scene_of(scene().frame), BUDGET)
    assert sight.findings == ()
    assert 0 < sight.n_scored < sight.n_sites
    assert sight.lattice is not None
    assert sight.picture is None


def test_picture_is_the_severity_map_and_masked_cells_are_not_known() -> None:
    drawn = scene("patch")
    sight = looker().look(scene_of(drawn.frame, pictures=True), BUDGET)
    picture = sight.picture
    assert picture is not None
    assert (picture.layer, picture.signed) == (DETECTOR, False)
    assert np.count_nonzero(np.isfinite(picture.values)) == sight.n_scored
    assert np.isnan(picture.values[0]).all()


def test_picture_is_not_changed_by_the_next_frame() -> None:
    mapper = FakeMapper(flat_map(0.4))
    one = told_looker(mapper=mapper)
    picture = one.look(scene_of(scene().frame, pictures=True), BUDGET).picture
    mapper.found.severity[:] = 9.0
    assert picture is not None
    assert picture.values.max() == pytest.approx(0.4)


# When nothing is said


def test_without_a_lattice_nothing_is_said() -> None:
    noise = np.random.default_rng(0).poisson(20, (256, 256)).astype(np.float32)
    sight = looker().look(scene_of(noise), BUDGET)
    assert (sight.condition, sight.faults) == ("ok", ("not_periodic",))
    assert (sight.n_scored, sight.findings, sight.is_extended) == (0, (), True)


def test_another_crystal_makes_the_model_stale_with_values_and_limits() -> None:
    other = faulted("hexagonal", seed=3, angle_seed=7, shape_yx=(384, 384), period_px=19.0)
    sight = looker().look(scene_of(other.frame), BUDGET)
    assert (sight.condition, sight.faults, sight.n_scored) == ("stale", ("model_stale",), 0)
    assert sight.note.startswith("symmetry: the model does not fit: ")
    assert "period +5." in sight.note
    assert "limit 2.0%" in sight.note
    assert sight.findings == ()
    assert sight.is_extended


def test_one_odd_frame_does_not_make_a_model_stale_and_is_not_judged() -> None:
    good, odd = flat_map(), replace(flat_map(), stale=True, told=("turned by 3 degrees",))
    mapper, at = FakeMapper(good), scene_of(scene().frame)
    one = told_looker([segment(LINE)], mapper=mapper)
    sights = []
    for found in (good, odd, good):
        mapper.found = found
        sights.append(one.look(at, BUDGET))
    assert [sight.condition for sight in sights] == ["ok", "ok", "ok"]
    assert [len(sight.findings) for sight in sights] == [1, 0, 1]
    assert sights[1].faults == ("model_stale",)


def test_a_stale_model_is_trusted_again_after_two_frames() -> None:
    mapper, at = FakeMapper(replace(flat_map(), stale=True, told=("x",))), scene_of(scene().frame)
    one = told_looker([segment(LINE)], mapper=mapper)
    conditions = [one.look(at, BUDGET).condition]
    mapper.found = flat_map()
    conditions += [one.look(at, BUDGET).condition for _ in range(2)]
    assert conditions == ["stale", "stale", "ok"]


def test_a_new_session_begins_anew() -> None:
    mapper = FakeMapper(replace(flat_map(), stale=True, told=("x",)))
    one, at = told_looker(mapper=mapper), scene_of(scene().frame)
    assert one.look(at, BUDGET).condition == "stale"
    mapper.found = flat_map()
    assert one.look(replace(at, session="1" * 32), BUDGET).condition == "ok"


def test_channel_of_dark_columns_is_not_judged_by_a_model_of_bright_ones() -> None:
    sight = looker().look(scene_of(scene().frame, channel="ABF"), BUDGET)
    assert (sight.condition, sight.faults) == ("stale", ("model_stale",))
    assert sight.note == "symmetry: columns of channel ABF are dark, the model knows bright ones"
    assert sight.is_extended
    assert looker().look(scene_of(scene().frame, channel="HAADF"), BUDGET).condition == "ok"


def test_a_model_of_dark_columns_knows_that_they_are_dark() -> None:
    assert contrast_of(model()) == 1
    assert contrast_of(replace(model(), patch=-model().patch)) == -1
    assert contrast_of(replace(model(), basis_px_yx=None)) == 1


def test_a_frame_of_which_no_cell_can_be_judged_has_no_answer() -> None:
    nothing = flat_map(np.nan)
    sight = told_looker([segment(LINE)], mapper=FakeMapper(nothing)).look(
        scene_of(scene().frame), BUDGET
    )
    assert (sight.condition, sight.n_scored, sight.findings) == ("ok", 0, ())
    assert "no part of this frame" in sight.note


def test_cells_near_repaired_pixels_are_not_judged() -> None:
    plain = flat_map()
    repaired = without_repaired(plain, np.array([[120, 200], [0, 0]]))
    hidden = np.isnan(repaired.severity)
    rows, columns = np.nonzero(hidden)
    places = 7.5 + 8 * np.stack([rows, columns], axis=1)
    far = np.abs(places[:, None] - [[120, 200], [0, 0]]).max(axis=2).min(axis=1)
    assert far.max() <= 28
    assert hidden[14, 24]
    assert hidden[0, 0]
    for name in ("distance", "p_value", "variance"):
        assert (np.isnan(getattr(repaired, name)) == hidden).all()
    assert without_repaired(plain, np.empty((0, 2), np.intp)) is plain


def test_a_row_of_dead_pixels_is_no_boundary() -> None:
    drawn = scene()
    frame = drawn.frame.copy()
    frame[200] = frame[199]
    bad = np.stack([np.full(384, 200), np.arange(384)], axis=1)
    at = scene_of(frame)
    sight = looker().look(Scene(at.image, bad, at.lattice), BUDGET)
    assert sight.findings == ()
    assert sight.n_scored < looker().look(scene_of(drawn.frame), BUDGET).n_scored


def test_of_two_domains_the_one_that_is_the_models_is_compared() -> None:
    twins = scene_of(scene().frame)
    other = scene_of(faulted("hexagonal", seed=3, angle_seed=9, shape_yx=(384, 384)).frame)
    assert twins.lattice is not None
    assert other.lattice is not None
    mapper = FakeMapper()
    one = told_looker(mapper=mapper)
    one._seer = replace(one._seer, basis_px_yx=model().basis_px_yx)
    one.look(replace(twins, lattice=other.lattice, others=(twins.lattice,)), BUDGET)
    assert mapper.locks == [twins.lattice.lock]


def test_warm_up_leaves_no_trace() -> None:
    used, fresh = looker(), looker()
    for size in ((384, 384), (64, 96)):
        used.warm_up(np.random.default_rng(0).poisson(20, size).astype(np.float32))
    one, other = (each.look(scene_of(scene("fault").frame), BUDGET) for each in (used, fresh))
    assert one.findings == other.findings
    assert one.condition == other.condition == "ok"


@pytest.mark.parametrize("shape", [(16, 16), (40, 300), (8, 8), (130, 24)])
def test_small_frames_have_no_answer_and_no_error(shape: tuple[int, int]) -> None:
    at = scene_of(scene().frame)
    small = np.ascontiguousarray(at.image[: shape[0], : shape[1]])
    sight = looker().look(Scene(small, at.bad_yx, at.lattice), BUDGET)
    assert sight.findings == ()


# The gate


def test_what_the_gate_knows_and_calls_clean_is_not_listed() -> None:
    frame = scene_of(scene().frame)  # mean 20: clean to the fake
    assert told_looker([segment(LINE)], judge=FakeJudge()).look(frame, BUDGET).findings == ()


def test_what_the_gate_calls_defective_is_listed_with_its_opinion() -> None:
    judge = FakeJudge(bright=0.0)
    sight = told_looker([segment(LINE)], judge=judge).look(scene_of(scene().frame), BUDGET)
    (finding,) = sight.findings
    assert [part[0] for part in finding.parts] == ["symmetry", "symmetry_gate"]
    assert finding.parts[1][2] == pytest.approx(0.02)
    assert finding.p_value == 1e-12


def test_tiles_that_the_gate_does_not_know_have_no_vote_and_the_note_says_so() -> None:
    judge = FakeJudge(knows=False)
    sight = told_looker([segment(LINE)], judge=judge).look(scene_of(scene().frame), BUDGET)
    (finding,) = sight.findings
    assert [part[0] for part in finding.parts] == ["symmetry"]
    assert sight.note == "symmetry: the gate does not know 3 of 3 tiles"


# Files


def written(folder: Path) -> str:
    path = folder / "my.model"
    write_artifact(path, detector=DETECTOR, header=model().header(), arrays=model().arrays())
    return str(path)


def test_looker_of_a_file_names_it_and_sees_as_the_model_that_was_written(tmp_path: Path) -> None:
    name = written(tmp_path)
    read = load_symmetry(name)
    sight = read.looker(TickingClock()).look(scene_of(scene("fault").frame), BUDGET)
    assert (sight.name, sight.artifact, sight.sha256) == (DETECTOR, name, read.sha256)
    assert sight.findings == looker().look(scene_of(scene("fault").frame), BUDGET).findings


def test_setting_is_named_where_its_model_is_refused(tmp_path: Path) -> None:
    choice = load_settings().detectors.symmetry
    assert symmetry_in_force(choice) is None
    missing = choice.model_copy(update={"enabled": True, "model": str(tmp_path / "no.model")})
    with pytest.raises(ModelError, match=r"^detectors\.symmetry\.model: .*no\.model") as caught:
        symmetry_in_force(missing)
    assert "\n" not in str(caught.value)


def test_damaged_gate_of_a_model_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "gated.model"
    spoilt = replace(model(), gate=b"no network")
    write_artifact(path, detector=DETECTOR, header=spoilt.header(), arrays=spoilt.arrays())
    with pytest.raises(ModelError, match=r"gated\.model") as caught:
        load_symmetry(str(path))
    assert "\n" not in str(caught.value)


def test_model_set_is_told_and_named_by_the_model_and_whether_its_gate_has_a_say() -> None:
    sets = [
        ModelSet(None, reference_cell=True),
        ModelSet(None, reference_cell=True, symmetry=loaded()),
        ModelSet(None, reference_cell=True, symmetry=loaded(gated=False)),
    ]
    assert len({one.digest for one in sets}) == 3
    assert sets[0].describe() == []
    assert [one["name"] for one in sets[1].describe()] == [DETECTOR]
