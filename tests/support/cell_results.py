"""What the reference cell says of an image by itself, without a pipeline."""

import numpy as np

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.reference_cell.defects import PointDefect
from latticewatch.detectors.reference_cell.score import CellResult, ReferenceCellDetector
from support.crystals import Image

FDR = 0.05


def look(image: Image) -> CellResult | None:
    lattice = find_lattice(image)
    lock = None if lattice is None else lock_lattice(image, lattice)
    return None if lock is None else ReferenceCellDetector().look(image, lock)


def listed(image: Image) -> list[PointDefect]:
    """Past a Benjamini-Hochberg cut over the sites."""
    result = look(image)
    assert result is not None
    rank = np.arange(1, len(result.defects) + 1)
    log_p = np.array([defect.log_p for defect in result.defects])
    passed = np.flatnonzero(log_p <= np.log(FDR * rank / result.n_sites))
    return list(result.defects[: passed[-1] + 1]) if len(passed) else []


def column(place_yx: tuple[float, float], counts: float, sigma_px: float = 3.0) -> Image:
    """One column alone in a frame of the size that `net_frame` has."""
    y, x = np.mgrid[:256, :256]
    away = np.square(y - place_yx[0]) + np.square(x - place_yx[1])
    return np.asarray(counts * np.exp(-away / (2 * sigma_px**2)), np.float32)
