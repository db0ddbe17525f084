"""The crystal lattice of a frame, found without parameters from its power spectrum.

About 12 ms for 1024 x 1024. From frame to frame a known lattice is followed, see `follow.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.nets import best_net
from latticewatch.detectors.spectrum import spectral_peaks

# Each step shortens a vector by a third or more; vectors on one line would go on for ever.
_MOST_REDUCTIONS = 64
_FEWEST_SITES_ALONG = 5  # a "period" that fits fewer times across the frame is background
_FEWEST_REFLECTIONS = 3
# Chosen: scans of atoms have fewer pixels to a period, so a frame that holds five of these and has
# no lattice has it for another reason than its size.
_USUAL_PERIOD_PX = 40
NULL_STRENGTH = 4.0
"""Strength that a frame without a lattice does not reach.

Of 5600 frames of noise of 28 laws, fringes and liquids among them, the strongest had 1.6, and of
1400 drawn without noise none had any: with 99.6 % confidence fewer than 1 in 1000 is beyond.
`tests/accuracy/null_strength.py` measures it. Simulated crystals of 512 x 512 and periods of 15 px
and more have 16 at 0.3 counts per pixel; of 7 px, where three reflections are within reach, 5.
"""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Two shortest primitive vectors of the crystal in the frame.

    Attributes
    ----------
    basis_px_yx : (2, 2)
        Rows are the vectors a and b, [y, x] in pixels, |a| <= |b|, Gauss reduced.
    reflections : (R, 2)
        Indices of the peaks of the spectrum that the lattice indexes, one of each Friedel pair.
    power : (R,)
        Of these peaks, over the noise.
    """

    basis_px_yx: NDArray[np.float64]
    reflections: NDArray[np.int64]
    power: NDArray[np.float64]

    @property
    def n_reflections(self) -> int:
        """How many peaks the lattice indexes."""
        return len(self.reflections)

    @property
    def strength(self) -> float:
        """Their summed log power: how sure the lattice is."""
        return float(np.log1p(self.power).sum())

    @property
    def reciprocal_per_px(self) -> NDArray[np.float64]:
        """Reciprocal vectors (2, 2), rows [gy, gx], cycles per pixel: dual to the basis."""
        return np.linalg.inv(self.basis_px_yx).T.astype(np.float64)

    @property
    def cell_px(self) -> float:
        """Square root of the area of the cell, pixels."""
        return float(np.sqrt(self.cell_area_px2))

    @property
    def cell_area_px2(self) -> float:
        """Area of the primitive cell in square pixels."""
        return float(abs(np.linalg.det(self.basis_px_yx)))

    @property
    def period_px(self) -> float:
        """Geometric mean of both vector lengths in pixels: `a` for square and hexagonal nets."""
        return float(np.sqrt(np.prod(np.linalg.norm(self.basis_px_yx, axis=1))))


@dataclass(frozen=True, slots=True)
class LatticeSearch:
    """What a search found, or why nothing.

    Attributes
    ----------
    lattice
        None where there is none.
    strength
        Evidence: log power that the best lattice indexes, less what chance and two crossing sets
        of fringes would; zero where no lattice could be tried.
    threshold
        Strength needed.
    reason
        Empty, or what is missing, for a log line.
    """

    lattice: "Lattice | None"
    strength: float
    threshold: float
    reason: str


def find_lattice(frame: NDArray[np.float32]) -> Lattice | None:
    """Lattice vectors of the strongest crystal in a frame, or None where there is none.

    `search_lattice` says why not.

    Parameters
    ----------
    frame : (H, W)
        Finite pixels. A frame of noise, vacuum or a constant has no lattice.
    """
    return search_lattice(frame).lattice


def search_lattice(frame: NDArray[np.float32]) -> LatticeSearch:
    """Look for the strongest crystal in a frame, of any lattice, without parameters.

    Every pair of strong spectral peaks is a hypothesis; it scores the log power of the peaks that
    it indexes, less what a random pair of that density would index. About 12 ms for 1024 x 1024.

    Parameters
    ----------
    frame : (H, W)
        Finite pixels.
    """
    peaks, side_px = spectral_peaks(frame), min(frame.shape)
    net = best_net(peaks, side_px)
    if net is None:
        count = f"{len(peaks)} spectral peaks, which" if len(peaks) else "no spectral peak"
        what = "make up no net" if len(peaks) else "stands out"
        reason = f"not periodic: {count} {what}{_of_size(frame)}"
        return LatticeSearch(None, 0.0, NULL_STRENGTH, reason)
    if net.strength < NULL_STRENGTH or net.hit.sum() < _FEWEST_REFLECTIONS:
        reason = f"not periodic: strength {net.strength:.1f}, needed {NULL_STRENGTH:.1f}"
        reason += _of_size(frame)
        return LatticeSearch(None, net.strength, NULL_STRENGTH, reason)
    direct = reduce_basis(np.linalg.inv(net.reciprocal_per_px).T.astype(np.float64))
    longest_px = float(np.linalg.norm(direct, axis=1).max())
    if longest_px * _FEWEST_SITES_ALONG > side_px:
        reason = f"a period of {longest_px:.0f} px fits fewer than {_FEWEST_SITES_ALONG} times"
        reason += _of_size(frame)
        return LatticeSearch(None, net.strength, NULL_STRENGTH, reason)
    # h = a.g: whole numbers but for the errors of the peaks.
    indices = np.round(peaks.g_per_px[net.hit] @ direct.T).astype(np.int64)
    lattice = Lattice(direct, indices, peaks.power[net.hit])
    return LatticeSearch(lattice, net.strength, NULL_STRENGTH, "")


def _of_size(frame: NDArray[np.float32]) -> str:
    """Say of a small frame that its size may be why; of others nothing."""
    height, width = frame.shape
    largest_px = min(height, width) / _FEWEST_SITES_ALONG
    if largest_px > _USUAL_PERIOD_PX:
        return ""
    return (
        f"; {height} x {width} pixels hold too few periods unless they are {largest_px:.0f} px or "
        f"shorter: at least {_FEWEST_SITES_ALONG} are needed along each side"
    )


def reduce_basis(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two shortest vectors of the same net, rows, shorter first (Gauss reduction).

    Examples
    --------
    >>> reduce_basis(np.array([[5.0, 1.0], [1.0, 0.0]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    first, second = basis
    for _ in range(_MOST_REDUCTIONS):
        if first @ first > second @ second:
            first, second = second, first
        steps = np.round((first @ second) / (first @ first))
        if steps == 0:
            break
        second = second - steps * first
    return np.array([first, second])
