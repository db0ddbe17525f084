"""Fits of simulated and of real images: the kinds that are there, and no others."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from latticewatch.detectors.motifs.columns import sites_of
from latticewatch.detectors.motifs.fit import fit
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.motifs.score import UNSCORED, MotifDetector
from support.motif_figures import adjusted_rand, macro_recall
from support.motif_models import stand
from support.shared_data import shared_image
from support.simulated_kinds import kinds_of, simulated_truth

pytestmark = pytest.mark.slow

Image = NDArray[np.float32]
# Centre of a site against that of ordinary sites of its sublattice, below which a column is absent.
ABSENT = 0.4


def named_sites(
    model: MotifModel, image: Image
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Place, sublattice and class (row, -1 for new) of all sites that have a patch."""
    detector = MotifDetector(model)
    lock, columns, level = stand(detector, image)
    sites = sites_of(lock, columns, (image.shape[0], image.shape[1]))
    found = detector.name(level, sites.places_yx, sites.sublattice).class_index
    scored = found != UNSCORED
    return sites.places_yx[scored], sites.sublattice[scored], found[scored]


@pytest.mark.parametrize(
    ("dose", "rand", "macro"), [("d1e4", 0.97, 0.8), ("d5e4", 0.97, 0.9), ("d2e5", 0.97, 0.9)]
)
def test_kinds_of_simulated_ws2_are_recovered(dose: str, rand: float, macro: float) -> None:
    truth, entry = simulated_truth(dose)
    image = shared_image(f"simulated/{entry['file']}")
    model, _ = fit([image])
    places_yx, _, labels = named_sites(model, image)
    kind, judged, _ = kinds_of(truth, entry, places_yx)
    assert adjusted_rand(kind[judged], labels[judged]) >= rand
    assert macro_recall(kind[judged], labels[judged]) >= macro


@pytest.mark.parametrize("crystal", ["cdte_A_d5e3", "sto_A_d5e3", "ws2_A_d4e4"])
def test_perfect_crystal_has_pristine_classes_only(crystal: str) -> None:
    model, _ = fit([shared_image(f"simulated/perfect_{crystal}_s0.tif")])
    assert [one.name for one in model.classes if one.role != "pristine"] == []


def test_vacancies_of_real_mos2_are_a_class_and_never_pristine() -> None:
    image = shared_image("real/mos2_v_doped.npy")
    model, _ = fit([image])
    vacancies = [one.n_members for one in model.classes if one.kind == "vacancy"]
    assert any(3 <= n <= 8 for n in vacancies), vacancies

    places_yx, sublattice, labels = named_sites(model, image)
    pristine = np.isin(labels, [k for k, one in enumerate(model.classes) if one.role == "pristine"])
    ratio = centre_ratio(model, image, places_yx, sublattice)
    absent = ratio < ABSENT
    assert absent.sum() >= 3
    assert not (absent & pristine).any()


def centre_ratio(
    model: MotifModel,
    image: Image,
    places_yx: NDArray[np.float64],
    sublattice: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Height of the column at each site over the ground, in that of ordinary ones.

    The column may stand beside its site by a fifth of the way to the next one; the ground is the
    usual level half-way to the neighbours.
    """
    columns = model.columns
    soft = gaussian_filter(image.astype(np.float64), 0.5 * columns.sigma_px)
    angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    circle = np.stack([np.sin(angles), np.cos(angles)])
    disc = np.concatenate([share * circle for share in (0.0, 0.1, 0.2)], axis=1)
    sites = places_yx.T[:, :, None]
    around, core = (
        map_coordinates(soft, sites + columns.nearest_px * steps[:, None], order=1)
        for steps in (0.5 * circle, disc)
    )
    height = core.max(axis=1) - np.median(around.mean(axis=1))
    usual = [np.median(height[sublattice == one]) for one in range(int(sublattice.max()) + 1)]
    ratio: NDArray[np.float64] = height / np.array(usual)[sublattice]
    return ratio
