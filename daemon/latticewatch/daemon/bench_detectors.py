"""What `bench` measures of detectors by themselves: first frames, and scheme two."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import search_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.patterson.boundaries import find_boundaries
from latticewatch.detectors.patterson.domains import find_domains
from latticewatch.detectors.patterson.friedel import SMALLEST_SIDE_PX, Transformer
from latticewatch.detectors.reference_cell.score import ReferenceCellDetector

N_REFLECTIONS = 4


def detector_cases(pixels: NDArray[np.generic]) -> list[tuple[str, Callable[[], object]]]:
    """Name and call of each, on one frame of a crystal.

    Parameters
    ----------
    pixels : (H, W)
        In a type of the wire.

    Returns
    -------
    list of str and call
        Those that the frame is large enough for.
    """
    image = np.ascontiguousarray(pixels, np.float32)
    shape = (image.shape[0], image.shape[1])
    cases: list[tuple[str, Callable[[], object]]] = []
    lattice = search_lattice(image).lattice
    lock = None if lattice is None else lock_lattice(image, lattice)
    if lattice is not None and lock is not None:
        cell = ReferenceCellDetector()
        cases += [
            ("search the lattice", lambda: search_lattice(image)),
            ("lock the lattice", lambda: lock_lattice(image, lattice)),
            ("reference cell, first frame", lambda: cell.look(image, lock)),
        ]
    if min(shape) >= SMALLEST_SIDE_PX:
        transformer = Transformer(shape)

        def scheme_two() -> None:
            domains = find_domains(image, N_REFLECTIONS, transformer)
            if domains is not None:
                find_boundaries(domains, shape)

        cases.append((f"scheme two, {N_REFLECTIONS} reflections", scheme_two))
    return cases
