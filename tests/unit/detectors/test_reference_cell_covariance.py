"""The covariance that is published is that of the scatter of places over frames of other noise."""

from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.reference_cell.score import ReferenceCellDetector
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings

N_FRAMES = 40
CERTAIN_LOG_P = -9.0  # of what is hardly seen, only lucky noise is seen
# Of one defect a variance is known to 30 %; of three, along two axes, to 15 %. Where nothing has
# moved, all by which columns differ from the lattice counts, also what is the same in each frame.
WITHIN = {
    "displaced": (0.65, 1.5),
    "vacancy": (0.5, 4.0),
    "deficit": (0.5, 4.0),
    "excess": (0.5, 4.0),
}


@pytest.fixture(scope="module")
def ratios() -> dict[str, list[float]]:
    """Published over seen variance of each defect along each axis, by what it truly is."""
    microscope = Microscope(
        MicroscopeSettings(
            seed=3,
            shape_yx=(384, 384),
            dose_e_per_ang2=4e4,
            jitter_px=0.0,
            gain_change_percent=0.0,
            disorder_pm=0.0,
            vacancies=3,
            substitutions=3,
            displaced=6,
            deficits=3,
        )
    )
    expected, truth = microscope.expected(0), microscope.truth(0)
    rng, detector = np.random.default_rng(1), ReferenceCellDetector()
    seen: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for _ in range(N_FRAMES):
        image = rng.poisson(expected).astype(np.float32)
        lattice = find_lattice(image)
        lock = None if lattice is None else lock_lattice(image, lattice)
        result = None if lock is None else detector.look(image, lock)
        assert result is not None
        for defect in result.defects:
            apart = np.linalg.norm(truth.pixel_yx - defect.place_yx, axis=1)
            which = int(np.argmin(apart))
            if apart[which] < 4.0 and defect.log_p < CERTAIN_LOG_P:
                seen[which].append(np.array([*defect.place_yx, *defect.cov_px]))
    found: dict[str, list[float]] = defaultdict(list)
    for which, rows in seen.items():
        if len(rows) >= 0.9 * N_FRAMES:
            # Medians, since now and then a defect is taken for one of another kind.
            usual = np.median(rows, axis=0)
            spread = MAD_TO_SIGMA * np.median(np.abs(rows - usual), axis=0)[:2]
            found[truth.kind[which]] += (usual[[2, 4]] / np.square(spread)).tolist()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITHIN)
def test_covariance_is_that_of_the_scatter_over_noise(
    ratios: dict[str, list[float]], kind: str
) -> None:
    least, most = WITHIN[kind]
    assert len(ratios[kind]) >= 4
    assert least < float(np.exp(np.mean(np.log(ratios[kind])))) < most
