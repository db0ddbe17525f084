"""The published filters find on two real images what they were measured to find."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from latticewatch.detectors.symmetry.published import Bank, published_maps
from support.shared_data import shared_image

BORDER_PX = 24  # methods/symmetry.md 5.1, of maps that compare pixel with pixel
ZRO2, ZRO2_TRUTH, ZRO2_TILE = "real/zro2_monoclinic.tif", "real/masks/zro2_domain.png", (4, 3)
CDTE, CDTE_TRUTH, CDTE_TILE = "real/cdte_faults.tif", "real/masks/cdte_faults.png", (3, 3)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def area_under_curve(score: NDArray[np.float64], truth: NDArray[np.float32]) -> float:
    """Chance that a pixel of 255 scores above one of 0; those of 128 are left out."""
    inner = np.s_[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    score, truth = score[inner], truth[inner]
    strange, normal = score[truth == 255], score[truth == 0]
    ranks = rankdata(np.concatenate([strange, normal]))
    n = len(strange)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(normal)))


def found_auc(image: str, truth: str, tile_yx: tuple[int, int], bank: Bank) -> float:
    frame = shared_image(image).astype(np.float64)
    maps = published_maps(frame, tile_yx, bank)
    return area_under_curve(np.asarray(maps.distance, np.float64), shared_image(truth))


def test_rows_find_the_faults_of_cdte() -> None:
    assert found_auc(CDTE, CDTE_TRUTH, CDTE_TILE, "rows") == pytest.approx(0.984, abs=0.005)


def test_eigenvectors_find_the_faults_of_cdte() -> None:
    found = found_auc(CDTE, CDTE_TRUTH, CDTE_TILE, "eigenvectors")
    assert found == pytest.approx(0.973, abs=0.005)


def test_eigenvectors_hardly_find_the_domain_of_zro2() -> None:
    found = found_auc(ZRO2, ZRO2_TRUTH, ZRO2_TILE, "eigenvectors")
    assert found == pytest.approx(0.652, abs=0.01)


def test_rows_find_some_of_the_domain_of_zro2() -> None:
    # methods/symmetry.md measured 0.860. The rows hang on the signs that a library gives its
    # eigenvectors: 0.819 to 0.858 over 34 signs, orders and libraries, here 0.844.
    found = found_auc(ZRO2, ZRO2_TRUTH, ZRO2_TILE, "rows")
    assert 0.81 < found < 0.87


def test_variance_mask_shows_the_vacuum_of_zro2() -> None:
    zro2 = shared_image(ZRO2).astype(np.float64)
    maps = published_maps(zro2, ZRO2_TILE)
    vacuum = maps.variance_mask
    dark = zro2[vacuum].mean() / zro2[~vacuum].mean()
    assert 0.01 < vacuum.mean() < 0.3
    assert dark < 0.6
