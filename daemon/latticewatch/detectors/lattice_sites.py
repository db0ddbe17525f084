"""Sites predicted by the lattice locked to a frame, refined on it, and masked where it shows none.

Which place of the cell holds the site follows from the frame: the lock only knows the cells.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.view import SiteRule, View
from latticewatch.kernels.addresses import (
    addresses_in_field,
    link_addresses,
    make_board,
    mean_of_cells,
)
from latticewatch.kernels.extrema import strict_extrema
from latticewatch.kernels.neighbours import NOBODY, OUTSIDE
from latticewatch.kernels.refine import refine_near, refine_quadratic, site_contrast

# Fractions of the lattice period.
_REFINE_REACH = 0.13  # +-3 px at a period of 22.6 (patterson.md 3.1)
_SAME_PLACE = 0.12  # of the cell: extrema this near to each other are one kind of site
_SAMPLE_PERIODS = 10.0  # side of the part of the frame that says where in the cell sites are
_CELL_BINS = 16
# Adds up three bins side by side, round the cell.
_BESIDE = sum(np.roll(np.eye(_CELL_BINS), shift, axis=0) for shift in (-1, 0, 1))
# Share of the extrema of a frame, or of the cells of it, that agree on a place in the cell. In
# noise a twelfth agrees by chance, on crystals with two domains or vacuum about half, else 0.9.
_LEAST_AGREEING = 0.35
_FEWEST_EXTREMA = 20
# Contrast of the lattice, averaged over 3 x 3 cells, against that of the frame's better cells:
# below this share a place holds no lattice. Noise in vacuum averages to a tenth; beside a vacancy
# nine tenths are left; the thin half of a particle keeps a half.
_NO_LATTICE = 0.3
_BETTER_CELLS = 0.8  # quantile
# Lattice vectors of the model and of the lock agree so far, in cells, or they are another lattice.
_SAME_VECTOR = 0.2


def predict_sites(image: NDArray[np.float32], rule: SiteRule, lock: LatticeLock) -> View | None:
    """Every site of the field that the lattice promises.

    Parameters
    ----------
    image : (H, W)
        Levelled frame.
    rule
        Says what a site looks like.
    lock
        The lattice of this frame.

    Returns
    -------
    View or None
        Of all addresses in the field, vacuum included, row by row of the address; None where the
        extrema of the frame do not agree on a place in the cell.
    """
    fraction = site_fraction(image, rule, lock)
    if fraction is None:
        return None
    address = _addresses_near(image.shape, lock, fraction)
    expected = lock.places(address, fraction)
    inside = _in_field(expected, image.shape)
    if not inside.all():
        address, expected = address[inside], expected[inside]
    places, found = np.empty_like(expected), np.empty(len(expected), np.bool_)
    reach_px = max(1, round(_REFINE_REACH * rule.period_px))
    refine_near(image, expected, reach_px, rule.polarity, places, found)
    steps = _steps_of(rule, lock)
    grid = _AddressGrid(address)
    empty = _without_lattice(image, expected, rule, lock, grid)
    links = grid.links(np.concatenate([steps, -steps]), empty)
    lattice = ~empty
    there = found & lattice
    crystal = np.append(there, False)  # the last row is nobody's
    n_hits = int(np.count_nonzero(crystal[np.maximum(links, -1)] & there[:, None]))
    n_possible = int(np.count_nonzero((links != OUTSIDE) & lattice[:, None]))
    off = (places - expected)[there]
    return View(
        image=image,
        places_yx=places,
        predicted=~found,
        rim=grid.beside(empty) if empty.any() else empty,
        links=links,
        linked=n_hits / n_possible if n_possible else 0.0,
        basis_px_yx=steps @ lock.basis_px_yx,
        rms_px=float(np.sqrt(np.square(off).mean())) if len(off) else 0.0,
        address=address,
    )


def _in_field(places: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    y, x = places[:, 0], places[:, 1]
    inside: NDArray[np.bool_] = (y >= 0) & (y <= shape[0] - 1)
    inside &= (x >= 0) & (x <= shape[1] - 1)
    return inside


def _addresses_near(
    shape: tuple[int, ...], lock: LatticeLock, fraction: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Addresses whose sites can lie in the field; half of the box of addresses cannot."""
    phase = lock.phase.reshape(2, -1)
    least, most = phase.min(axis=1).astype(np.float64), phase.max(axis=1).astype(np.float64)
    height, width = float(shape[0]), float(shape[1])
    corners = np.array([(0.0, 0.0), (0.0, width), (height, 0.0), (height, width)])
    reach = corners @ lock.reciprocal_per_px.T
    first = np.floor(reach.min(axis=0) + least).astype(np.int64) - 2
    last = np.ceil(reach.max(axis=0) + most).astype(np.int64) + 2
    # How far the distortion of the lattice moves a site from that of a straight one.
    sway_px = (most - least) / 2 @ np.abs(lock.basis_px_yx)
    out = np.empty((int(np.prod(last - first + 1)), 2), np.int64)
    n_found = addresses_in_field(
        (int(first[0]), int(last[0]), int(first[1]), int(last[1])),
        fraction - (least + most) / 2,
        lock.basis_px_yx,
        (height, width, float(sway_px.max()) + lock.period_px),
        out,
    )
    return out[:n_found]


