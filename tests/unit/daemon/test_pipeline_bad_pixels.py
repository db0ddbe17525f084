"""Bad frames cost an event that says so: no crash, no invented defect, no trace in the next one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.pixel_check import near_bad_pixel
from latticewatch.wire.events import DefectEvent
from support.crystals import Bench, everybody, image_of, places, shipped, specimen, without_times

pytestmark = pytest.mark.fault

SHAPE_YX = (512, 512)
PIXELS, TRUTH = specimen(seed=5)
FLOATS = image_of(PIXELS)
RNG = np.random.default_rng(12)
Y, X = np.indices(SHAPE_YX)
Pixels = NDArray[Any]  # Any: every type of the wire


@dataclass(frozen=True)
class Case:
    """A bad frame, and which words its event must hold; any of several where they are equal."""

    pixels: Pixels
    words: frozenset[str]
    full_scale: float | None = None


def bad(pixels: Pixels, *words: str, full_scale: float | None = None) -> Case:
    return Case(np.ascontiguousarray(pixels), frozenset(words), full_scale)


def with_pixel(value: float) -> Pixels:
    return np.where((Y == 200) & (X == 200), np.float32(value), FLOATS)


# None of these shows the model's crystal: nothing may be scored, and at least one word must be
# there that says why.
UNUSABLE: dict[str, Case] = {
    "zeros": bad(np.zeros(SHAPE_YX, "<u2"), "constant"),
    "zeros of one byte": bad(np.zeros(SHAPE_YX, "u1"), "constant"),
    "constant": bad(np.full(SHAPE_YX, 700, "<u2"), "constant"),
    "constant, huge": bad(np.full(SHAPE_YX, 3e38, "<f4"), "constant"),
    "constant float": bad(np.full(SHAPE_YX, -1e30, "<f4"), "constant"),
    "all saturated": bad(np.full(SHAPE_YX, 65535, "<u2"), "saturated"),
    "all saturated, one byte": bad(np.full(SHAPE_YX, 255, "u1"), "saturated"),
    "all saturated, four bytes": bad(np.full(SHAPE_YX, 2**32 - 1, "<u4"), "saturated"),
    "half saturated": bad(np.where(X < 256, 65535, PIXELS).astype("<u2"), "saturated"),
    "above full scale": bad(PIXELS, "saturated", full_scale=10.0),
    "all NaN": bad(np.full(SHAPE_YX, np.nan, "<f4"), "nonfinite"),
    "all infinite": bad(np.full(SHAPE_YX, np.inf, "<f4"), "nonfinite"),
    "NaN but for one": bad(np.where(X + Y == 0, 1.0, np.nan).astype("<f4"), "nonfinite"),
    "every 50th NaN": bad(np.where((X + 512 * Y) % 50 == 0, np.nan, FLOATS), "nonfinite"),
    "half NaN": bad(np.where(X < 256, np.nan, FLOATS), "nonfinite"),
    "half infinite": bad(np.where(X < 256, -np.inf, FLOATS), "nonfinite"),
    "normal noise": bad(RNG.normal(size=SHAPE_YX).astype("<f4"), "not_periodic"),
    "Poisson noise": bad(RNG.poisson(100, SHAPE_YX).astype("<u2"), "not_periodic"),
    "uniform bytes": bad(RNG.integers(0, 255, SHAPE_YX).astype("u1"), "not_periodic"),
    "vacuum": bad(RNG.poisson(0.02, SHAPE_YX).astype("<u2"), "not_periodic"),
    "one bright pixel": bad(((X == 9) & (Y == 9)).astype("<u2"), "not_periodic"),
    "step": bad((X > 200).astype("<u2"), "not_periodic"),
    "ramp": bad(Y.astype("<u2"), "not_periodic", "model_stale"),
    "stripes": bad(np.sin(X / 4).astype("<f4"), "not_periodic", "model_stale"),
    "checkerboard": bad(((X + Y) % 2).astype("u1"), "not_periodic", "model_stale"),
    "shuffled crystal": bad(
        RNG.permutation(PIXELS.ravel()).reshape(SHAPE_YX), "not_periodic", "model_stale"
    ),
    "negative": bad(-FLOATS, "model_stale", "not_periodic"),
    "mirrored": bad(PIXELS[:, ::-1], "model_stale", "not_periodic"),
    "turned by 90 degrees": bad(np.rot90(PIXELS), "model_stale", "not_periodic"),
    "transposed": bad(PIXELS.T, "model_stale", "not_periodic"),
    "rows stand still": bad(np.where(Y < 300, FLOATS, FLOATS[300]), "model_stale", "not_periodic"),
    "largest floats": bad(
        np.where(RNG.random(SHAPE_YX) < 0.5, 3e38, -3e38).astype("<f4"),
        "nonfinite",
        "not_periodic",
        "model_stale",
    ),
}

SMALL = [(16, 16), (17, 31), (16, 8192), (8192, 16), (40, 40), (24, 4000)]
CONTENTS = ["zeros", "noise", "NaN", "one pixel", "crystal"]


@pytest.fixture(scope="module", params=[shipped, everybody], ids=["patterson", "everybody"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(models=request.param())


@pytest.fixture(scope="module")
def good(bench: Bench) -> DefectEvent:
    event = without_times(bench.judge(PIXELS))
    assert event.outcome == "scored"
    assert event.n_defects >= 9
    return event


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_frame_is_called_so_and_the_next_is_as_before(
    bench: Bench, good: DefectEvent, name: str
) -> None:
    case = UNUSABLE[name]

    event = bench.judge(case.pixels, full_scale=case.full_scale)

    # What is another crystal to a model is a crystal to those that need none.
    if len(event.detectors) < 2 or "model_stale" not in case.words:
        assert event.outcome == "not_scored"
        assert case.words & set(event.quality)
        assert (event.n_scored, event.n_defects, event.defects) == (0, 0, ())
    assert without_times(bench.judge(PIXELS)) == good


@pytest.mark.parametrize("value", [1e12, 3e38, -3e38])
def test_wild_pixel_is_a_dead_one(bench: Bench, good: DefectEvent, value: float) -> None:
    event = bench.judge(with_pixel(value))

    assert (event.outcome, event.quality) == ("scored", ("nonfinite",))
    assert len(event.defects) >= len(good.defects) - 1


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_unit_of_the_pixels_does_not_matter(bench: Bench, good: DefectEvent, scale: float) -> None:
    event = bench.judge((FLOATS * np.float32(scale)).astype("<f4"))

    assert event.outcome == "scored"
    assert len(event.defects) == len(good.defects)


@pytest.mark.parametrize("shape_yx", SMALL)
@pytest.mark.parametrize("content", CONTENTS)
def test_frame_too_small_or_thin_to_judge_lists_nothing(
    bench: Bench, good: DefectEvent, shape_yx: tuple[int, int], content: str
) -> None:
    pixels: Pixels = np.zeros(shape_yx, "<f4")
    if content == "noise":
        pixels = RNG.normal(size=shape_yx).astype("<f4")
    if content == "NaN":
        pixels[:] = np.nan
    if content == "one pixel":
        pixels[3, 5] = 1.0
    if content == "crystal":
        pixels = specimen(shape_yx=shape_yx, perfect=True)[0]

    event = bench.judge(pixels)

    assert (event.n_scored, event.n_defects) == (0, 0)
    assert without_times(bench.judge(PIXELS)) == good


@pytest.mark.parametrize("shape_yx", [(16, 8192), (24, 4000)])
def test_frame_of_which_no_site_can_be_judged_is_not_called_scored(
    bench: Bench, shape_yx: tuple[int, int]
) -> None:
    """Scored with an empty list means that nothing was found; here nothing is known."""
    event = bench.judge(specimen(shape_yx=shape_yx, perfect=True)[0])

    assert (event.n_scored, event.outcome) == (0, "not_scored")


def test_frame_with_dead_pixels_in_every_window_is_not_called_scored(bench: Bench) -> None:
    pixels = FLOATS.copy()
    pixels.ravel()[::101] = np.nan

    event = bench.judge(pixels)

    assert "nonfinite" in event.quality
    assert (event.n_scored, event.outcome) == (0, "not_scored")


def assert_only_true_ones(event: DefectEvent) -> None:
    for place in places(event):
        gaps = np.linalg.norm(TRUTH.pixel_yx - place, axis=1)
        assert gaps.min() < 0.25 * TRUTH.period_px, place


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_few_dead_pixels_leave_the_rest_of_the_frame_scored(bench: Bench, value: float) -> None:
    pixels = FLOATS.copy()
    dead = RNG.integers(0, 512, (5, 2))
    pixels[dead[:, 0], dead[:, 1]] = value
    clean = bench.judge(FLOATS)

    event = bench.judge(pixels)

    assert (event.outcome, event.quality) == ("scored", ("nonfinite",))
    assert 0.8 * clean.n_scored < event.n_scored < clean.n_scored
    assert_only_true_ones(event)


def test_dead_pixel_on_a_defect_leaves_its_place_unscored(bench: Bench) -> None:
    pixels = FLOATS.copy()
    listed = places(bench.judge(FLOATS))
    (y, x) = np.round(listed[0]).astype(int)
    pixels[y, x] = np.nan

    left = places(bench.judge(pixels))

    assert np.linalg.norm(left - listed[0], axis=1).min() > 0.5 * TRUTH.period_px
    assert len(left) == len(listed) - 1


def test_dead_square_and_dead_rows_invent_nothing(bench: Bench) -> None:
    square, rows = FLOATS.copy(), FLOATS.copy()
    square[240:260, 300:320] = np.nan
    rows[100:105] = np.nan

    for pixels in (square, rows):
        event = bench.judge(pixels)
        assert event.outcome == "scored"
        assert_only_true_ones(event)


def test_few_saturated_pixels_are_said_and_scored(bench: Bench) -> None:
    gain = 65535 / float(np.quantile(PIXELS, 0.99))
    pixels = np.minimum(FLOATS * gain, 65535).astype("<u2")

    event = bench.judge(pixels)

    assert event.outcome == "scored"
    assert "saturated" in event.quality
    assert event.n_defects >= 9


def test_saturation_follows_the_full_scale_of_the_header(bench: Bench) -> None:
    top = float(PIXELS.max())

    assert bench.judge(PIXELS, full_scale=top).quality == ("saturated",)
    assert bench.judge(PIXELS, full_scale=top + 1).quality == ()
    assert bench.judge(FLOATS).quality == ()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("level", ["dark", "counts"])
def test_sites_in_vacuum_are_unscored_and_nothing_is_invented_there(
    bench: Bench, share: float, level: str
) -> None:
    edge = round(512 * (1 - share))
    vacuum = RNG.poisson(0.1, SHAPE_YX) * 40.0 + 100.0 if level == "counts" else 100.0
    pixels = np.where(edge > X, FLOATS, vacuum).astype("<f4")
    clean = bench.judge(FLOATS)

    event = bench.judge(pixels)

    assert event.n_scored <= (1 - share) * clean.n_sites
    assert_only_true_ones(event)
    assert not (places(event)[:, 1] > edge).any()


def test_hole_in_the_crystal_invents_nothing_inside_it(bench: Bench) -> None:
    middle_yx = np.array([300.0, 220.0])
    apart = np.hypot(Y - middle_yx[0], X - middle_yx[1])
    for radius_px in (60, 110, 170):
        event = bench.judge(np.where(apart < radius_px, 100, PIXELS).astype("<u2"))
        inside = np.linalg.norm(places(event) - middle_yx, axis=1) < radius_px - 12
        assert not inside.any()


def test_dead_pixel_is_near_exactly_where_a_square_round_the_place_holds_it() -> None:
    shape_yx, reach_px = (40, 50), 4
    bad_yx = np.argwhere(RNG.random(shape_yx) < 0.01)
    sites = RNG.uniform(-0.4, 1.0, (300, 2)) * (40, 50) % (39.4, 49.4)

    near = near_bad_pixel(sites, bad_yx, shape_yx, reach_px)

    steps = np.abs(np.floor(sites + 0.5)[:, None] - bad_yx[None])
    held = (steps.max(axis=2) <= reach_px).max(axis=1)
    assert near.tolist() == held.tolist()
