"""Whatever frames come in whatever order, each gets a valid event with finite numbers in it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.daemon.pipeline import PipelineSettings
from latticewatch.wire.codec import to_jsonable
from latticewatch.wire.events import Defect, DefectEvent
from latticewatch.wire.schema import schema_of
from support.crystals import Bench, everybody, places
from support.drawn_frames import Drawn, crystals, sequences

# The first frame of all compiles whatever it meets, which is nearly everything.
pytestmark = pytest.mark.timeout(300)

Pixels = NDArray[np.float32]
SCHEMA = jsonschema.Draft202012Validator(schema_of("defects"))
N_MOST = 40
# Of 65 x 80 px at this period a basis locks 320 nodes or, with both vectors turned round, 31.
SMALL = Drawn(
    content="srtio3",
    shape_yx=(65, 80),
    dtype="<f4",
    period_px=65 / 7,
    angle_rad=0.19198,
    skew=0.0,
    flaws=(),
    scale=0,
    session=1,
    channel="",
    seed=7,
)
# What two searches differ by that round differently was 0.1 px of a defect with p = 1e-4, and
# 0.05 px of one with 1e-29, in 1000 frames.
_SURE_P, _ELSEWHERE_PX = 1e-6, 0.25
# A whole frame takes a hundred times as long as an example of a kernel.
FEWER = settings(max_examples=max(1, settings().max_examples // 3))


def judged(frames: Sequence[Drawn], *, before: Sequence[Drawn] = ()) -> list[DefectEvent]:
    """Events of frames in a row, from a new pipeline that has seen `before` and nothing else."""
    bench = Bench(models=everybody(frames[0].model), settings=PipelineSettings(max_defects=N_MOST))
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
@given(sequences())
def test_every_frame_of_any_sequence_gets_a_sound_event(frames: list[Drawn]) -> None:
    for frame, event in zip(frames, judged(frames), strict=True):
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
@given(sequences(), sequences(2))
def test_frames_of_another_session_leave_no_trace(before: list[Drawn], frames: list[Drawn]) -> None:
    frames = [replace(frame, session=3 + frame.session) for frame in frames]

    assert judged(frames, before=before) == judged(frames)


@FEWER
@given(crystals(), st.integers(-12, 12))
def test_gain_leaves_the_defects_of_a_crystal_where_they_are(frame: Drawn, gain: int) -> None:
    pixels = frame.pixels()

    assert_same_places(pixels, np.ldexp(pixels, gain), frame.model)


@FEWER
@given(crystals(), st.integers(0, 12))
def test_offset_leaves_the_defects_of_a_crystal_where_they_are(frame: Drawn, offset: int) -> None:
    pixels = frame.pixels()

    assert_same_places(pixels, pixels + np.float32(2.0**offset), frame.model)


def assert_same_places(one: Pixels, other: Pixels, model: str) -> None:
    """Defects of one are defects of the other, but for those that may be chance."""
    event, again = (Bench(models=everybody(model)).judge(pixels) for pixels in (one, other))
    assert event.quality == again.quality
    for these, those in ((event, again), (again, event)):
        sure = [defect for defect in these.defects if defect.p_value < _SURE_P]
        for defect in sure:
            away_px = np.abs(places(those) - defect.pixel_yx).max(axis=1)
            assert away_px.min(initial=np.inf) < _ELSEWHERE_PX


def test_the_last_digit_does_not_decide_whether_a_small_frame_locks() -> None:
    pixels = SMALL.pixels()

    events = [Bench(models=everybody(SMALL.model)).judge(pixels + np.float32(k)) for k in range(9)]

    assert len({event.n_scored for event in events}) == 1
