"""What scheme two says of images of real and of simulated microscopes."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.patterson.boundaries import find_boundaries
from latticewatch.detectors.patterson.domains import find_domains
from latticewatch.detectors.patterson.fringe_fit import fit_fringes
from latticewatch.detectors.patterson.fringes import bright_columns
from support.shared_data import DATA, shared_image

SINGLE = [
    "real/srtio3_df.jpg",
    "real/mos2_v_doped.npy",
    "simulated/graphene_A_d1e5.tif",
    "simulated/graphene_A_clean.tif",
    "simulated/mote2_bilayer_A_d5e3.tif",
    "simulated/perfect_cdte_A_d5e3_s0.tif",
    "simulated/perfect_sto_A_d5e3_s1.tif",
    "simulated/perfect_ws2_A_d4e4_s2.tif",
    "simulated/sto_A_d1e3.tif",
    "simulated/ts_A.tif",
    "simulated/ws2_mono_A_d1e4.tif",
]
CLEAR_PX = 15


def distance_to_line(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed, of [y, x] in the ZrO2 image, from the line of the method page; positive: twin."""
    y, x = places.T / 1024
    return np.asarray((-5.652 * y + 6.363 * x - 2.461) / np.hypot(5.652, 6.363) * 1024)


def auc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    ranks = np.argsort(np.argsort(score)) + 1.0
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def test_zro2_twin_is_mapped_and_its_boundary_lies_on_the_line() -> None:
    frame = shared_image("real/zro2_monoclinic.tif")
    domains = find_domains(frame)
    assert domains is not None
    assert domains.n_domains == 2
    columns = bright_columns(frame, 24.7)
    distance = distance_to_line(columns)
    columns, twin = columns[np.abs(distance) > CLEAR_PX], distance[np.abs(distance) > CLEAR_PX] > 0
    found = domains.domain_of(columns)
    # A column without a lattice counts as wrong on either side.
    accuracy = ((found[twin] == 1).mean() + (found[~twin] == 0).mean()) / 2
    assert accuracy >= 0.99
    level = ndimage.map_coordinates(
        np.where(domains.lattice, domains.level, 0.0), domains.map_place(columns).T, order=1
    )
    assert auc(level, twin) >= 0.999
    assert domains.shares[1] == pytest.approx(0.26, abs=0.02)
    (boundary,) = find_boundaries(domains, (1024, 1024))
    assert np.sqrt(np.square(distance_to_line(boundary.line_px_yx)).mean()) < 15
    assert boundary.p_value < 1e-12
    # The vacuum on the left.
    assert (domains.domain_of(np.array([[100.0, 20.0], [500.0, 20.0], [950, 20]])) == -1).all()


def test_shared_rows_of_the_zro2_twin_are_of_no_domain() -> None:
    domains = find_domains(shared_image("real/zro2_monoclinic.tif"))
    assert domains is not None
    for shared in ((27, -32), (54, -63)):
        for reflection in domains.reflections:
            g = np.array(reflection.g_per_px) * 1024
            if min(np.abs(g - shared).max(), np.abs(g + shared).max()) < 1.5:
                assert reflection.domain == -1


@pytest.mark.parametrize("name", SINGLE)
def test_single_crystals_are_never_split(name: str) -> None:
    domains = find_domains(shared_image(name))
    assert domains is not None
    assert domains.n_domains == 1


@pytest.mark.parametrize("dose", ["d1e3", "d5e3", "d3e4"])
def test_simulated_twin_boundary_is_placed_within_a_period(dose: str) -> None:
    name = f"cdte_twin_A_{dose}.tif"
    frame = shared_image(f"simulated/{name}")
    truth = json.loads((DATA / "simulated" / "cdte_twin_A_truth.json").read_text(encoding="utf-8"))
    image = next(image for image in truth["images"] if image["file"] == name)
    ends = np.array(image["defects_line"]["1"])
    period_px = truth["a_nm"] / np.sqrt(2) / truth["pixel_size_nm"]
    domains = find_domains(frame)
    assert domains is not None
    assert domains.n_domains == 2
    (boundary,) = find_boundaries(domains, (512, 512))
    along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    miss_px = np.abs((boundary.line_px_yx - ends[0]) @ np.array([-along[1], along[0]]))
    assert miss_px.max() < period_px
    assert np.sqrt(np.square(miss_px).mean()) < period_px / 4
    # The amorphous patch holds no lattice.
    patch = np.array([[image["defects_y"][0], image["defects_x"][0]]])
    assert domains.domain_of(patch)[0] == -1


@pytest.mark.slow
def test_published_machine_separates_the_twin_with_a_reflection_of_the_smaller_domain() -> None:
    frame = shared_image("real/zro2_monoclinic.tif")
    result = fit_fringes(frame, (41 / 1024, 6 / 1024))
    distance = distance_to_line(result.columns_px_yx)
    far, twin = np.abs(distance) > CLEAR_PX, distance > 0
    accuracy = (result.is_normal[far & ~twin].mean() + (~result.is_normal)[far & twin].mean()) / 2
    assert accuracy >= 0.97
    assert auc(-result.decision[far], twin[far]) >= 0.99
    # As the method page: with the sign of the decision it flags the rim, too.
    by_sign = (
        (result.decision >= 0)[far & ~twin].mean() + (result.decision < 0)[far & twin].mean()
    ) / 2
    assert by_sign == pytest.approx(0.864, abs=0.03)
    assert result.nu == pytest.approx(0.45, abs=0.06)
