"""A frame becomes its event: the same one every time, whatever type its pixels have."""

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.pipeline import Incoming, PipelineSettings
from support.crystals import CRYSTALS, Bench, in_force, incoming, places, specimen, without_times
from support.headers import T_NS

PIXELS, TRUTH = specimen(seed=5)
# The same frame in numbers that fit a byte, saturating none.
BYTES = np.round(PIXELS * (250 / PIXELS.max())).astype("u1")
Pixels = NDArray[Any]  # Any: every type of the wire


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_defects_of_a_simulated_frame_are_listed_at_their_place(crystal: str) -> None:
    pixels, truth = specimen(crystal, seed=7)

    event = Bench(crystal).judge(pixels)

    gaps = np.linalg.norm(places(event)[:, None] - truth.pixel_yx[None], axis=2)
    near = gaps < 0.25 * truth.period_px
    assert (event.outcome, event.quality) == ("scored", ())
    assert near.any(axis=1).mean() >= 0.9
    assert near.any(axis=0).mean() >= 0.9


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_frame_without_defects_lists_none_or_one_by_chance(crystal: str) -> None:
    bench = Bench(crystal)

    found = [bench.judge(specimen(crystal, seed=s, perfect=True)[0]).n_defects for s in range(4)]

    assert max(found) <= 1
    assert sum(found) <= 1


def test_same_frame_gives_the_same_event_times_apart(bench: Bench) -> None:
    first, second = bench.judge(PIXELS), bench.judge(PIXELS)

    assert without_times(first) == without_times(second)
    assert without_times(Bench().judge(PIXELS)) == without_times(first)


def test_what_came_before_leaves_no_trace(bench: Bench) -> None:
    first = without_times(bench.judge(PIXELS))
    for shape_yx in ((128, 640), (700, 300), (64, 64)):
        bench.judge(specimen(shape_yx=shape_yx)[0])

    assert without_times(bench.judge(PIXELS)) == first


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<u4", "<f4"])
def test_pixel_type_does_not_matter(bench: Bench, dtype: str) -> None:
    plain = without_times(bench.judge(BYTES))

    assert plain.n_defects >= 9
    assert without_times(bench.judge(BYTES.astype(dtype))) == plain


def test_read_only_unaligned_and_strided_pixels_are_read_right(bench: Bench) -> None:
    plain = without_times(bench.judge(PIXELS))
    message = b"x" + PIXELS.tobytes()
    unaligned = np.frombuffer(message, "<u2", offset=1).reshape(PIXELS.shape)
    big = np.frombuffer(b"x" + PIXELS.astype(">u2").tobytes(), ">u2", offset=1)
    wide = np.zeros((512, 1024), "<u2")
    wide[:, ::2] = PIXELS

    for pixels in (unaligned, big.reshape(PIXELS.shape), wide[:, ::2]):
        assert without_times(bench.judge(pixels)) == plain


def test_pixels_are_only_read(bench: Bench) -> None:
    mine = PIXELS.astype("<f4")
    mine[4, 4] = np.nan
    before = mine.copy()

    bench.judge(mine)

    assert np.array_equal(mine, before, equal_nan=True)


@pytest.mark.parametrize("shape_yx", [(256, 512), (512, 256), (301, 411), (1024, 200)])
def test_frame_need_not_be_square(bench: Bench, shape_yx: tuple[int, int]) -> None:
    pixels, truth = specimen(shape_yx=shape_yx, seed=6)

    event = bench.judge(pixels)

    gaps = np.linalg.norm(places(event)[:, None] - truth.pixel_yx[None], axis=2)
    assert event.outcome == "scored"
    assert (gaps.min(axis=1) < 0.25 * truth.period_px).mean() >= 0.75
    assert event.lattice is not None
    assert np.linalg.norm(event.lattice.a_px_yx) == pytest.approx(truth.period_px, rel=0.01)


def test_best_defects_are_kept_when_there_are_too_many() -> None:
    everything = Bench().judge(PIXELS)
    few = Bench(settings=PipelineSettings(max_defects=3)).judge(PIXELS)

    assert (few.truncated, everything.truncated) == (True, False)
    assert few.n_defects == everything.n_defects > 3
    assert few.defects == everything.defects[:3]
    assert [defect.i for defect in few.defects] == [0, 1, 2]


def test_cap_that_is_just_reached_truncates_nothing() -> None:
    n_defects = Bench().judge(PIXELS).n_defects

    event = Bench(settings=PipelineSettings(max_defects=n_defects)).judge(PIXELS)

    assert (event.truncated, len(event.defects)) == (False, n_defects)


def test_defects_are_ranked_and_pass_the_rate_that_is_recorded(bench: Bench) -> None:
    event = bench.judge(PIXELS)
    p_values = [defect.p_value for defect in event.defects]

    assert (event.cut.rule, event.cut.value) == ("fdr", 0.05)
    assert p_values == sorted(p_values)
    assert all(
        p <= defect.q_value <= 0.05 for p, defect in zip(p_values, event.defects, strict=True)
    )


@pytest.mark.parametrize("limit", [0.001, 0.1, 1.0, 20.0])
def test_per_frame_rule_lists_by_p_value_and_is_recorded(limit: float) -> None:
    settings = PipelineSettings(fdr=None, false_alarms_per_frame=limit)

    event = Bench(settings=settings).judge(PIXELS)

    assert (event.cut.rule, event.cut.value) == ("per_frame", limit)
    assert event.n_defects >= 8
    assert all(defect.p_value * event.n_scored <= limit for defect in event.defects)