def sites_on(image: NDArray[np.float32], view: View, lock: LatticeLock) -> View:
    """Put the same sites on another picture of the frame, where the lattice has them.

    Parameters
    ----------
    image : (H, W)
        The picture.
    view
        Of the frame; without addresses its places are left as they are.
    lock
        That predicted them.
    """
    if view.address is None:
        return replace(view, image=image)
    gap = cell_coordinates(view.places_yx, lock) - view.address
    fraction = np.median(gap[~view.predicted], axis=0) if (~view.predicted).any() else gap[0] * 0
    return replace(view, image=image, places_yx=lock.places(view.address, fraction))


def site_fraction(
    image: NDArray[np.float32], rule: SiteRule, lock: LatticeLock
) -> NDArray[np.float64] | None:
    """Place of the site in the cell: where most extrema of the frame's middle lie.

    Of the whole frame, if those of the middle do not agree: it may be vacuum.

    Returns
    -------
    (2,) or None
        0..1; None where there is no agreement.
    """
    height, width = image.shape
    half = round(_SAMPLE_PERIODS * rule.period_px / 2)
    top, left = max(0, height // 2 - half), max(0, width // 2 - half)
    middle = image[top : top + 2 * half, left : left + 2 * half]
    fraction = _agreed_fraction(middle, (top, left), rule, lock)
    if fraction is None and middle.shape != image.shape:
        fraction = _agreed_fraction(image, (0, 0), rule, lock)
    return fraction


def _agreed_fraction(
    part: NDArray[np.float32], corner_yx: tuple[int, int], rule: SiteRule, lock: LatticeLock
) -> NDArray[np.float64] | None:
    places = _extrema(np.ascontiguousarray(part), rule)
    n_cells = part.size / lock.period_px**2
    if len(places) < _FEWEST_EXTREMA:
        return None
    turns = cell_coordinates(places + corner_yx, lock) % 1.0
    # A turn just below 0 can be 1.0 after the division.
    bins = np.minimum((turns * _CELL_BINS).astype(np.int64), _CELL_BINS - 1)
    counts = np.bincount(bins[:, 0] * _CELL_BINS + bins[:, 1], minlength=_CELL_BINS**2)
    counts = counts.reshape(_CELL_BINS, _CELL_BINS)
    around = _BESIDE @ counts @ _BESIDE
    peak = (np.array(np.unravel_index(np.argmax(around), counts.shape)) + 0.5) / _CELL_BINS
    for _ in range(2):
        gap = (turns - peak + 0.5) % 1.0 - 0.5
        near = (np.abs(gap) < _SAME_PLACE).all(axis=1)
        if near.any():
            # Sorted: np.median takes 0.06 ms for so few.
            ordered, n_near = np.sort(gap[near], axis=0), np.count_nonzero(near)
            peak = peak + (ordered[(n_near - 1) // 2] + ordered[n_near // 2]) / 2
    share = near.sum() / max(min(len(places), n_cells), 1.0)
    agreed: NDArray[np.float64] = peak % 1.0
    return agreed if share >= _LEAST_AGREEING else None


def _extrema(image: NDArray[np.float32], rule: SiteRule) -> NDArray[np.float64]:
    pixels_yx = np.empty((image.size // (rule.min_distance_px + 1) + 1, 2), np.int32)
    n_found = strict_extrema(image, rule.floor, rule.min_distance_px, rule.polarity, 1, pixels_yx)
    pixels_yx = pixels_yx[: min(n_found, len(pixels_yx))]
    places = np.empty((len(pixels_yx), 2))
    refine_quadratic(image, pixels_yx, places)
    return places


def cell_coordinates(places_yx: NDArray[np.float64], lock: LatticeLock) -> NDArray[np.float64]:
    """Cell coordinates (N, 2) of places: G r + phase(r), linear between the centres of blocks.

    Beyond the outermost centres the phase stays what it is there.
    """
    n_blocks = np.array(lock.phase.shape[1:])
    at = np.clip((places_yx + 0.5) / lock.step_px - 0.5, 0, n_blocks - 1)
    node = np.minimum(at.astype(np.intp), n_blocks - 2)
    share = at - node
    turns = places_yx @ lock.reciprocal_per_px.T
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight_y = share[:, 0] if down else 1.0 - share[:, 0]
        weight_x = share[:, 1] if right else 1.0 - share[:, 1]
        phase = lock.phase[:, node[:, 0] + down, node[:, 1] + right]
        turns = turns + (weight_y * weight_x * phase).T
    coordinates: NDArray[np.float64] = turns
    return coordinates


def _steps_of(rule: SiteRule, lock: LatticeLock) -> NDArray[np.int64]:
    """Lattice vectors of the model in those of the lock (2, 2); the lock's own if they differ."""
    steps = rule.basis_px_yx @ np.linalg.inv(lock.basis_px_yx)
    whole = np.round(steps).astype(np.int64)
    same = np.abs(steps - whole).max() < _SAME_VECTOR
    if same and abs(round(float(np.linalg.det(whole)))) == 1:
        return whole
    return np.eye(2, dtype=np.int64)


def _without_lattice(
    image: NDArray[np.float32],
    expected: NDArray[np.float64],
    rule: SiteRule,
    lock: LatticeLock,
    grid: "_AddressGrid",
) -> NDArray[np.bool_]:
    """Tell at which sites (N,) the frame shows no lattice: vacuum, contamination, amorphous.

    A site differs from the points half way to the next ones; averaged over neighbours in phase
    with each other, noise and disorder fade and the lattice stays.
    """
    one, other = lock.basis_px_yx / 2
    half_way = np.stack([one, other, one + other, one - other])
    around = np.concatenate([half_way, -half_way])
    contrast = np.empty(len(expected), np.float32)
    site_contrast(image, expected, around, contrast)
    mean = grid.mean_of_cells(np.float32(rule.polarity) * contrast)
    if not len(mean):
        return np.zeros(0, bool)
    rank = round(_BETTER_CELLS * (len(mean) - 1))
    empty: NDArray[np.bool_] = ~(mean > _NO_LATTICE * np.partition(mean, rank)[rank])
    return empty


class _AddressGrid:
    """Rows of sites by their address."""

    def __init__(self, address: NDArray[np.int64]) -> None:
        self._board = make_board(address)

    def links(self, steps: NDArray[np.int64], empty: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Row of the site at each step (N, V), `NOBODY` without lattice, `OUTSIDE` the field."""
        links = np.empty((len(empty), len(steps)), np.int32)
        link_addresses(self._board, steps, empty, (NOBODY, OUTSIDE), links)
        return links

    def beside(self, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which sites (N,) are marked, or one of the eight addresses around."""
        return self.mean_of_cells(marked.astype(np.float32)) > 0

    def mean_of_cells(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean (N,) over the 3 x 3 addresses about each site, as far as they are in the field."""
        mean = np.empty(len(values), np.float32)
        mean_of_cells(self._board, values, mean)
        return mean
