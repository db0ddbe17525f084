"""What the pipeline leaves to late detectors, and the event that they make of it."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.exchange import PipelineSettings
from latticewatch.daemon.look_cell import CellLooker
from latticewatch.daemon.look_patterson import PattersonLooker
from latticewatch.daemon.models import ModelSet
from latticewatch.daemon.outcome import LateJob, Outcome
from latticewatch.daemon.pipeline import Pipeline
from latticewatch.daemon.sights import Looker
from latticewatch.wire.codec import decode_event, encode
from latticewatch.wire.events import DefectEvent
from support.crystals import TickingClock, in_force, incoming, net_frame, places, specimen
from support.late import FakeLooker, finding

CELL = ModelSet(None, reference_cell=True)
BOTH = ModelSet(in_force(), reference_cell=True)
SLOW_YX = (101.5, 77.25)  # a place where the cell sees nothing


def pipeline_with(
    *late: Looker,
    models: ModelSet = CELL,
    leaves: bool = True,
    settings: PipelineSettings | None = None,
) -> Pipeline:
    return Pipeline(
        models=models,
        settings=settings or PipelineSettings(),
        clock=TickingClock(),
        late=late,
        leaves_late=[looker.name for looker in late] if leaves else [],
    )


def left_by(outcome: Outcome) -> LateJob:
    assert outcome.late is not None
    return outcome.late


def both_events(
    pipeline: Pipeline, pixels: NDArray[np.generic], *, seq: int = 0
) -> tuple[DefectEvent, DefectEvent]:
    """First and late event of a frame, as a client reads them."""
    outcome = pipeline.process(incoming(pixels, seq=seq))
    assert pipeline.late_stage is not None
    late = pipeline.late_stage.process(left_by(outcome))
    left_by(outcome).release()
    return decode_event(encode(outcome.event)), decode_event(encode(late.event))


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.generic]:
    return specimen(seed=7)[0]


def test_a_late_event_is_of_the_same_frame_and_speaks_for_the_late_detectors_alone(
    pixels: NDArray[np.generic],
) -> None:
    first, late = both_events(pipeline_with(FakeLooker()), pixels, seq=5)

    assert (first.stage, late.stage) != ("late", "late")
    assert [state.name for state in first.detectors] == ["reference_cell"]
    assert [state.name for state in late.detectors] == ["slow"]
    assert late.frame == first.frame
    assert (late.t_recv_ns, late.model_set) == (first.t_recv_ns, first.model_set)
    assert (late.outcome, late.n_sites, late.n_scored) == ("scored", 12, 10)
    assert (late.defects, late.n_defects, late.confirms) == ((), 0, ())
    assert late.latency_us["slow"] == 40
    assert late.latency_us["total"] > first.latency_us["total"]


def test_a_place_that_the_first_event_lists_is_confirmed_and_not_listed_again(
    pixels: NDArray[np.generic],
) -> None:
    looker = FakeLooker()
    pipeline = pipeline_with(looker)
    known = both_events(pipeline, pixels)[0].defects[2]
    looker.findings = (finding(known.pixel_yx, 1e-3), finding(SLOW_YX))

    first, late = both_events(pipeline, pixels)

    assert late.confirms == (2,)
    assert first.defects[2].pixel_yx == pytest.approx(known.pixel_yx, abs=0.1)
    assert [defect.pixel_yx for defect in late.defects] == [SLOW_YX]
    assert [defect.i for defect in late.defects] == [0]
    assert late.n_defects == 1


def test_a_place_that_the_first_event_had_no_room_for_is_listed_late(
    pixels: NDArray[np.generic],
) -> None:
    strict = PipelineSettings(max_defects=1)
    everything = both_events(pipeline_with(FakeLooker()), pixels)[0]
    unlisted = everything.defects[-1]

    _, late = both_events(
        pipeline_with(FakeLooker(findings=(finding(unlisted.pixel_yx),)), settings=strict), pixels
    )

    assert [defect.pixel_yx for defect in late.defects] == [unlisted.pixel_yx]


@pytest.mark.parametrize("slow", ["reference_cell", "patterson"])
def test_both_events_together_list_what_one_would_that_waits(
    slow: str, pixels: NDArray[np.generic]
) -> None:
    def late_looker() -> Looker:
        clock = TickingClock()
        return CellLooker(clock) if slow == "reference_cell" else PattersonLooker(in_force(), clock)

    models = ModelSet(in_force()) if slow == "reference_cell" else CELL
    waits = pipeline_with(late_looker(), models=models, leaves=False)
    assert waits.late_stage is None
    at_once = waits.process(incoming(pixels))
    first, late = both_events(pipeline_with(late_looker(), models=models), pixels)

    assert at_once.late is None
    assert [state.name for state in at_once.event.detectors][-1] == slow
    together = {tuple(place) for event in (first, late) for place in places(event)}
    assert together == {tuple(place) for place in places(at_once.event)}
    assert len(together) == first.n_defects + late.n_defects
    assert late.confirms


def test_in_turn_no_event_has_a_stage(pixels: NDArray[np.generic]) -> None:
    looker = FakeLooker(findings=(finding(SLOW_YX),))

    outcome = pipeline_with(looker, leaves=False).process(incoming(pixels))

    assert b"stage" not in encode(outcome.event)
    assert SLOW_YX in [defect.pixel_yx for defect in outcome.event.defects]


def test_arithmetic_that_fails_is_an_error_in_the_late_event(pixels: NDArray[np.generic]) -> None:
    first, late = both_events(pipeline_with(FakeLooker(error=ZeroDivisionError("no"))), pixels)

    assert first.outcome == "scored"
    assert (late.outcome, late.detectors[0].state) == ("not_scored", "error")


def test_a_bug_of_a_late_detector_is_no_answer(pixels: NDArray[np.generic]) -> None:
    with pytest.raises(KeyError):
        both_events(pipeline_with(FakeLooker(error=KeyError("bug"))), pixels)


def test_scores_that_were_refused_are_told(pixels: NDArray[np.generic]) -> None:
    pipeline = pipeline_with(FakeLooker(n_refused=3))
    outcome = pipeline.process(incoming(pixels))
    assert pipeline.late_stage is not None

    assert pipeline.late_stage.process(left_by(outcome)).n_refused == {"slow": 3}
    assert outcome.n_refused == {}


@pytest.mark.parametrize(
    ("models", "n_late", "of_first", "of_late"),
    [(CELL, 1, 0.9, 0.1), (BOTH, 1, 0.9, 0.05), (CELL, 2, 0.9, 0.05), (BOTH, 2, 0.9, 1 / 30)],
)
@pytest.mark.parametrize("leaves", [True, False])
def test_late_detectors_share_the_last_tenth_whether_waited_for_or_not(
    models: ModelSet,
    n_late: int,
    of_first: float,
    of_late: float,
    leaves: bool,
    pixels: NDArray[np.generic],
) -> None:
    del of_first
    lookers = [FakeLooker(f"slow{n}") for n in range(n_late)]
    pipeline = pipeline_with(*lookers, models=models, leaves=leaves)
    outcome = pipeline.process(incoming(pixels))
    if pipeline.late_stage is not None:
        pipeline.late_stage.process(left_by(outcome))

    for looker in lookers:
        assert looker.budgets[0].fdr == pytest.approx(0.05 * of_late)


def test_a_late_detector_leads_where_no_other_answers() -> None:
    looker = FakeLooker()
    pipeline = pipeline_with(looker, models=ModelSet(in_force("zincblende")))
    outcome = pipeline.process(incoming(specimen(seed=7)[0]))
    assert pipeline.late_stage is not None
    assert outcome.event.n_scored == 0

    pipeline.late_stage.process(left_by(outcome))

    assert looker.budgets[0].fdr == pytest.approx(0.05 * 0.9)


@pytest.mark.parametrize("blank", [0, 1])
def test_a_frame_without_a_lattice_is_left_to_nobody(blank: int) -> None:
    noise = np.random.default_rng(1).poisson(20.0, (256, 256)).astype("<u2")
    frame = noise if blank else np.zeros_like(noise)

    assert pipeline_with(FakeLooker()).process(incoming(frame)).late is None


def test_late_detectors_are_warmed_up_before_the_first_frame() -> None:
    looker = FakeLooker()
    pipeline_with(looker).warm_up((256, 256), "<u2")

    assert looker.n_warmed == 1
    assert looker.scenes


def bytes_of(job: LateJob) -> list[bytes]:
    """Every array that a late detector is lent."""
    arrays: list[NDArray[Any]] = [job.scene.image, job.scene.bad_yx]  # Any: of every type
    for one in job.scene.lattices:
        lock = one.lock
        arrays += [lock.reciprocal_per_px, lock.basis_px_yx, lock.phase, lock.amplitude, lock.holds]
        arrays += [one.lattice.basis_px_yx, one.lattice.reflections, one.lattice.power]
    return [array.tobytes() for array in arrays]


def twin() -> NDArray[np.generic]:
    """Two crystals that mirror each other."""
    net = [[0.0, 16.0], [18.0, 3.0]]
    frame = net_frame(net, shape_yx=(384, 384), seed=3)
    frame[:, 200:] = net_frame(net, shape_yx=(384, 384), seed=4)[::-1, 200:]
    return frame.astype("<u2")


def frames(n_frames: int, shape_yx: tuple[int, int] = (320, 320)) -> Sequence[NDArray[np.generic]]:
    whole = specimen(seed=7)[0]
    return [whole[k : shape_yx[0] + k, k : shape_yx[1] + k] for k in range(n_frames)]


def test_nothing_that_was_handed_over_changes_with_the_frames_that_follow() -> None:
    pipeline = pipeline_with(FakeLooker())
    jobs: list[LateJob] = []
    lent: list[list[bytes]] = []
    for seq, pixels in enumerate(frames(5)):
        jobs.append(left_by(pipeline.process(incoming(pixels, seq=seq))))
        lent.append(bytes_of(jobs[-1]))

    assert [job.scene.lattice is not None and job.scene.lattice.followed for job in jobs][1:] == [
        True
    ] * 4
    assert [bytes_of(job) for job in jobs] == lent
    for one, other in itertools.combinations(jobs, 2):
        assert not np.shares_memory(one.scene.image, other.scene.image)


def test_lattices_of_two_domains_that_were_handed_over_do_not_change_either() -> None:
    whole, pipeline = twin(), pipeline_with(FakeLooker())
    jobs: list[LateJob] = []
    lent: list[list[bytes]] = []
    for seq in range(3):
        pixels = np.ascontiguousarray(whole[seq : 380 + seq])
        jobs.append(left_by(pipeline.process(incoming(pixels, seq=seq))))
        lent.append(bytes_of(jobs[-1]))

    assert [len(job.scene.lattices) for job in jobs] == [2, 2, 2]
    assert [bytes_of(job) for job in jobs] == lent


def test_buffers_go_round_once_frames_are_released() -> None:
    pipeline = pipeline_with(FakeLooker())
    addresses = set()
    held: LateJob | None = None
    for seq, pixels in enumerate(frames(8)):
        job = left_by(pipeline.process(incoming(pixels, seq=seq)))
        addresses.add(job.scene.image.ctypes.data)
        if held is not None:
            held.release()
        held = job

    assert len(addresses) == 2


def test_a_lattice_is_followed_for_whoever_saw_an_earlier_frame_of_its_chain() -> None:
    looker = FakeLooker()
    pipeline = pipeline_with(looker)
    assert pipeline.late_stage is not None
    images = frames(6)
    blank = np.zeros_like(images[0])
    seen = []
    # Frame 1 is not looked at late; 3 has no lattice, so that 4 begins a chain, which 5 follows.
    for seq, pixels in enumerate([images[0], images[1], images[2], blank, images[4], images[5]]):
        noise = np.random.default_rng(2).poisson(20.0, pixels.shape).astype(pixels.dtype)
        outcome = pipeline.process(incoming(noise if seq == 3 else pixels, seq=seq))
        if seq not in (1, 3, 4):
            pipeline.late_stage.process(left_by(outcome))
            lattice = looker.scenes[-1].lattice
            assert lattice is not None
            first = left_by(outcome).scene.lattice
            assert first is not None
            seen.append((first.followed, lattice.followed))

    assert seen == [(False, False), (True, True), (True, False)]
