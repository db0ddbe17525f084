"""What columns and the ground between them share is no defect of a column."""

import numpy as np
import pytest

from support.cell_results import column, listed
from support.crystals import CRYSTALS, Image, image_of, net_frame, specimen

SIDE_PX = 512


def smear(place_yx: tuple[float, float], height: float, width_px: float) -> Image:
    """Contamination: a Gaussian patch of this full width at half maximum."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    square = (y - place_yx[0]) ** 2 + (x - place_yx[1]) ** 2
    return np.asarray(height * np.exp(-4 * np.log(2) * square / width_px**2), np.float32)


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize("periods", [2.0, 4.0, 6.0])
def test_contaminated_patch_of_a_perfect_crystal_lists_next_to_nothing(
    crystal: str, periods: float
) -> None:
    pixels, truth = specimen(crystal, perfect=True, seed=5, shape_yx=(SIDE_PX, SIDE_PX))
    image = image_of(pixels)
    contrast = float(np.subtract(*np.percentile(image, (99.5, 2.0))))
    patch = smear((240.0, 260.0), 0.5 * contrast, periods * truth.period_px)
    noise = np.random.default_rng(6).poisson(patch) - patch
    # Twenty to seventy columns and gaps are brighter than they should be.
    assert len(listed(image + patch + noise.astype(np.float32))) <= 3


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_defects_of_a_contaminated_specimen_are_listed(crystal: str) -> None:
    pixels, truth = specimen(crystal, seed=3, shape_yx=(SIDE_PX, SIDE_PX))
    image = image_of(pixels)
    contrast = float(np.subtract(*np.percentile(image, (99.5, 2.0))))
    patch = smear((200.0, 300.0), 0.3 * contrast, 4.0 * truth.period_px)
    without, with_patch = (
        np.array([defect.place_yx for defect in listed(one)]).reshape(-1, 2)
        for one in (image, image + patch)
    )
    outside = np.linalg.norm(without - (200.0, 300.0), axis=1) > 6 * truth.period_px
    gaps = np.linalg.norm(without[outside, None] - with_patch[None], axis=2)
    assert (gaps.min(axis=1) < 1.0).all()


def test_bright_column_on_even_ground_is_listed() -> None:
    frame = net_frame([[20.0, 0.0], [0.0, 20.0]], seed=None) + column((120.0, 120.0), 15.0)
    defects = listed(np.random.default_rng(4).poisson(frame).astype(np.float32))
    assert [defect.kind for defect in defects] == ["excess"]
