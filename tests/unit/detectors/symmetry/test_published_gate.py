"""The published gate takes a local weight file and says so where there is none."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate_metrics import area_under_curve
from latticewatch.detectors.symmetry.vgg16_weights import CONVOLUTIONS, read_base
from support.gate_tiles import labelled


def drawn_state() -> dict[str, NDArray[np.float32]]:
    """Random weights of the right sizes, by torch's names."""
    rng = np.random.default_rng(0)
    state = {}
    for layer in CONVOLUTIONS.values():
        fan_in = int(np.prod(layer.sides[1:]))
        weight = rng.standard_normal(layer.sides, np.float32) * np.float32(np.sqrt(2 / fan_in))
        state[f"{layer.torch_name}.weight"] = weight
        state[f"{layer.torch_name}.bias"] = np.zeros(layer.sides[0], np.float32)
    return state


def write_keras(path: Path, state: dict[str, NDArray[np.float32]], *, nested: bool) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, layer in CONVOLUTIONS.items():
            kernel = state[f"{layer.torch_name}.weight"].transpose(2, 3, 1, 0)
            inner = f"{name}/{name}/kernel:0" if nested else f"{name}/{name}_W_1:0"
            file[inner] = kernel
            file[inner.replace("kernel", "bias").replace("_W_", "_b_")] = state[
                f"{layer.torch_name}.bias"
            ]


def test_no_weight_file_is_said_in_one_line() -> None:
    with pytest.raises(FitError, match="needs a local weight file") as refusal:
        read_base(None)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent.h5", None, "cannot be read"),
        ("weights.txt", b"x", "expected a file .h5"),
        ("weights.npz", b"x", "cannot be read as weights"),
        ("weights.h5", b"x", "cannot be read as weights"),
    ],
)
def test_what_holds_no_weights_is_refused(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    pytest.importorskip("h5py")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FitError, match=told) as refusal:
        read_base(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_missing_layer_is_named_with_both_sizes(tmp_path: Path) -> None:
    wrong = {"features.0.weight": np.zeros((64, 3, 5, 5), np.float32)}
    np.savez(tmp_path / "some.npz", **wrong)  # type: ignore[arg-type] # by name
    with pytest.raises(FitError, match=r"block1_conv1 has weight and bias of \(64, 3, 5, 5\)"):
        read_base(tmp_path / "some.npz")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_kind_of_file_gives_the_same_convolutions(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = drawn_state()
    np.savez(tmp_path / "torch.npz", **state)  # type: ignore[arg-type] # by name
    kept = io.BytesIO()
    torch.save({name: torch.from_numpy(value) for name, value in state.items()}, kept)
    (tmp_path / "torch.pth").write_bytes(kept.getvalue())
    write_keras(tmp_path / "old.h5", state, nested=False)
    write_keras(tmp_path / "new.h5", state, nested=True)
    for path in tmp_path.iterdir():
        base = read_base(path)
        for name, weight, bias in base.layers():
            layer = CONVOLUTIONS[name]
            assert np.array_equal(weight, state[f"{layer.torch_name}.weight"]), path
            assert np.array_equal(bias, state[f"{layer.torch_name}.bias"]), path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_published_gate_is_trained_written_and_judges(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    torch.set_num_threads(1)
    from latticewatch.detectors.symmetry.training import PublishedGateSettings, fit_published_gate

    state = drawn_state()
    # Grey levels to 255 come in; a head that starts at random wants numbers about one.
    state["features.0.weight"] /= 64.0
    write_keras(tmp_path / "notop.h5", state, nested=True)
    tiles, labels = labelled("square", 6, side_px=64, period_px=14.0)
    settings = PublishedGateSettings(epochs=6, n_splits=0, learning_rate=1e-4)
    fit = fit_published_gate(tiles, labels, tmp_path / "notop.h5", settings)
    header = fit.gate.header
    assert header.network == "vgg16"
    assert 90e6 < len(fit.gate.network) < 110e6
    assert any("MB" in line for line in fit.report.lines())
    verdicts = fit.gate.judge(tiles)
    assert area_under_curve(verdicts.p_defect, labels) > 0.9
    assert verdicts.known.all()
