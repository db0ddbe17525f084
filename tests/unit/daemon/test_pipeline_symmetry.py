"""Symmetry maps beside other detectors: alone, waited for and late; one line is listed once."""

import numpy as np
import pytest
from msgspec import UNSET
from numpy.typing import NDArray

from latticewatch.daemon.models import DomainLooks, ModelSet
from latticewatch.daemon.pipeline import Pipeline, PipelineSettings
from latticewatch.wire.codec import decode_event, encode
from latticewatch.wire.events import Defect, DefectEvent
from support.crystals import TickingClock, incoming
from support.late import FakeLooker, finding
from support.symmetry_looks import loaded, model, scene

Image = NDArray[np.float32]


def models(*, cell: bool = True, domains: DomainLooks = "never", symmetry: bool = True) -> ModelSet:
    return ModelSet(
        None,
        reference_cell=cell,
        domains=domains,
        symmetry=loaded() if symmetry else None,
    )


def events_of(
    frame: Image, chosen: ModelSet, *late: FakeLooker, leaves: tuple[str, ...] = ()
) -> list[DefectEvent]:
    """Events of a frame as a client reads them: the first, and the late one if there is any."""
    pipeline = Pipeline(
        models=chosen,
        settings=PipelineSettings(),
        clock=TickingClock(),
        late=late,
        leaves_late=leaves,
    )
    outcome = pipeline.process(incoming(frame.astype("<u2")))
    found = [outcome.event]
    if outcome.late is not None:
        assert pipeline.late_stage is not None
        found.append(pipeline.late_stage.process(outcome.late).event)
        outcome.late.release()
    return [decode_event(encode(event)) for event in found]


def lines_of(*events: DefectEvent) -> list[Defect]:
    return [one for event in events for one in event.defects if one.outline_px_yx is not UNSET]


def parts_of(defect: Defect) -> list[str]:
    return [name for name, _, _ in defect.scores]


# Alone


def test_alone_it_answers_and_counts_the_cells_of_its_map() -> None:
    (event,) = events_of(scene("patch").frame, models(cell=False))
    assert event.outcome == "scored"
    assert [state.name for state in event.detectors] == ["symmetry"]
    side = 384 // model().step_px - 1
    assert (event.n_sites, event.lattice is not None) == (side**2, True)
    assert 0.5 * event.n_sites < event.n_scored < event.n_sites
    assert [one.kind for one in lines_of(event)] == ["amorphous"]
    assert len(event.defects) == 1


def test_alone_it_says_that_a_clean_frame_has_nothing() -> None:
    (event,) = events_of(scene().frame, models(cell=False))
    assert (event.outcome, event.defects) == ("scored", ())


def test_alone_it_does_not_know_a_frame_without_a_lattice() -> None:
    noise = np.random.default_rng(2).poisson(20, (384, 384)).astype(np.float32)
    (event,) = events_of(noise, models(cell=False))
    assert (event.outcome, event.quality) == ("not_scored", ("not_periodic",))


# Beside points


def test_beside_points_sites_are_counted_and_points_stay_as_they_are() -> None:
    frame = scene("patch").frame
    (alone,) = events_of(frame, models(symmetry=False))
    (both,) = events_of(frame, models())
    assert (both.n_sites, both.n_scored) == (alone.n_sites, alone.n_scored)
    points = [[one for one in event.defects if one.site is not None] for event in (alone, both)]
    assert [one.pixel_yx for one in points[0]] == [one.pixel_yx for one in points[1]]
    assert [one.q_value for one in points[0]] == [one.q_value for one in points[1]]
    assert [one.kind for one in lines_of(both)] == ["amorphous"]
    assert lines_of(alone) == []


def test_it_takes_nothing_from_what_others_may_spend() -> None:
    slow = FakeLooker()
    events_of(scene().frame, models(cell=False), slow)
    assert slow.budgets[0].fdr == 0.05
    beside = FakeLooker()
    events_of(scene().frame, models(), beside)
    without = FakeLooker()
    events_of(scene().frame, models(symmetry=False), without)
    assert beside.budgets == without.budgets


# The same line


def test_a_patch_that_both_draw_is_listed_once_with_what_both_say() -> None:
    frame = scene("patch").frame
    (event,) = events_of(frame, models(domains="always"))
    (one,) = lines_of(event)
    assert sorted(parts_of(one)) == ["patterson_patches", "symmetry"]
    (alone,) = events_of(frame, models(domains="always", symmetry=False))
    assert one.outline_px_yx == lines_of(alone)[0].outline_px_yx


def test_a_patch_that_the_first_event_lists_is_confirmed_late_and_not_listed_again() -> None:
    first, late = events_of(scene("patch").frame, models(domains="always"), leaves=("symmetry",))
    (known,) = lines_of(first)
    assert parts_of(known) == ["patterson_patches"]
    assert late.stage == "late"
    assert [state.name for state in late.detectors] == ["symmetry"]
    assert (late.confirms, late.defects) == ((known.i,), ())
    assert late.outcome == "scored"


def test_a_boundary_is_listed_once_whoever_waits() -> None:
    frame = scene("inclusion").frame
    (alone,) = events_of(frame, models(domains="always", symmetry=False))
    assert [parts_of(one) for one in lines_of(alone)] == [["patterson_domains"]]
    (together,) = events_of(frame, models(domains="always"))
    first, late = events_of(frame, models(domains="always"), leaves=("symmetry",))
    outlines = {one.outline_px_yx for one in lines_of(together)}
    assert {one.outline_px_yx for one in lines_of(first, late)} == outlines
    assert len(outlines) == 1
    seen_by_both = [one for one in lines_of(together) if len(parts_of(one)) > 1]
    assert isinstance(late.confirms, tuple)
    confirmed = [first.defects[i].outline_px_yx for i in late.confirms]
    assert [one.outline_px_yx for one in seen_by_both] == confirmed


def test_what_only_the_map_shows_is_listed_late() -> None:
    first, late = events_of(scene("patch").frame, models(), leaves=("symmetry",))
    assert lines_of(first) == []
    assert [one.kind for one in lines_of(late)] == ["amorphous"]
    assert late.confirms == ()


# Several that are late


def test_two_late_detectors_share_one_event_and_each_confirms_its_own() -> None:
    frame = scene("patch").frame
    slow = FakeLooker(findings=(finding((60.0, 60.0)),))
    first, late = events_of(frame, models(domains="always"), slow, leaves=("symmetry", "slow"))
    assert [state.name for state in late.detectors] == ["slow", "symmetry"]
    assert late.confirms == (lines_of(first)[0].i,)
    assert [one.pixel_yx for one in late.defects] == [(60.0, 60.0)]
    assert (late.n_sites, late.n_scored) == (12, 10)


@pytest.mark.parametrize("waits", ["symmetry", "slow"])
def test_each_detector_is_late_by_its_own_setting(waits: str) -> None:
    other = {"symmetry": "slow", "slow": "symmetry"}[waits]
    first, late = events_of(scene("patch").frame, models(), FakeLooker(), leaves=(other,))
    assert [state.name for state in first.detectors] == ["reference_cell", waits]
    assert [state.name for state in late.detectors] == [other]
