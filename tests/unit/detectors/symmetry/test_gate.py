"""A gate judges tiles alike however it is given them, and refuses files that are none."""

import json
from importlib import resources

import numpy as np
import pytest

from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.symmetry.gate import Gate, GateHeader
from support.gate_tiles import boundary_tiles, clean_tiles, drawn_fit

onnx = pytest.importorskip("onnx")


def test_boundaries_of_other_frames_are_told_from_clean_tiles() -> None:
    gate = drawn_fit().gate
    clean = gate.judge(clean_tiles("hexagonal", 16, seed=50))
    crossed = gate.judge(boundary_tiles("hexagonal", 16, seed=500))
    assert (clean.p_defect < 0.5).mean() >= 0.8
    assert (crossed.p_defect >= 0.5).mean() >= 0.8
    assert np.concatenate([clean.known, crossed.known]).mean() >= 0.8


def test_tiles_of_another_crystal_are_unknown() -> None:
    verdicts = drawn_fit().gate.judge(clean_tiles("square", 16, period_px=12.0, counts=30.0))
    assert not verdicts.known.any()


def test_scale_and_offset_of_pixels_change_nothing() -> None:
    gate, tiles = drawn_fit().gate, clean_tiles("hexagonal", 3, seed=7)
    before, after = gate.judge(tiles), gate.judge(1000.0 * tiles + 5e4)
    np.testing.assert_allclose(after.p_defect, before.p_defect, atol=2e-3)


def test_whole_numbers_are_judged_as_floats_are() -> None:
    gate, tiles = drawn_fit().gate, clean_tiles("hexagonal", 2, seed=7)
    whole = gate.judge(tiles.astype(np.uint16))
    assert np.array_equal(whole.p_defect, gate.judge(tiles).p_defect)


def test_each_tile_is_judged_by_itself() -> None:
    gate, tiles = drawn_fit().gate, clean_tiles("hexagonal", 11, seed=9)
    together = gate.judge(tiles)
    for number in (0, 4, 10):
        alone = gate.judge(tiles[number : number + 1])
        assert alone.p_defect[0] == pytest.approx(together.p_defect[number], abs=1e-5)
        assert alone.novelty[0] == pytest.approx(together.novelty[number], abs=1e-5)


def test_tiles_that_show_nothing_are_neither_judged_nor_known() -> None:
    tiles = clean_tiles("hexagonal", 5)
    tiles[1] = 7.0
    tiles[2, 3, 4] = np.nan
    tiles[3, 0, 0] = np.inf
    verdicts = drawn_fit().gate.judge(tiles)
    assert np.isnan(verdicts.p_defect).tolist() == [False, True, True, True, False]
    assert not verdicts.known[1:4].any()
    assert np.isfinite(verdicts.novelty[[0, 4]]).all()


@pytest.mark.parametrize("value", [0.0, 7.0, -1e30, 1e38, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_tiles", [1, 5])
def test_tiles_of_one_value_are_not_known(value: float, n_tiles: int) -> None:
    verdicts = drawn_fit().gate.judge(np.full((n_tiles, 128, 128), value))
    assert not verdicts.known.any()
    assert np.isnan(verdicts.p_defect).all()


def test_numbers_beyond_single_precision_are_not_known() -> None:
    tiles = np.random.default_rng(0).choice([-1e300, 1e300], (2, 128, 128))
    assert not drawn_fit().gate.judge(tiles).known.any()


def test_tiles_of_both_extremes_of_single_precision_are_not_known() -> None:
    tiles = np.random.default_rng(0).choice([-3e38, 3e38], (2, 128, 128)).astype(np.float32)
    assert not drawn_fit().gate.judge(tiles).known.any()


def test_no_tiles_give_no_verdicts() -> None:
    assert len(drawn_fit().gate.judge(np.empty((0, 128, 128), np.float32)).known) == 0


def test_tiles_of_another_side_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 128, 128\)"):
        drawn_fit().gate.judge(np.zeros((1, 64, 64), np.float32))


def test_gate_passes_through_its_bytes() -> None:
    gate, tiles = drawn_fit().gate, clean_tiles("hexagonal", 2)
    again = Gate(bytes(gate.network))
    assert again.sha256 == gate.sha256
    assert again.header == gate.header
    assert np.array_equal(again.judge(tiles).p_defect, gate.judge(tiles).p_defect)
    assert len(gate.network) < 2**20


def test_shipped_network_is_in_the_package_and_is_no_gate() -> None:
    folder = resources.files("latticewatch.detectors.pretrained")
    assert "Apache License" in folder.joinpath("efficientnet-lite0.NOTICE").read_text("utf-8")
    network = folder.joinpath("efficientnet-lite0.onnx").read_bytes()
    assert len(network) <= 2**20
    with pytest.raises(ModelError, match="expected defect_logit"):
        Gate(network)


@pytest.mark.parametrize(
    "change",
    [
        {"tile_px": 500},
        {"threshold": 0.0},
        {"tile_px": "no"},
        {"tile_px": 1e999},
        {"format_version": 2},
    ],
)
def test_odd_headers_are_refused_in_one_line(change: dict[str, object]) -> None:
    told = json.loads(drawn_fit().gate.header.notes()["gate"]) | change
    with pytest.raises(ModelError) as refusal:
        GateHeader.from_notes({"gate": json.dumps(told)}, "my.model")
    assert str(refusal.value).startswith("my.model: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08"])
def test_what_is_no_network_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"^my\.model: "):
        Gate(content, "my.model")


def test_gate_without_a_header_is_refused() -> None:
    model = onnx.load_from_string(drawn_fit().gate.network)
    del model.metadata_props[:]
    with pytest.raises(ModelError, match="no header of a gate"):
        Gate(model.SerializeToString())


def test_gate_that_answers_no_numbers_is_refused_before_it_is_asked() -> None:
    model = onnx.load_from_string(drawn_fit().gate.network)
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32:
            broken = onnx.numpy_helper.from_array(np.full_like(values, np.nan), weights.name)
            weights.CopyFrom(broken)
    with pytest.raises(ModelError, match=r"^my\.model: the gate does not"):
        Gate(model.SerializeToString(), "my.model")
