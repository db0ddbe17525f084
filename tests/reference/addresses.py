"""What latticewatch.kernels.addresses computes, spelled out."""

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.int64]


def addresses_in_field(
    box: tuple[int, int, int, int],
    shift: NDArray[np.float64],
    basis_px: NDArray[np.float64],
    field: tuple[float, float, float],
) -> list[tuple[int, int]]:
    """Addresses of the box whose places are in the frame, or so near to it."""
    height, width, margin = field
    found = []
    for i in range(box[0], box[1] + 1):
        for j in range(box[2], box[3] + 1):
            y, x = (np.array([i, j]) + shift) @ basis_px
            if -margin <= y <= height - 1 + margin and -margin <= x <= width - 1 + margin:
                found.append((i, j))
    return found


def link_addresses(
    address: Addresses, steps: Addresses, empty: NDArray[np.bool_], words: tuple[int, int]
) -> NDArray[np.int32]:
    """Row of the site at each step of address, by a dictionary."""
    row_of = {(int(i), int(j)): row for row, (i, j) in enumerate(address)}
    links = np.empty((len(address), len(steps)), np.int32)
    for site, (i, j) in enumerate(address):
        for step, (down, right) in enumerate(steps):
            row = row_of.get((int(i + down), int(j + right)))
            if row is None:
                links[site, step] = words[1]
            else:
                links[site, step] = words[0] if empty[row] else row
    return links


def mean_of_cells(address: Addresses, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over all sites whose address differs by at most one each way."""
    means = np.empty(len(address))
    for site, own in enumerate(address):
        near = (np.abs(address - own) <= 1).all(axis=1)
        means[site] = values[near].astype(np.float64).mean()
    return means
