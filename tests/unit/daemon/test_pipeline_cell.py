"""The pipeline with the reference cell beside scheme one."""

import dataclasses

import numpy as np
import pytest

from support.crystals import Bench, places, shipped, specimen, without_times


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(models=dataclasses.replace(shipped(), reference_cell=True))


def test_both_detectors_are_named_and_their_findings_merged(bench: Bench) -> None:
    pixels, truth = specimen(seed=7)

    event = bench.judge(pixels)

    gaps = np.linalg.norm(places(event)[:, None] - truth.pixel_yx[None], axis=2)
    near = gaps < 0.3 * truth.period_px
    assert [state.name for state in event.detectors] == ["reference_cell", "patterson"]
    assert near.any(axis=0).all()
    assert near.any(axis=1).mean() >= 0.9
    names = [{name for name, _, _ in defect.scores} for defect in event.defects]
    assert any({"reference_cell", "patterson"} <= seen for seen in names)


def test_crystal_that_the_model_does_not_know_is_answered_by_the_cell(bench: Bench) -> None:
    pixels, truth = specimen("srtio3", seed=7)

    event = bench.judge(pixels)

    gaps = np.linalg.norm(places(event)[:, None] - truth.pixel_yx[None], axis=2)
    assert event.outcome == "scored"
    assert not {"model_stale", "not_periodic"} & set(event.quality)
    assert (gaps < 0.3 * truth.period_px).any(axis=0).mean() >= 0.9


def test_sites_have_addresses_and_displacements_lengths(bench: Bench) -> None:
    event = bench.judge(specimen(seed=7)[0])

    seen = [defect for defect in event.defects if defect.site is not None]
    assert len(seen) >= 5
    moved = [defect for defect in seen if defect.kind == "displaced"]
    assert moved
    assert all(defect.displacement_px_yx is not None for defect in moved)


def test_noise_is_said_to_be_no_crystal(bench: Bench) -> None:
    noise = np.random.default_rng(1).poisson(20.0, (512, 512)).astype("<u2")

    event = bench.judge(noise)

    assert (event.outcome, event.quality, event.defects) == ("not_scored", ("not_periodic",), ())


def test_same_frame_gives_the_same_event(bench: Bench) -> None:
    pixels, _ = specimen(seed=8)
    first = without_times(bench.judge(pixels))
    bench.judge(specimen("srtio3", seed=7)[0])

    assert without_times(bench.judge(pixels)) == first


def test_bright_field_frame_is_read_as_one(bench: Bench) -> None:
    pixels, truth = specimen(seed=7)
    dark = (pixels.max() - pixels).astype("<u2")

    bright = bench.judge(pixels)
    by_channel = bench.judge(dark, channel="BF")
    by_itself = bench.judge(dark)

    for event in (by_channel, by_itself):
        (state,) = (one for one in event.detectors if one.name == "reference_cell")
        assert state.state == "ok"
        gaps = np.linalg.norm(places(event)[:, None] - truth.pixel_yx[None], axis=2)
        assert (gaps < 0.3 * truth.period_px).any(axis=0).mean() >= 0.9
        assert len(event.defects) <= len(bright.defects) + 2


def test_dead_pixels_are_no_defects_and_columns_there_are_not_looked_at(bench: Bench) -> None:
    pixels, _ = specimen(seed=12, perfect=True)
    frame = pixels.astype("<f4")
    rng = np.random.default_rng(5)
    for y, x in rng.integers(20, 480, (6, 2)):
        frame[y : y + 4, x : x + 4] = np.nan
    frame[:, 300] = np.nan

    whole, event = bench.judge(pixels), bench.judge(frame)

    assert event.outcome == "scored"
    assert "nonfinite" in event.quality
    assert event.n_scored < whole.n_scored
    assert len(event.defects) <= 1


def test_arithmetic_that_fails_is_said_and_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise np.linalg.LinAlgError("no convergence")

    pixels, _ = specimen(seed=7)
    with monkeypatch.context() as patch:
        patch.setattr(
            "latticewatch.detectors.reference_cell.score.ReferenceCellDetector.look", fail
        )
        event = bench.judge(pixels)
    states = {one.name: one.state for one in event.detectors}
    assert states == {"reference_cell": "error", "patterson": "ok"}
    assert event.outcome == "scored"
    assert {one.state for one in bench.judge(pixels).detectors} == {"ok"}
