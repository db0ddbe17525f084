"""Motifs in the pipeline: defects get names, changes of sites are told once, nothing is found."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET
from numpy.typing import NDArray

from latticewatch.daemon import sights
from latticewatch.daemon.logs import LogBook
from latticewatch.daemon.measuring import measure_first
from latticewatch.daemon.motif_classes import ClassNames
from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.motif_domains import DomainNamer, Standing, rejects_of
from latticewatch.daemon.motif_namer import MotifNamer
from latticewatch.daemon.motif_rehearsal import rehearsal_scene
from latticewatch.daemon.motif_verdicts import surest
from latticewatch.daemon.outcome import Outcome
from latticewatch.daemon.sights import SiteChange
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.motifs.score import NEW, MotifDetector
from latticewatch.detectors.motifs.stale import Mismatch
from latticewatch.wire.codec import decode_event, encode
from latticewatch.wire.events import Defect, DefectEvent
from support.crystals import net_frame
from support.daemons import make_books
from support.late import FakeLooker, finding
from support.motif_frames import (
    SIDE_PX,
    judge,
    loaded,
    motif_model,
    naming_pipeline,
    noisy,
    outcomes,
    plain_site,
    specimen,
    with_column,
)

# A model is fitted, and its kernels compiled where no cache has them.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@lru_cache(maxsize=1)
def model() -> MotifModel:
    return motif_model()


def truth_of(defect: Defect, seed: int) -> str:
    scene = specimen(seed)
    off = np.linalg.norm(scene.places_yx - np.array(defect.pixel_yx), axis=1)
    name: str = scene.names[scene.kind[off.argmin()]]
    return name


KIND_OF = {
    "heavy S": "excess on B",
    "both S absent": "vacancy on B",
    "one S absent": "deficit on B",
    "light metal": "deficit on A",
    "heavy metal": "excess on A",
}


def motifs_state(outcome: Outcome) -> Any:  # noqa: ANN401 - a struct of the wire
    return next(one for one in outcome.event.detectors if one.name == "motifs")


def test_defects_are_named_by_what_was_drawn() -> None:
    pipeline = naming_pipeline(loaded(model()))
    event = judge(pipeline, noisy(specimen(5).image, 0)).event
    assert event.n_defects >= 35
    told = [(truth_of(one, 5), str(one.label)) for one in event.defects]
    known = [(truth, label) for truth, label in told if label != "new"]
    assert len(known) >= 0.75 * len(told)
    assert all(label.startswith(KIND_OF[truth]) for truth, label in known)
    for one in event.defects:
        assert one.motif is not UNSET
        assert (one.motif.id == 0) == (one.label == "new") == (one.motif.role == "new")
    assert decode_event(encode(replace_envelope(event))) == replace_envelope(event)


def replace_envelope(event: DefectEvent) -> DefectEvent:
    import msgspec

    return msgspec.structs.replace(event, stream="0" * 32, seq=0, t_pub_ns=1)


def test_nothing_is_found_or_lost_by_naming() -> None:
    frame = noisy(specimen(5).image, 0)
    plain = judge(naming_pipeline(None), frame).event
    named = judge(naming_pipeline(loaded(model())), frame).event
    assert [one.pixel_yx for one in plain.defects] == [one.pixel_yx for one in named.defects]
    assert plain.n_scored == named.n_scored
    assert plain.quality == named.quality
    assert plain.model_set != named.model_set
    assert all(one.motif is UNSET and one.label is None for one in plain.defects)


def test_its_time_and_state_stand_in_the_event() -> None:
    outcome = judge(naming_pipeline(loaded(model())), noisy(specimen(5).image, 0))
    state = motifs_state(outcome)
    assert (state.state, state.artifact, state.us > 0) == ("ok", "drawn", True)
    assert outcome.stage_us["motifs"] == outcome.event.latency_us["motifs"] == state.us
    assert sum(outcome.n_motifs.values()) == outcome.event.n_defects


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_column_that_loses_half_its_intensity_is_told_once_within_three_frames(
    seed: int,
) -> None:
    scene = specimen(5 + seed)
    site = plain_site(scene, seed % 2, seed)
    frames = [noisy(scene.image, 100 * seed + k) for k in range(6)]
    halved = with_column(scene, site, 0.5)
    frames += [noisy(halved, 100 * seed + k) for k in range(6, 16)]
    told = [
        [] if one.event.motif_changes is UNSET else list(one.event.motif_changes)
        for one in outcomes(naming_pipeline(loaded(model(), follow=True)), frames)
    ]
    changes = [change for of_frame in told for change in of_frame]
    assert len(changes) == 1
    assert any(told[6:9])
    (change,) = changes
    assert np.linalg.norm(change.pixel_yx - scene.places_yx[site]) < 2.0
    # The address is that of the defect that detectors list there.
    last = judge_last(frames)
    off = [np.linalg.norm(np.subtract(one.pixel_yx, change.pixel_yx)) for one in last.defects]
    assert last.defects[int(np.argmin(off))].site == change.site
    assert (change.before_label, change.after_label[:12]) == (
        f"ordinary {'AB'[seed % 2]}",
        f"deficit on {'AB'[seed % 2]}",
    )


def judge_last(frames: list[NDArray[np.float32]]) -> DefectEvent:
    """The event of the last frame, its lattice followed from the first."""
    return [one.event for one in outcomes(naming_pipeline(None), frames)][-1]


def test_without_following_no_change_is_told() -> None:
    scene = specimen(5)
    frames = [noisy(scene.image, k) for k in range(3)]
    frames += [noisy(with_column(scene, plain_site(scene, 0), 0.5), k) for k in range(3, 7)]
    pipeline = naming_pipeline(loaded(model()))
    assert all(one.event.motif_changes is UNSET for one in outcomes(pipeline, frames))


def test_a_defect_that_is_none_of_the_classes_is_new() -> None:
    scene = specimen(5)
    site = plain_site(scene, 0)
    event = judge(naming_pipeline(loaded(model())), noisy(with_column(scene, site, 2.5), 3)).event
    off = [np.linalg.norm(one.pixel_yx - scene.places_yx[site]) for one in event.defects]
    found = event.defects[int(np.argmin(off))]
    assert min(off) < 2.0
    assert found.label == "new"
    assert found.motif is not UNSET
    assert found.motif.id == 0
    assert found.motif.distance > 4.0


def test_a_model_of_another_pixel_size_names_nothing_and_says_so_once() -> None:
    frames = [noisy(specimen(5, bond_px=14.0, sigma_px=3.5).image, k) for k in range(4)]
    told = list(outcomes(naming_pipeline(loaded(model())), frames))
    assert motifs_state(told[-1]).state == "stale"
    assert all(one.event.outcome == "scored" and one.event.n_defects for one in told)
    assert all(one.label is None for one in told[-1].event.defects)
    notes = [one.note for one in told if "motifs" in one.note]
    assert len(notes) == 1
    assert "another pixel size" in notes[0]


def test_frames_without_a_lattice_are_passed_over() -> None:
    pipeline = naming_pipeline(loaded(model()))
    dice = np.random.default_rng(0)
    noise = dice.poisson(50.0, (SIDE_PX, SIDE_PX)).astype(np.float32)
    outcome = judge(pipeline, noise)
    assert outcome.event.outcome == "not_scored"
    assert motifs_state(outcome).state == "ok"
    after = judge(pipeline, noisy(specimen(5).image, 0), 1)
    assert after.n_motifs["named"] > 20


def test_pixels_that_are_no_numbers_end_nothing() -> None:
    pipeline = naming_pipeline(loaded(model()))
    broken = noisy(specimen(5).image, 0)
    broken[::40, ::40] = np.nan
    assert judge(pipeline, broken).n_motifs["named"] > 10
    assert judge(pipeline, np.full_like(broken, np.nan), 1).event.outcome == "not_scored"
    assert judge(pipeline, noisy(specimen(5).image, 0), 2).n_motifs["named"] > 20


def test_dark_columns_are_refused_by_a_model_of_bright_ones() -> None:
    frame = noisy(specimen(5).image, 0)
    outcome = judge(naming_pipeline(loaded(model())), frame.max() - frame, channel="BF")
    assert motifs_state(outcome).state == "stale"
    assert "bright" in outcome.note


def test_another_crystal_is_not_named() -> None:
    other = net_frame([[0.0, 21.0], [21.0, 0.0]], shape_yx=(SIDE_PX, SIDE_PX))
    outcome = judge(naming_pipeline(loaded(model())), other)
    assert all(one.label is None for one in outcome.event.defects)


def test_two_domains_are_named_each_by_its_own_lattice() -> None:
    left, right = specimen(5), specimen(6, angle_deg=22.0)
    both = left.image.copy()
    both[:, SIDE_PX // 2 :] = right.image[:, SIDE_PX // 2 :]
    event = judge(naming_pipeline(loaded(model())), noisy(both, 0)).event
    assert event.lattice is not None
    assert event.lattice.domains == 2
    named = [one for one in event.defects if one.motif is not UNSET and one.motif.id]
    sides = {one.pixel_yx[1] > SIDE_PX / 2 for one in named}
    assert sides == {False, True}


def test_arithmetic_that_fails_leaves_defects_without_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise FloatingPointError("of a test")

    monkeypatch.setattr(MotifDetector, "level", fail)
    outcome = judge(naming_pipeline(loaded(model())), noisy(specimen(5).image, 0))
    assert motifs_state(outcome).state == "error"
    assert outcome.event.n_defects > 20
    assert "of a test" in outcome.note


def test_all_defects_new_is_no_trouble() -> None:
    """A model of pristine sites alone."""
    plain = model()
    rows = [k for k, one in enumerate(plain.classes) if one.role == "pristine"]
    kept = replace(
        plain,
        classes=tuple(plain.classes[k] for k in rows),
        means=plain.means[rows],
        covariances=plain.covariances[rows],
    )
    outcome = judge(naming_pipeline(loaded(kept)), noisy(specimen(5).image, 0))
    assert outcome.n_motifs == {"new": outcome.event.n_defects}


def test_only_what_an_event_lists_is_named() -> None:
    pipeline = naming_pipeline(loaded(model()), max_defects=5)
    outcome = judge(pipeline, noisy(specimen(5).image, 0))
    assert sum(outcome.n_motifs.values()) == 5
    assert all(one.label is not None for one in outcome.event.defects)


def test_a_view_of_every_site_is_made_where_it_is_asked_for() -> None:
    frame = noisy(specimen(5).image, 0)
    assert judge(naming_pipeline(loaded(model())), frame).motifs is None
    view = judge(naming_pipeline(loaded(model()), pictures=True), frame).motifs
    assert view is not None
    assert view.model is model()
    n_sites = len(view.places_yx)
    assert view.class_id.shape == view.probability.shape == (n_sites,)
    assert view.address.shape == (n_sites, 3)
    assert set(view.class_id) <= {-1, 0} | {one.class_id for one in model().classes}
    assert np.array_equal(np.isnan(view.probability), view.class_id == -1)


def test_rehearsed_frames_leave_nothing_behind() -> None:
    pipeline = naming_pipeline(loaded(model(), propose_after=3))
    pipeline.warm_up((SIDE_PX, SIDE_PX), "<f4")
    desk: MotifDesk | None = pipeline.motif_desk
    assert desk is not None
    assert desk.take() == []
    fresh = naming_pipeline(loaded(model()))
    frame = noisy(specimen(5).image, 0)
    labels = [[one.label for one in judge(each, frame).event.defects] for each in (pipeline, fresh)]
    assert labels[0] == labels[1]


def test_the_same_frames_give_the_same_names() -> None:
    frames = [noisy(specimen(5).image, k) for k in range(3)]
    told = [
        [
            [(one.label, one.motif) for one in outcome.event.defects]
            for outcome in outcomes(naming_pipeline(loaded(model())), frames)
        ]
        for _ in range(2)
    ]
    assert told[0] == told[1]


def test_late_findings_are_named_too() -> None:
    """By a namer of their own; those of the first event are not in the late one."""
    scene = specimen(5)
    sites = [plain_site(scene, 0), plain_site(scene, 1)]
    places = [(float(y), float(x)) for y, x in scene.places_yx[sites]]
    looker = FakeLooker(findings=tuple(finding(place) for place in places))
    pipeline = naming_pipeline(loaded(model()), late=(looker,))
    outcome = judge(pipeline, noisy(scene.image, 0))
    assert outcome.late is not None
    assert pipeline.late_stage is not None
    late = pipeline.late_stage.process(outcome.late)
    told = {one.label: one.motif for one in late.event.defects}
    assert set(told) == {"ordinary A", "ordinary B"}
    assert {one.role for one in told.values() if one is not UNSET} == {"pristine"}
    assert late.n_motifs == {"named": 2}
    assert late.event.latency_us["motifs"] == motifs_state(late).us


@pytest.mark.parametrize(("channel", "n_measured"), [("HAADF", 0), ("detector 3", 1)])
def test_whether_columns_are_bright_is_measured_once_for_all_who_ask(
    monkeypatch: pytest.MonkeyPatch, channel: str, n_measured: int
) -> None:
    asked: list[float] = []

    def measured(_: object, period_px: float) -> int:
        asked.append(period_px)
        return 1

    monkeypatch.setattr(sights, "contrast_of_frame", measured)
    pipeline = naming_pipeline(loaded(model()))
    for seq in range(3):
        outcome = judge(pipeline, noisy(specimen(5).image, seq), seq, channel=channel)
        assert outcome.n_motifs["named"] > 20
    assert len(asked) == n_measured


def test_a_chain_that_begins_with_a_bad_frame_is_named_a_few_frames_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Columns of the first frame, and whether they are bright, are not kept for ever."""
    frame = specimen(5).image
    monkeypatch.setattr(sights, "contrast_of_frame", lambda *_: -1)
    pipeline = naming_pipeline(loaded(model()))
    assert not judge(pipeline, noisy(frame, 0), 0, channel="detector 3").n_motifs.get("named")
    monkeypatch.undo()
    told = [judge(pipeline, noisy(frame, k), k, channel="detector 3") for k in range(1, 24)]
    assert motifs_state(told[-1]).state == "ok"
    # The reference cell keeps to dark columns, and finds little to name.
    assert told[-1].n_motifs.get("named")


