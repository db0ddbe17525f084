"""Moments of many discs at once: a half turn of the basis saves half the multiplications."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.zernike import DiscBasis

# Sites that are folded and multiplied while their pixels are still near: 4.7 ms for cropping and
# projection of 2500 in pieces of 128, 6.0 in one go.
BLOCK_SITES = 128


class FoldedBasis(NamedTuple):
    """Functions on half a disc, those that a half turn keeps apart from those it reverses.

    Attributes
    ----------
    even, odd : (Te, H), (To, H) float32
        Values on the first half of the pixels, half of them on the middle one.
    even_terms, odd_terms : (Te,), (To,) int64
        Their rows in the basis.
    n_pixels : int
        Of the whole disc.
    """

    even: NDArray[np.float32]
    odd: NDArray[np.float32]
    even_terms: NDArray[np.int64]
    odd_terms: NDArray[np.int64]
    n_pixels: int


class ProjectionScratch(NamedTuple):
    """What `project_discs` works in: 0.5 MB at 869 pixels.

    Attributes
    ----------
    even, odd : (128, H) float32
        Sums and differences of opposite pixels.
    even_moments, odd_moments : (128, Te), (128, To) float32
        Of some sites.
    """

    even: NDArray[np.float32]
    odd: NDArray[np.float32]
    even_moments: NDArray[np.float32]
    odd_moments: NDArray[np.float32]


def fold_basis(basis: DiscBasis) -> FoldedBasis:
    """Fold a basis about the middle of its disc.

    Parameters
    ----------
    basis
        From `disc_basis`. Its last pixel lies opposite the first one, the last but one opposite the
        second, and so on; a half turn keeps functions of even order and reverses odd ones.
    """
    n_pixels = basis.values.shape[1]
    half = basis.values[:, : (n_pixels + 1) // 2].copy()
    if n_pixels % 2 == 1:
        half[:, -1] *= np.float32(0.5)  # it is its own opposite, and counted twice
    is_odd = basis.terms[:, 0] % 2 == 1
    return FoldedBasis(
        np.ascontiguousarray(half[~is_odd]),
        np.ascontiguousarray(half[is_odd]),
        np.flatnonzero(~is_odd).astype(np.int64),
        np.flatnonzero(is_odd).astype(np.int64),
        n_pixels,
    )


def projection_scratch(folded: FoldedBasis) -> ProjectionScratch:
    """Allocate what `project_discs` needs."""
    return ProjectionScratch(
        np.empty((BLOCK_SITES, folded.even.shape[1]), np.float32),
        np.empty((BLOCK_SITES, folded.odd.shape[1]), np.float32),
        np.empty((BLOCK_SITES, len(folded.even)), np.float32),
        np.empty((BLOCK_SITES, len(folded.odd)), np.float32),
    )


@kernel
def fold_discs(
    patches: NDArray[np.float32], even: NDArray[np.float32], odd: NDArray[np.float32]
) -> None:
    """Add opposite pixels of each disc, and subtract them.

    Parameters
    ----------
    patches : (N, P)
        Opposite pixels lie as far from the front as from the end.
    even, odd : (N, H)
        Receive sums and differences of the first half, H = (P + 1) / 2 rounded down, with the
        others. The middle pixel meets itself.
    """
    if even.shape[1] != (patches.shape[1] + 1) // 2 or odd.shape[1] != even.shape[1]:
        raise ValueError("even and odd must be (N, H), H half of the pixels")
    last = np.uint64(patches.shape[1] - 1)
    for site in range(len(patches)):
        patch, sums, differences = patches[site], even[site], odd[site]
        for pixel in range(np.uint64(even.shape[1])):
            near, opposite = patch[pixel], patch[last - pixel]
            sums[pixel] = near + opposite
            differences[pixel] = near - opposite


@kernel
def _spread(
    moments: NDArray[np.float32], terms: NDArray[np.int64], out: NDArray[np.float32]
) -> None:
    for site in range(len(moments)):
        for term in range(len(terms)):
            out[site, np.uint64(terms[term])] = moments[site, term]


def project_discs(
    patches: NDArray[np.float32],
    folded: FoldedBasis,
    scratch: ProjectionScratch,
    out: NDArray[np.float32],
) -> None:
    """Compute the moments of discs, `patches @ basis.values.T`.

    Parameters
    ----------
    patches : (N, P)
        From `crop_discs`, finite.
    folded
        From `fold_basis`.
    scratch
        From `projection_scratch`.
    out : (N, T)
        Receives the moments, in the order of the basis.
    """
    if patches.shape[1] != folded.n_pixels or len(out) != len(patches):
        raise ValueError(f"patches must be (N, {folded.n_pixels}), and out as long")
    for begin in range(0, len(patches), BLOCK_SITES):
        block = patches[begin : begin + BLOCK_SITES]
        n_sites = len(block)
        even, odd = scratch.even[:n_sites], scratch.odd[:n_sites]
        fold_discs(block, even, odd)
        kept, reversed_ = scratch.even_moments[:n_sites], scratch.odd_moments[:n_sites]
        np.matmul(even, folded.even.T, out=kept)
        np.matmul(odd, folded.odd.T, out=reversed_)
        rows = out[begin : begin + n_sites]
        _spread(kept, folded.even_terms, rows)
        _spread(reversed_, folded.odd_terms, rows)
