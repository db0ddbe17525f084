"""A pipeline belongs to its model: warmed up, named by digest, and silent on other crystals."""

import subprocess
import sys

import numpy as np
import pytest

from latticewatch.daemon.pipeline import PipelineSettings
from support.crystals import CRYSTALS, Bench, places, specimen, without_times

PIXELS, _ = specimen(seed=5)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize(
    "change",
    [
        {"rotation_deg": 16.0},
        {"rotation_deg": 6.0},
        {"rotation_deg": 14.0},
        {"pixel_size_nm": 0.0131 * 1.05},
        {"pixel_size_nm": 0.0131 * 0.95},
    ],
    ids=str,
)
def test_turned_or_magnified_crystal_makes_the_model_stale(
    crystal: str, change: dict[str, float]
) -> None:
    event = Bench(crystal).judge(specimen(crystal, seed=3, **change)[0])

    assert event.outcome == "not_scored"
    assert {"model_stale", "not_periodic"} & set(event.quality)
    if "model_stale" in event.quality:
        assert event.detectors[0].state == "stale"
    assert event.n_defects == 0


@pytest.mark.parametrize(
    ("model", "crystal"), [(a, b) for a in CRYSTALS for b in CRYSTALS if a != b]
)
def test_other_crystal_is_called_a_stale_model(model: str, crystal: str) -> None:
    event = Bench(model).judge(specimen(crystal, seed=3)[0])

    assert event.outcome == "not_scored"
    assert "model_stale" in event.quality
    assert (event.n_scored, event.n_defects) == (0, 0)


def test_thresholds_and_models_have_a_digest_of_their_own(bench: Bench) -> None:
    digests = {
        bench.judge(PIXELS).model_set,
        Bench(settings=PipelineSettings(fdr=0.01)).judge(PIXELS).model_set,
        Bench(settings=PipelineSettings(max_defects=9)).judge(PIXELS).model_set,
        Bench(settings=PipelineSettings(fdr=None, false_alarms_per_frame=1.0))
        .judge(PIXELS)
        .model_set,
        Bench("srtio3").judge(PIXELS).model_set,
    }

    assert len(digests) == 5
    assert all(len(digest) == 16 for digest in digests)


WARM_UP = """
import numpy as np
from latticewatch.daemon.metrics import count_kernel_variants
from support.crystals import Bench, specimen

bench = Bench()
bench.pipeline.warm_up((512, 512), "<u2")
before = count_kernel_variants()
frame = specimen(seed=5)[0]
crowded = specimen(seed=5, vacancies=30)[0]
with_nan = frame.astype("<f4")
with_nan[200, 200] = np.nan
frames = [
    frame, frame.copy(), frame.astype(">u2"), frame.astype("<u4"), frame.astype("<f4"), crowded,
    (frame // 300).astype("u1"), with_nan, np.zeros((16, 16), "<u2"), frame[:100, :300],
    np.random.default_rng(0).normal(size=(64, 700)).astype("<f4"), specimen("srtio3")[0],
    specimen(seed=5, rotation_deg=16.0)[0],
]
for pixels in frames:
    bench.judge(pixels)
print(before, count_kernel_variants())
"""


def test_nothing_is_compiled_after_the_warm_up() -> None:
    """In a process of its own: here, other tests have compiled everything already."""
    paths = [path for path in sys.path if path]
    program = f"import sys; sys.path[:0] = {paths!r}\n{WARM_UP}"

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )

    before, after = map(float, answer.stdout.split())
    assert after == before > 5


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<u4", "<f4"])
@pytest.mark.parametrize("shape_yx", [(16, 16), (512, 512), (16, 8192), (100, 1000)])
def test_warm_up_takes_any_shape_and_type_and_leaves_no_trace(
    shape_yx: tuple[int, int], dtype: str
) -> None:
    bench = Bench()
    before = without_times(bench.judge(PIXELS))

    bench.pipeline.warm_up(shape_yx, dtype)

    assert without_times(bench.judge(PIXELS)) == before


@pytest.mark.parametrize("turn_deg", [60.0, 120.0, 180.0])
def test_inverted_crystal_is_stale_or_its_defects_are_listed_right(
    bench: Bench, turn_deg: float
) -> None:
    """A Patterson map is the same of a motif and its inversion; a mean window is not."""
    n_listed = n_right = 0
    for seed in range(5, 9):
        pixels, truth = specimen(seed=seed, rotation_deg=11.0 + turn_deg)
        found = places(bench.judge(pixels))
        gaps = np.linalg.norm(found[:, None] - truth.pixel_yx[None], axis=2)
        n_listed += len(found)
        n_right += int((gaps < 0.25 * truth.period_px).any(axis=1).sum())

    assert n_right >= 0.9 * n_listed