def test_a_mismatch_is_told_once_whatever_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(100))

    def refuse(*_: object) -> Mismatch:
        return Mismatch("crystal", f"{next(numbers)} is a number that changes from frame to frame")

    monkeypatch.setattr(MotifDetector, "level", refuse)
    pipeline = naming_pipeline(loaded(model()))
    frames = [noisy(specimen(5).image, k) for k in range(6)]
    notes = [one.note for one in outcomes(pipeline, frames) if "a number that" in one.note]
    assert len(notes) == 1


def test_extra_columns_of_one_cell_and_sites_of_two_domains_have_keys_of_their_own() -> None:
    scene = rehearsal_scene(model())
    assert scene is not None
    assert scene.lattice is not None
    lock = scene.lattice.lock
    middle = (np.array(scene.image.shape) - 1) / 2
    steps = np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]]) @ lock.basis_px_yx
    extra = tuple(replace(finding((float(y), float(x))), kind="extra") for y, x in middle + steps)
    keys = []
    for domain in (0, 1):
        detector = MotifDetector(model())
        namer = DomainNamer(detector, domain)
        at = namer.stand(scene.image, lock, lambda: model().columns.contrast)
        assert isinstance(at, Standing)
        points = namer.points(at, [0, 1, 2], extra)
        points.named.class_index[:] = NEW
        rejects = rejects_of(points, detector, len(model().classes), 3, extra)
        keys += [one.key for one in rejects]
    assert len(set(keys)) == 6
    assert {key.sublattice for key in keys} == {-1}
    assert {key.domain for key in keys} == {0, 1}


