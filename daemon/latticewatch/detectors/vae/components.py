"""What bulk is made of in a window: waves of the lattice, and components learned from windows."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

MOST_COMPONENTS = 80
# Width of a column as the image shows it, of the lattice period: methods/vae.md 8.1.
_COLUMN_PERIODS = 0.19
_MOST_INDEX = 8


def lattice_waves(basis_px_yx: NDArray[np.float64], side: int, most: float) -> NDArray[np.float64]:
    """Constant and waves of a lattice on a window, orthonormal rows (k, side * side).

    They redraw bulk roughly and no defect at all, whatever the images hold.

    Parameters
    ----------
    basis_px_yx : (2, 2)
        Reduced lattice vectors, rows.
    side
        Of the window, pixels.
    most
        Waves up to here, in turns per period (the root of the cell's area); 0: the constant alone.
    """
    reciprocal = np.linalg.inv(basis_px_yx).T
    period_px = float(np.sqrt(abs(np.linalg.det(basis_px_yx))))
    y, x = np.mgrid[:side, :side] - side // 2
    rows = [np.ones(side * side)]
    for h in range(-_MOST_INDEX, _MOST_INDEX + 1):
        for k in range(_MOST_INDEX + 1):
            g = h * reciprocal[0] + k * reciprocal[1]
            # One of each pair of opposite waves.
            if (k == 0 and h <= 0) or np.hypot(*g) * period_px > most:
                continue
            turns = 2 * np.pi * (g[0] * y + g[1] * x).ravel()
            rows += [np.cos(turns), np.sin(turns)]
    orthonormal: NDArray[np.float64] = np.linalg.qr(np.array(rows).T)[0].T
    return orthonormal


def learn_components(
    rows: NDArray[np.float32], waves: NDArray[np.float64], rank: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (P,) of windows (N, P), and as rows the waves and the leading components beside them.

    Notes
    -----
    Through the N x N matrix of products: 0.2 s where a singular value decomposition took 8.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    off = rows - mean
    off -= (off @ waves.T) @ waves
    last = len(rows) - 1
    most = min(rank, last)
    if most == 0:
        return mean, waves
    power, combined = linalg.eigh(off @ off.T, subset_by_index=(last - most + 1, last))
    there = power > 1e-9 * max(float(power[-1]), np.finfo(np.float64).tiny)
    components = (combined[:, there] / np.sqrt(power[there])).T @ off
    return mean, np.concatenate([waves, components[::-1]])


def drawn_column(side: int, period_px: float) -> NDArray[np.float64]:
    """Draw a column of height one in the middle of a window (side, side)."""
    y, x = np.mgrid[:side, :side] - side // 2
    drawn: NDArray[np.float64] = np.exp(-(y**2 + x**2) / (2 * (_COLUMN_PERIODS * period_px) ** 2))
    return drawn


def choose_rank(
    mean: NDArray[np.float64],
    basis: NDArray[np.float64],
    n_waves: int,
    held_out: NDArray[np.float32],
    period_px: float,
) -> int:
    """Components that leave most of a column, over what they leave of bulk.

    Few components leave of bulk what they cannot redraw; each further one redraws a part of a
    column that is too many. Both are known without any defect.

    Parameters
    ----------
    mean : (P,)
        Of windows of bulk, P = side * side.
    basis : (k, P)
        Orthonormal rows.
    n_waves
        How many of them are taken out in any case.
    held_out : (N, P)
        Windows of bulk that made neither.
    period_px
        Of the lattice.

    Returns
    -------
    int
        How many of the others: 17 to 31 on the image of methods/vae.md, 0 to 4 on simulated ones.
    """
    column = drawn_column(round(np.sqrt(len(mean))), period_px).ravel()
    middle = len(mean) // 2
    at_middle = basis[:, middle]
    of_column = 1.0 - np.cumsum(at_middle * (basis @ column))
    off = held_out - mean
    of_bulk = off[:, middle, None] - np.cumsum((off @ basis.T) * at_middle, axis=1)
    noise = np.sqrt(np.square(of_bulk).mean(axis=0))
    contrast = of_column / np.maximum(noise, np.finfo(np.float32).tiny)
    return int(np.argmax(contrast[n_waves - 1 :]))
