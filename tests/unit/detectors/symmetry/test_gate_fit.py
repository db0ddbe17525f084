"""Fits of a gate: equal seeds give equal gates, and what cannot be fitted is said."""

import numpy as np
import pytest

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate_augment import augmented, dihedral
from latticewatch.detectors.symmetry.gate_features import FeatureNetwork
from latticewatch.detectors.symmetry.gate_fit import GateFitSettings, fit_gate
from latticewatch.detectors.symmetry.gate_head import learn
from latticewatch.detectors.symmetry.gate_metrics import (
    area_under_curve,
    measured,
    random_split,
    stratified_folds,
    summed_up,
)
from support.gate_tiles import drawn_fit, drawn_lots, labelled, published_tiles

pytest.importorskip("onnx")
FEW = GateFitSettings(n_jittered=1, n_splits=1, n_folds=2)


def test_equal_seeds_and_tiles_give_equal_bytes() -> None:
    tiles, labels = labelled("square", 6, side_px=64, period_px=14.0)
    first, second = (fit_gate(tiles, labels, FEW).gate.network for _ in range(2))
    assert first == second


def test_report_tells_the_papers_numbers_and_the_file_keeps_them() -> None:
    fit = drawn_fit()
    wanted = {"accuracy", "precision", "specificity", "recall", "auc", "known"}
    assert set(fit.report.metrics) == wanted
    assert dict(fit.gate.header.metrics) == dict(fit.report.metrics)
    assert all(any(name in line for line in fit.report.lines()) for name in wanted)
    assert (fit.gate.header.n_clean, fit.gate.header.n_defect) == (12, 12)


def test_written_head_is_the_one_that_was_learned() -> None:
    tiles, labels = labelled("oblique", 6, side_px=64, period_px=14.0)
    network = FeatureNetwork()
    features = network.features_of(tiles).astype(np.float64)[:, None]
    learned = learn(features, labels, 0.1)
    from latticewatch.detectors.symmetry.gate import Gate, GateHeader
    from latticewatch.detectors.symmetry.gate_export import to_onnx
    from latticewatch.detectors.symmetry.gate_features import shipped_network

    header = GateHeader(64, "efficientnet-lite0", 0.5, 0.99, 6, 6, 0)
    gate = Gate(to_onnx(shipped_network(), learned.head(3.0), header))
    verdicts = gate.judge(tiles)
    logits = np.log(verdicts.p_defect / (1 - verdicts.p_defect))
    np.testing.assert_allclose(logits, learned.logits(features)[:, 0], rtol=1e-3, atol=1e-3)
    wanted = learned.distance(features)[:, 0] / 3.0
    np.testing.assert_allclose(verdicts.novelty, wanted, rtol=1e-3)


@pytest.mark.parametrize(
    ("tiles", "labels", "told"),
    [
        (np.zeros((3, 64, 65)), np.zeros(3), r"expected \(N, S, S\)"),
        (np.zeros((3, 64, 64)), np.zeros(2), r"expected \(N, S, S\)"),
        (np.zeros((3, 16, 16)), np.zeros(3), "tiles of 16 px"),
        (np.zeros((3, 64, 64)), np.array([0, 2, 1]), r"labels hold \[2"),
        (np.random.default_rng(0).random((9, 64, 64)), np.arange(9) < 4, "at least 5 of each"),
        (np.zeros((20, 64, 64)), np.arange(20) < 10, "0 tiles with a defect and 0 clean"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_one_line(
    tiles: np.ndarray, labels: np.ndarray, told: str
) -> None:
    with pytest.raises(FitError, match=told) as refusal:
        fit_gate(tiles, labels, FEW)
    assert "\n" not in str(refusal.value)


def test_exact_copies_are_the_sixteen() -> None:
    tile = np.arange(12.0 * 12.0, dtype=np.float32).reshape(1, 12, 12) % 7
    copies = augmented(tile, np.random.default_rng(0), 3)
    assert copies.shape == (1, 19, 12, 12)
    assert np.array_equal(copies[0, 0], tile[0])
    assert len({copy.tobytes() for copy in dihedral(tile)[0]}) == 8
    np.testing.assert_array_equal(copies[0, 8:16], 6.0 - copies[0, :8])


def test_jittered_copies_keep_to_the_range_of_the_tile_but_for_noise() -> None:
    tile = np.random.default_rng(1).uniform(100, 200, (1, 64, 64)).astype(np.float32)
    jittered = augmented(tile, np.random.default_rng(0), 4)[0, 16:]
    assert np.isfinite(jittered).all()
    assert jittered.min() >= 99.9
    assert abs(jittered.mean() - tile.mean()) < 2.0


def test_metrics_are_those_of_a_table_counted_by_hand() -> None:
    p_defect = np.array([0.9, 0.8, 0.3, 0.6, 0.1, 0.2, 0.4])
    is_defect = np.array([True, True, True, False, False, False, False])
    found = measured(p_defect, is_defect)
    assert found["accuracy"] == pytest.approx(5 / 7)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["specificity"] == pytest.approx(3 / 4)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["auc"] == pytest.approx(10 / 12)


def test_number_without_a_meaning_is_left_out_of_the_mean() -> None:
    some = [{"precision": float("nan")}, {"precision": 0.5}]
    assert summed_up(some)["precision"] == (0.5, 0.0)
    assert np.isnan(area_under_curve(np.array([0.5]), np.array([True])))


def test_folds_and_splits_hold_both_classes_and_every_tile_once() -> None:
    is_defect = np.arange(23) < 7
    rng = np.random.default_rng(0)
    folds = stratified_folds(is_defect, 5, rng)
    assert sorted(np.concatenate(folds).tolist()) == list(range(23))
    assert all(is_defect[fold].any() and not is_defect[fold].all() for fold in folds)
    taught, asked = random_split(is_defect, 0.25, rng)
    assert sorted([*taught.tolist(), *asked.tolist()]) == list(range(23))
    assert is_defect[asked].sum() == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fifty_labels_per_class_of_published_tiles_are_enough() -> None:
    images, is_defect = published_tiles("cdte")
    others, _ = published_tiles("sto")
    taught, asked = drawn_lots(is_defect, 50, seed=11)
    gate = fit_gate(images[taught], is_defect[taught], GateFitSettings(n_splits=1)).gate
    turned = np.rot90(images[asked], axes=(1, 2))
    for sight, least in ((images[asked], 0.97), (turned, 0.95), (255 - images[asked], 0.90)):
        verdicts = gate.judge(sight)
        assert area_under_curve(verdicts.p_defect, is_defect[asked]) >= least
        assert verdicts.known.mean() >= 0.9
    assert gate.judge(others).known.mean() <= 0.05