def change(row: int, after: int, p: float) -> SiteChange:
    return SiteChange((row, 0, 0), (1.0, 1.0), (1, "A"), (after, "B"), p)


def test_of_too_many_changes_the_surest_are_told_in_their_order() -> None:
    given = [change(0, 2, 0.9), change(1, 2, 0.5), change(2, 0, 1e-9), change(3, 0, 0.4)]
    assert [one.address[0] for one in surest(given, 2)] == [0, 2]
    assert surest(given, 9) == tuple(given)


def test_an_event_tells_no_more_changes_than_defects_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = tuple(change(row, 2, 0.9) for row in range(5))
    monkeypatch.setattr(MotifNamer, "_changes", lambda *_: many)
    pipeline = naming_pipeline(loaded(model(), follow=True), max_defects=3)
    outcome = judge(pipeline, noisy(specimen(5).image, 0))
    assert outcome.n_changes == 5
    assert outcome.event.motif_changes is not UNSET
    assert len(outcome.event.motif_changes) == 3
    logged: list[str] = []
    monkeypatch.setattr(LogBook, "refused", lambda _, event, **__: logged.append(event))
    measure_first(make_books(), outcome, label="frame")
    assert "motif_changes_cut" in logged


def test_a_distance_that_is_no_number_is_the_farthest() -> None:
    names = ClassNames((1,), ("A",), ("pristine",))
    assert names.name(-1, float("nan"), float("nan")).distance == pytest.approx(1e15)
