"""What a fit takes, chooses and refuses."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.fit import fit
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from support.boundaries import boundary
from support.shared_images import real_image

Image = NDArray[np.float32]


def clean(**settings: object) -> Image:
    return boundary(kind="none", **{"counts": 20.0, "period_px": 12.0, **settings}).frame


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


class Gate:
    """Calls the tiles of the last row clean, if it knows any."""

    network = b"ONNX"

    def __init__(self, known: bool) -> None:
        self.known = known

    def judge(self, tiles: Image) -> Verdicts:
        assert tiles.shape == (16, 128, 128)
        assert tiles.dtype == np.float32
        return Verdicts(np.where(np.arange(16) < 12, 0.9, 0.1), np.full(16, self.known))


def test_a_gate_says_what_is_clean_where_it_knows() -> None:
    _, report = fit([clean()], SymmetryParameters(), gate=Gate(known=True))
    assert (report.n_clean, report.model_tile[0]) == (4, 3)
    _, report = fit([clean()], SymmetryParameters(), gate=Gate(known=False))
    assert report.n_clean > 8


def test_labels_choose_the_patch_and_must_have_the_size_of_the_tiles() -> None:
    labels = np.zeros((4, 4), bool)
    labels[2:, 1:] = True
    _, report = fit([clean()], SymmetryParameters(), clean_tiles=[labels])
    assert report.model_tile == (2, 2)
    with pytest.raises(FitError, match=r"labels of \(3, 4\) tiles, expected \(4, 4\)"):
        fit([clean()], SymmetryParameters(), clean_tiles=[labels[:3]])
    with pytest.raises(FitError, match="every tile is defective"):
        fit([clean()], SymmetryParameters(), clean_tiles=[np.zeros((4, 4), bool)])


REFUSED: dict[str, tuple[Callable[[], Image], str]] = {
    "small": (lambda: clean()[:100, :120], "fewer than two tiles"),
    "blank": (lambda: np.zeros((512, 512), np.float32), "every tile is defective or empty"),
    "uniform": (lambda: np.full((512, 512), 7, np.float32), "every tile is defective or empty"),
    "NaN": (lambda: np.full((512, 512), np.nan, np.float32), "not finite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_nothing_is_refused_in_words(name: str) -> None:
    frame, words = REFUSED[name]
    with pytest.raises(FitError, match=words):
        fit([frame()], SymmetryParameters())


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
