"""Whatever frames come in whatever order, each gets a valid event with finite numbers in it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import jsonschema
import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.daemon.pipeline import PipelineSettings
from latticewatch.wire.codec import to_jsonable
from latticewatch.wire.events import Defect, DefectEvent
from latticewatch.wire.schema import schema_of
from support.crystals import CRYSTALS, Bench, everybody, places
from support.drawn_frames import Drawn, drawn_frames, sequences

Pixels = NDArray[np.float32]
SCHEMA = jsonschema.Draft202012Validator(schema_of("defects"))
N_MOST = 40
# A whole frame takes a hundred times as long as an example of a kernel.
FEWER = settings(max_examples=max(1, settings().max_examples // 2))


def judged(
    frames: Sequence[Drawn], crystal: str, *, before: Sequence[Drawn] = ()
) -> list[DefectEvent]:
    """Events of frames in a row, from a new pipeline that has seen `before` and nothing else."""
    bench = Bench(models=everybody(crystal), settings=PipelineSettings(max_defects=N_MOST))
    events = [
        # On the way the codec refuses a number that is not finite.
        bench.judge(frame.pixels(), seq=seq, **frame.header)
        for seq, frame in enumerate([*before, *frames], start=9 - len(before))
    ]
    return [timeless(event) for event in events[len(before) :]]


def timeless(event: DefectEvent) -> DefectEvent:
    """Same event as from an infinitely fast machine."""
    detectors = tuple(msgspec.structs.replace(state, us=0) for state in event.detectors)
    return msgspec.structs.replace(event, latency_us={}, detectors=detectors)


def assert_sound(defect: Defect, shape_yx: tuple[int, int]) -> None:
    """A controller may steer there: in the frame, with an error that is one."""
    assert all(
        0 <= place <= side - 1 for place, side in zip(defect.pixel_yx, shape_yx, strict=True)
    )
    var_y, cov, var_x = defect.cov_px
    assert var_y >= 0
    assert var_x >= 0
    assert cov**2 <= var_y * var_x * (1 + 1e-9)
    assert 0 < defect.p_value <= 1
    assert 0 < defect.q_value <= 1
    assert all(0 <= p_value <= 1 for _, _, p_value in defect.scores)
    assert defect.extent_px >= 0


@FEWER
@given(sequences(), st.sampled_from(CRYSTALS))
def test_every_frame_of_any_sequence_gets_a_sound_event(frames: list[Drawn], crystal: str) -> None:
    for frame, event in zip(frames, judged(frames, crystal), strict=True):
        value = to_jsonable(event)
        SCHEMA.validate(value)
        assert (event.outcome == "scored") == (event.n_scored > 0)
        assert event.outcome == "scored" or event.quality
        assert not any(state.state == "error" for state in event.detectors)
        assert len(event.defects) == min(event.n_defects, N_MOST)
        assert event.truncated == (event.n_defects > N_MOST)
        assert 0 <= event.n_scored <= event.n_sites
        assert [defect.i for defect in event.defects] == list(range(len(event.defects)))
        chances = [defect.p_value for defect in event.defects]
        assert chances == sorted(chances)
        for defect in event.defects:
            assert_sound(defect, frame.shape_yx)
        if event.drift is not None:
            var_y, cov, var_x = event.drift.cov_frac
            assert min(var_y, var_x) >= 0
            assert cov**2 <= var_y * var_x * (1 + 1e-9)
        if event.lattice is not None:
            area = np.linalg.det([event.lattice.a_px_yx, event.lattice.b_px_yx])
            assert math.isfinite(area)
            assert abs(area) > 1


@FEWER
@given(sequences(), sequences(2), st.sampled_from(CRYSTALS))
def test_frames_of_another_session_leave_no_trace(
    before: list[Drawn], frames: list[Drawn], crystal: str
) -> None:
    frames = [replace(frame, session=3 + frame.session) for frame in frames]

    assert judged(frames, crystal, before=before) == judged(frames, crystal)


@FEWER
@given(drawn_frames(), st.integers(-12, 12), st.sampled_from(CRYSTALS))
def test_gain_leaves_the_defects_where_they_are(frame: Drawn, gain: int, crystal: str) -> None:
    pixels = replace(frame, dtype="<f4", scale=0).pixels()

    assert_same_places(pixels, np.ldexp(pixels, gain), crystal)


@FEWER
@given(drawn_frames(), st.integers(0, 12), st.sampled_from(CRYSTALS))
def test_offset_leaves_the_defects_where_they_are(frame: Drawn, offset: int, crystal: str) -> None:
    pixels = np.round(replace(frame, dtype="<f4", scale=0).pixels())

    assert_same_places(pixels, pixels + np.float32(2.0**offset), crystal)


def assert_same_places(one: Pixels, other: Pixels, crystal: str) -> None:
    """Defects of one are defects of the other, but for those that only just are."""
    event, again = (Bench(models=everybody(crystal)).judge(pixels) for pixels in (one, other))
    assert event.quality == again.quality
    for these, those in ((event, again), (again, event)):
        sure = [defect for defect in these.defects if defect.q_value < 0.01]
        for defect in sure:
            away = np.abs(places(those) - defect.pixel_yx).max(axis=1)
            assert away.min(initial=np.inf) < 0.05
