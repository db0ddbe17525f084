"""Sites are judged by their cells, alike in any order, and what cannot be judged is not normal."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.vae.locate import locate
from latticewatch.detectors.vae.score import VaeDetector
from latticewatch.detectors.vae.session import BATCH, Redrawer
from support.vae_models import (
    PERIOD_PX,
    flat_model,
    flat_network,
    nearest_site,
    square_frame,
    view_of,
    without_column,
)

pytest.importorskip("onnx")
MIDDLE = (160.0, 160.0)


def middle_site(frame: NDArray[np.float32]) -> NDArray[np.float64]:
    view = view_of(flat_model(), frame)
    place: NDArray[np.float64] = view.places_yx[nearest_site(view, MIDDLE)].copy()
    return place


def test_clean_frame_has_no_tiny_p_values() -> None:
    model = flat_model()
    view = view_of(model, square_frame(7))
    scores = VaeDetector(model).score(view)
    assert not scores.stale
    assert np.count_nonzero(scores.scored) > 80
    assert np.nanmin(scores.p_value) > 1e-4
    assert 0.3 < np.nanmedian(scores.p_value) < 0.8


def test_sites_near_the_edge_are_not_scored_and_hold_nan() -> None:
    model = flat_model()
    view = view_of(model, square_frame(7))
    scores = VaeDetector(model).score(view)
    reach = model.windows.span_px // 2
    at_edge = (view.places_yx < reach).any(axis=1) | (view.places_yx > 319 - reach).any(axis=1)
    assert at_edge.any()
    assert not scores.scored[at_edge].any()
    assert np.isnan(scores.p_value[~scores.scored]).all()


@pytest.mark.parametrize(("share", "kind"), [(1.0, "vacancy"), (0.5, "deficit"), (-0.5, "excess")])
def test_changed_column_is_found_where_it_is_and_named(share: float, kind: str) -> None:
    model, frame = flat_model(), square_frame(8)
    place = middle_site(frame)
    view = view_of(model, without_column(frame, place, share))
    detector = VaeDetector(model)
    scores = detector.score(view)
    strange = np.flatnonzero(scores.p_value < 1e-4)
    (finding,) = locate(view, detector, strange, scores)
    assert finding.kind == kind
    assert np.hypot(*(np.array(finding.pixel_yx) - place)) < 1.5
    assert finding.p_value < 1e-4
    assert {name for name, _, _ in finding.parts} == {"vae_residual", "vae_energy"}


def test_column_between_columns_is_extra_and_one_finding() -> None:
    model, frame = flat_model(), square_frame(8)
    view = view_of(model, frame)
    site = nearest_site(view, MIDDLE)
    place = view.places_yx[site] + view.basis_px_yx.sum(axis=0) / 2
    y, x = np.indices(frame.shape)
    more = 20 * np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / 18)
    view = view_of(model, (frame + more).astype(np.float32))
    detector = VaeDetector(model)
    scores = detector.score(view)
    findings = locate(view, detector, np.flatnonzero(scores.p_value < 1e-4), scores)
    assert [one.kind for one in findings] == ["extra"]
    assert np.hypot(*(np.array(findings[0].pixel_yx) - place)) < 1.5


def test_nothing_strange_is_nothing_found() -> None:
    model = flat_model()
    detector, view = VaeDetector(model), view_of(model, square_frame(7))
    scores = detector.score(view)
    assert locate(view, detector, np.empty(0, np.intp), scores) == []


def test_gain_and_offset_change_no_p_value() -> None:
    model, frame = flat_model(), square_frame(8)
    plain = VaeDetector(model).score(view_of(model, frame)).p_value.copy()
    changed = (frame * np.float32(0.5) + np.float32(30)).astype(np.float32)
    other = VaeDetector(model).score(view_of(model, changed)).p_value
    np.testing.assert_allclose(other, plain, rtol=0.02, atol=1e-4)


def test_second_frame_is_scored_as_if_it_were_the_first() -> None:
    model = flat_model()
    used = VaeDetector(model)
    used.score(view_of(model, square_frame(7, 400)))
    view = view_of(model, square_frame(8))
    np.testing.assert_array_equal(used.score(view).p_value, VaeDetector(model).score(view).p_value)


def test_batch_and_order_change_no_residual() -> None:
    rng = np.random.default_rng(1)
    windows = rng.normal(size=(BATCH, 33, 33)).astype(np.float32)
    network = Redrawer(flat_network(), 33, 23)
    order = rng.permutation(BATCH)
    together = network.redraw(windows).copy()
    alone = np.concatenate([network.redraw(windows[k : k + 1]).copy() for k in range(8)])
    np.testing.assert_allclose(alone, together[:8], atol=1e-6)
    np.testing.assert_allclose(network.redraw(windows[order]), together[order], atol=1e-6)


def test_nan_of_the_network_is_counted_and_never_published() -> None:
    model = flat_model()
    spoilt = replace(
        model, windows=replace(model.windows, usual=model.windows.usual + np.float32(np.nan))
    )
    detector = VaeDetector(spoilt)
    scores = detector.score(view_of(model, square_frame(8)))
    assert not scores.scored.any()
    assert detector.n_not_finite > 80
    assert np.isnan(scores.p_value).all()


def test_hot_pixel_flags_its_own_surroundings_at_most() -> None:
    model = flat_model()
    frame = square_frame(8).copy()
    frame[160, 160] += 500
    view = view_of(model, frame)
    scores = VaeDetector(model).score(view)
    strange = view.places_yx[scores.p_value < 1e-4]
    assert len(strange) <= 4
    assert (np.hypot(*(strange - 160).T) < PERIOD_PX).all()


def test_constant_frame_scores_nothing() -> None:
    model = flat_model()
    view = view_of(model, np.full((320, 320), 7, np.float32))
    scores = VaeDetector(model).score(view)
    assert not scores.scored.any()


@pytest.mark.parametrize(("scale", "turn"), [(1.06, 0.0), (0.94, 0.0), (1.0, 5.0), (1.0, -5.0)])
def test_magnified_and_turned_frames_are_stale(scale: float, turn: float) -> None:
    model = flat_model()
    detector = VaeDetector(model)
    scores = detector.score(view_of(model, square_frame(3, scale=scale, turn=turn)))
    assert scores.stale
    assert detector.freshness is not None
    assert ("angle" if turn else "period") in detector.freshness.reasons
    assert any("limit" in told for told in detector.freshness.told)


def test_residual_picture_shows_the_defect_and_nothing_at_the_edge() -> None:
    model, frame = flat_model(), square_frame(8)
    place = middle_site(frame)
    view = view_of(model, without_column(frame, place))
    detector = VaeDetector(model)
    detector.score(view)
    picture = detector.residual_picture(view)
    assert picture.shape == frame.shape
    assert np.isnan(picture[0]).all()
    darkest = np.unravel_index(np.nanargmin(picture), picture.shape)
    assert np.hypot(*(np.array(darkest) - place)) < 2.5


def test_scoring_imports_neither_torch_nor_onnx() -> None:
    code = (
        "import sys\n"
        "import latticewatch.detectors.vae.score, latticewatch.detectors.vae.locate\n"
        "import latticewatch.detectors.vae.model\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'onnx', 'sklearn')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
