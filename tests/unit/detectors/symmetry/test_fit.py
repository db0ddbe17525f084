"""What a fit takes, chooses and refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.fit import fit
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from support.boundaries import boundary
from support.shared_images import real_image

Image = NDArray[np.float32]


@lru_cache(maxsize=2)
def drawn(seed: int) -> Image:
    return boundary(kind="none", counts=20.0, period_px=12.0, seed=seed).frame


def clean(seed: int = 0) -> Image:
    return drawn(seed).copy()


@pytest.mark.slow
def test_label_free_patch_of_the_real_images_is_the_specified_one() -> None:
    for name, n_flagged, tile in (
        ("zro2_monoclinic.tif", 26, (4, 3)),
        ("cdte_faults.tif", 5, (3, 3)),
    ):
        _, report = fit([real_image(name)], SymmetryParameters())
        assert abs(report.n_tiles - report.n_clean - n_flagged) <= 2
        assert report.model_tile == tile


def test_a_tile_on_vacuum_never_is_the_patch() -> None:
    frame = clean(seed=2)
    frame[:, :260] = np.random.default_rng(1).poisson(4.0, (512, 260))
    _, report = fit([frame], SymmetryParameters())
    assert report.model_tile[1] >= 2


@dataclass
class Verdicts:
    p_defect: NDArray[np.float64]
    known: NDArray[np.bool_]


@dataclass
class Gate:
    """Calls the last tiles clean, if it knows any."""

    known: bool
    n_clean: int = 4
    tile_px: int = 128
    network: bytes = b"ONNX"

    def judge(self, tiles: Image) -> Verdicts:
        n_tiles = (512 // self.tile_px) ** 2
        assert tiles.shape == (n_tiles, self.tile_px, self.tile_px)
        is_clean = np.arange(n_tiles) >= n_tiles - self.n_clean
        return Verdicts(np.where(is_clean, 0.1, 0.9), np.full(n_tiles, self.known))


def test_a_gate_says_what_is_clean_where_it_knows() -> None:
    model, report = fit([clean()], SymmetryParameters(), gate=Gate(known=True))
    assert (report.n_clean, report.model_tile[0]) == (4, 3)
    assert model.gate == b"ONNX"
    _, report = fit([clean()], SymmetryParameters(), gate=Gate(known=False))
    assert report.n_clean > 8


def test_a_gate_of_smaller_tiles_judges_all_of_each_tile() -> None:
    gate = Gate(known=True, n_clean=24, tile_px=64)
    _, report = fit([clean()], SymmetryParameters(), gate=gate)
    assert (report.tile_px, report.n_clean, report.model_tile) == (128, 4, (3, 1))


def test_a_gate_that_calls_nothing_clean_is_told() -> None:
    words = "every one of the 16 tiles of 1 frames is defective by the gate or empty.*without the"
    with pytest.raises(FitError, match=words):
        fit([clean()], SymmetryParameters(), gate=Gate(known=True, n_clean=0))


def test_without_a_gate_the_model_has_none() -> None:
    assert fit([clean()], SymmetryParameters())[0].gate == b""


def test_labels_choose_the_patch_and_must_have_the_size_of_the_tiles() -> None:
    labels = np.zeros((4, 4), bool)
    labels[2:, 1:] = True
    _, report = fit([clean()], SymmetryParameters(), clean_tiles=[labels])
    assert report.model_tile == (2, 2)
    with pytest.raises(FitError, match=r"labels of \(3, 4\) tiles, expected \(4, 4\)"):
        fit([clean()], SymmetryParameters(), clean_tiles=[labels[:3]])
    with pytest.raises(FitError, match="16 tiles of 1 frames is defective by its label"):
        fit([clean()], SymmetryParameters(), clean_tiles=[np.zeros((4, 4), bool)])


def with_nan(frame: Image) -> Image:
    frame[40, 70] = np.nan
    return frame


REFUSED: dict[str, tuple[Callable[[], Image], str]] = {
    "small": (
        lambda: clean()[:60, :120],
        "60 x 120 pixels are fewer than two tiles of 64 px: give larger frames",
    ),
    "blank": (
        lambda: np.zeros((512, 512), np.float32),
        "is empty, expected crystal for the model patch: give frames",
    ),
    "uniform": (
        lambda: np.full((512, 512), 7, np.float32),
        "is empty, expected crystal for the model patch: give frames",
    ),
    "NaN": (lambda: np.full((512, 512), np.nan, np.float32), "262144 pixels are not finite"),
    "one NaN": (lambda: with_nan(clean()), "1 pixels are not finite, expected numbers: repair"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_nothing_is_refused_in_words(name: str) -> None:
    frame, words = REFUSED[name]
    with pytest.raises(FitError, match=words) as refusal:
        fit([frame()], SymmetryParameters())
    assert "\n" not in str(refusal.value)


def test_a_frame_is_named_in_what_is_said_of_it() -> None:
    with pytest.raises(FitError, match=r"^b\.tif: 1 pixels"):
        fit([clean(), with_nan(clean())], SymmetryParameters(), ["a.tif", "b.tif"])


def test_too_few_clean_cells_are_refused_with_their_number() -> None:
    labels = np.zeros((8, 8), bool)
    labels[3, 3] = True
    with pytest.raises(FitError, match="hold 22 cells, at least 36 needed: give larger"):
        fit([clean()], SymmetryParameters(tile_px=64), clean_tiles=[labels])


def test_no_frame_is_refused() -> None:
    with pytest.raises(FitError, match="no frame"):
        fit([], SymmetryParameters())


def test_noise_has_a_model_and_a_warning() -> None:
    noise = np.random.default_rng(0).normal(10, 1, (512, 512)).astype(np.float32)
    model, report = fit([noise], SymmetryParameters())
    assert model.basis_px_yx is None
    assert any("no lattice" in one for one in report.warnings)


def test_equal_frames_give_equal_models() -> None:
    one, _ = fit([clean()], SymmetryParameters())
    two, _ = fit([clean()], SymmetryParameters())
    assert one.header() == two.header()
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, two.arrays()[name])


def test_settings_out_of_range_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match=r"n_filters = 3.*ridge = 0"):
        SymmetryParameters(n_filters=3, ridge=0)
