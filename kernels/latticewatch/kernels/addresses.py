"""Sites in the rows of their lattice address: which lie in the field, and who is beside whom."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

_BORDER = 1  # cells without a site round the board, so that each site has eight cells around


@kernel
def addresses_in_field(
    box: tuple[int, int, int, int],
    shift: NDArray[np.float64],
    basis_px: NDArray[np.float64],
    field: tuple[float, float, float],
    out: NDArray[np.int64],
) -> int:
    """List the addresses of a box whose places in a straight lattice lie in the field.

    Parameters
    ----------
    box
        First and last i, first and last j.
    shift : (2,)
        Cell coordinates of a site less its address.
    basis_px : (2, 2)
        Lattice vectors, rows, pixels.
    field
        Height and width of the frame, and how far beyond it a place may lie; pixels.
    out : (N, 2)
        Receives [i, j], row by row of i: room for the whole box.

    Returns
    -------
    int
        How many.
    """
    first_i, last_i, first_j, last_j = box
    height, width, margin = field
    n_found = 0
    for i in range(first_i, last_i + 1):
        for j in range(first_j, last_j + 1):
            a, b = i + shift[0], j + shift[1]
            y = a * basis_px[0, 0] + b * basis_px[1, 0]
            x = a * basis_px[0, 1] + b * basis_px[1, 1]
            if -margin <= y <= height - 1 + margin and -margin <= x <= width - 1 + margin:
                out[n_found, 0], out[n_found, 1] = i, j
                n_found += 1
    return n_found


class Board(NamedTuple):
    """Where on a board of addresses each site is.

    Attributes
    ----------
    address : (N, 2)
        Of the sites, all different.
    row : (I, J) int32
        Row of the site at each address of the board; -1 where there is none, as all along its
        edge.
    corner : (2,)
        Address of the board's first place.
    """

    address: NDArray[np.int64]
    row: NDArray[np.int32]
    corner: NDArray[np.int64]


def make_board(address: NDArray[np.int64]) -> Board:
    """Put sites on a board by their addresses (N, 2)."""
    corner, shape = _box_of(address)
    row = np.full(shape, -1, np.int32)
    _fill_board(address, corner, row)
    return Board(address, row, corner)


@kernel
def _box_of(address: NDArray[np.int64]) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Return corner and shape of a board; addresses of a followed lattice go far from zero."""
    first, last = np.zeros(2, np.int64), np.zeros(2, np.int64)
    for site in range(len(address)):
        for axis in range(2):
            value = address[site, axis]
            first[axis] = value if site == 0 else min(first[axis], value)
            last[axis] = value if site == 0 else max(last[axis], value)
    shape = last - first + 1 + 2 * _BORDER
    return first - _BORDER, (shape[0], shape[1])


@kernel
def _fill_board(
    address: NDArray[np.int64], corner: NDArray[np.int64], board: NDArray[np.int32]
) -> None:
    for site in range(len(address)):
        board[address[site, 0] - corner[0], address[site, 1] - corner[1]] = site


@kernel
def link_addresses(
    board: Board,
    steps: NDArray[np.int64],
    empty: NDArray[np.bool_],
    words: tuple[int, int],
    out: NDArray[np.int32],
) -> None:
    """Find the sites at some steps of address from each site.

    Parameters
    ----------
    board
        From `make_board`.
    steps : (V, 2)
        Differences of address.
    empty : (N,)
        Sites that are not there for others.
    words
        What to write for an empty site, and where there is no address.
    out : (N, V)
        Receives the row of the site at each step, or one of the words.
    """
    height, width = board.row.shape
    for site in range(len(board.address)):
        for step in range(len(steps)):
            i = board.address[site, 0] + steps[step, 0] - board.corner[0]
            j = board.address[site, 1] + steps[step, 1] - board.corner[1]
            row = -1
            if 0 <= i < height and 0 <= j < width:
                row = int(board.row[i, j])
            if row < 0:
                out[site, step] = words[1]
            else:
                out[site, step] = words[0] if empty[row] else row


@kernel
def mean_of_cells(board: Board, values: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Average a number over the 3 x 3 addresses about each site, as far as there are sites.

    Parameters
    ----------
    board
        From `make_board`.
    values : (N,)
        A NaN spoils the cells around it.
    out : (N,)
        Receives the means.
    """
    for site in range(len(board.address)):
        i = board.address[site, 0] - board.corner[0]
        j = board.address[site, 1] - board.corner[1]
        total, n_cells = np.float32(0.0), 0
        for down in range(-1, 2):
            for right in range(-1, 2):
                row = board.row[i + down, j + right]
                if row >= 0:
                    total += values[row]
                    n_cells += 1
        out[site] = total / np.float32(n_cells)
