"""The second domain of ZrO2 and the faults of CdTe stand out, without labels and parameters."""

import numpy as np
import pytest
from scipy import stats

from latticewatch.detectors.symmetry.fit import fit
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from latticewatch.detectors.symmetry.score import SymmetryDetector
from support.shared_images import DATA, real_image


@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "mask", "least"),
    [
        ("zro2_monoclinic.tif", "zro2_domain.png", 0.965),
        ("cdte_faults.tif", "cdte_faults.png", 0.99),
    ],
)
def test_ranks_cells_as_the_mask_drawn_by_eye(image: str, mask: str, least: float) -> None:
    frame = real_image(image)
    drawn = np.asarray(pytest.importorskip("PIL.Image").open(DATA / "real" / "masks" / mask))
    found = SymmetryDetector(fit([frame], SymmetryParameters())[0]).score(frame, None)
    at = [
        np.rint(first + found.step_px * np.arange(n)).astype(int)
        for first, n in zip(found.first_px_yx, found.distance.shape, strict=True)
    ]
    inner = (slice(3, -3), slice(3, -3))
    truth, distance = drawn[np.ix_(*at)][inner], found.distance[inner]
    one, other = (np.nan_to_num(distance[truth == value], nan=np.inf) for value in (255, 0))
    assert stats.mannwhitneyu(one, other).statistic / (len(one) * len(other)) >= least