@pytest.mark.parametrize("shape_yx", [(512, 512), (160, 160)])
def test_limit_above_the_number_of_sites_lists_numbers_that_the_wire_carries(
    shape_yx: tuple[int, int],
) -> None:
    """The highest limit that the settings take; a site as normal as can be has p = 1."""
    settings = PipelineSettings(fdr=None, false_alarms_per_frame=1000.0, max_defects=1024)

    event = Bench(settings=settings).judge(specimen(shape_yx=shape_yx, seed=5)[0])

    assert event.n_defects > 0


def test_tighter_rate_lists_a_part_of_the_looser() -> None:
    listed = [
        {tuple(place) for place in places(Bench(settings=PipelineSettings(fdr=fdr)).judge(PIXELS))}
        for fdr in (1e-12, 0.01, 0.05, 0.3)
    ]

    # Places of a merged defect move a little with its members; their number does not shrink.
    assert [len(one) for one in listed] == sorted(len(one) for one in listed)


def test_event_names_the_frame_the_model_and_the_times(bench: Bench) -> None:
    event = bench.judge(PIXELS, seq=41, frame_index=7, scan_id="scan 3", channel="HAADF")

    assert (event.frame.seq, event.frame.frame_index) == (41, 7)
    assert (event.frame.scan_id, event.frame.channel) == ("scan 3", "HAADF")
    assert event.frame.shape_yx == PIXELS.shape
    assert event.t_recv_ns == T_NS + 1_000_000
    (detector,) = event.detectors
    assert (detector.name, detector.artifact) == ("patterson", "pretrained:mos2")
    assert (detector.sha256, detector.state) == (in_force().sha256, "ok")
    assert event.latency_us["queue"] == 11
    assert event.latency_us["validate"] >= 5
    stages = ("validate", "lattice", "patterson", "fuse")
    parts = sum(event.latency_us[stage] for stage in stages)
    assert event.latency_us["total"] >= parts + event.latency_us["queue"]


def test_stages_are_timed_whatever_became_of_the_frame(bench: Bench) -> None:
    scored = bench.pipeline.process(incoming(PIXELS)).stage_us
    empty = bench.pipeline.process(incoming(np.zeros((64, 64), "<u2"))).stage_us

    assert {"validate", "segment", "features", "score", "total"} <= scored.keys()
    assert {"validate", "total"} <= empty.keys()
    assert all(us >= 0 for us in (*scored.values(), *empty.values()))


def test_sites_are_counted_as_they_are(bench: Bench) -> None:
    event = bench.judge(PIXELS)
    cells = PIXELS.size / (TRUTH.period_px**2 * np.sqrt(0.75))

    assert event.n_sites == pytest.approx(cells, rel=0.06)
    assert 0.7 * event.n_sites < event.n_scored < event.n_sites


def test_defect_says_what_it_is_in_numbers_of_the_protocol(bench: Bench) -> None:
    for defect in bench.judge(PIXELS).defects:
        assert 0 < defect.p_value <= defect.q_value <= 1
        assert 0 < defect.score <= 38
        assert {name for name, _, _ in defect.scores} == {"patterson", "patterson_distance"}
        var_yy, cov_yx, var_xx = defect.cov_px
        assert var_yy > 0
        assert var_xx > 0
        assert var_yy * var_xx > cov_yx**2
        assert defect.extent_px == pytest.approx(TRUTH.period_px / 2, rel=0.02)
        assert not defect.edge


def test_covariance_covers_the_distance_to_the_truth(bench: Bench) -> None:
    """Nine in ten lie within three standard deviations, a third of a pixel at least."""
    inside = []
    for seed in range(5, 9):
        pixels, truth = specimen(seed=seed)
        for defect in bench.judge(pixels).defects:
            miss = truth.pixel_yx - np.array(defect.pixel_yx)
            miss = miss[np.argmin(np.linalg.norm(miss, axis=1))]
            yy, yx, xx = defect.cov_px
            inside.append(miss @ np.linalg.inv([[yy, yx], [yx, xx]]) @ miss < 9.0)

    assert np.mean(inside) > 0.9


def test_metadata_of_the_vendor_is_copied_only_where_asked() -> None:
    attrs = msgspec.Raw(msgspec.msgpack.encode({"kV": 60}))
    asked = Bench(settings=PipelineSettings(copy_attrs=True))

    assert asked.judge(PIXELS, attrs=attrs).attrs == {"kV": 60}
    assert asked.judge(PIXELS).attrs is None
    assert Bench().judge(PIXELS, attrs=attrs).attrs is None


def test_replayed_frame_is_scored_and_said_to_be_replayed(bench: Bench) -> None:
    event = bench.judge(PIXELS, t_source="replay")

    assert (event.outcome, event.quality) == ("scored", ("replay",))


def test_stage_times_are_whole_microseconds_of_the_clock(bench: Bench) -> None:
    frame = incoming(PIXELS)

    outcome = bench.pipeline.process(Incoming(frame.header, frame.pixels, t_recv_ns=1))

    assert all(isinstance(us, int) for us in outcome.stage_us.values())
    assert outcome.event.latency_us["queue"] == 0
