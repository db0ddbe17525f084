"""Crystals of Gaussian columns whose kinds are known: the generator of the motif specification.

Drawn without the simulator and without any code under test (methods/motifs.md, 5.2).
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from support.honeycomb import gaussian_columns

Image = NDArray[np.float32]
_BESIDE = 1.25  # of the shortest bond: sites with a defect so near are beside it
_FROM_EDGE = 1.6  # of the second shell: where no patch ends at the edge of the frame


@dataclass(frozen=True, slots=True)
class Crystal:
    """A cell, and the kinds of defects that it gets.

    Attributes
    ----------
    basis : (2, 2)
        Rows [y, x], in units of the shortest bond.
    fraction : (S, 2)
        Columns of the cell.
    height : (S,)
        Their intensities.
    kinds
        (name, sublattice, intensity) of every kind of defect.
    """

    basis: NDArray[np.float64]
    fraction: NDArray[np.float64]
    height: NDArray[np.float64]
    kinds: tuple[tuple[str, int, float], ...]


_HEXAGONAL = np.sqrt(3.0) * np.array([[0.0, 1.0], [np.sqrt(0.75), 0.5]])
_THIRDS = np.array([[1 / 3, 1 / 3], [2 / 3, 2 / 3]])
_HALVES = np.array([[0.0, 0.0], [0.5, 0.5]])
CRYSTALS = {
    "ws2": Crystal(
        _HEXAGONAL,
        _THIRDS,
        np.array([1.0, 0.35]),
        (
            ("one S absent", 1, 0.175),
            ("both S absent", 1, 0.0),
            ("heavy S", 1, 0.70),
            ("heavy metal", 0, 1.35),
            ("light metal", 0, 0.5),
        ),
    ),
    "square": Crystal(
        np.sqrt(2.0) * np.eye(2),
        _HALVES,
        np.array([1.0, 0.6]),
        (("half a heavy", 0, 0.5), ("no light", 1, 0.0), ("heavy for light", 1, 1.0)),
    ),
    "graphene": Crystal(
        _HEXAGONAL,
        _THIRDS,
        np.array([1.0, 1.0]),
        (("absent", 0, 0.0), ("heavy", 1, 1.8)),
    ),
}
"""Monolayer of a disulphide, a perovskite without its oxygen, and a cell of two equal columns."""


@dataclass(frozen=True, slots=True)
class MotifScene:
    """A frame, its sites and what each of them is.

    Attributes
    ----------
    image : (H, W)
        In units of a pristine column of height one: counts over the dose.
    places_yx : (N, 2)
        Where the columns were drawn, and would have been drawn, jitter included.
    ideal_yx : (N, 2)
        Their places in the lattice.
    sublattice : (N,)
        Column of the cell.
    address : (N, 2)
        Cell.
    kind : (N,)
        Index into `names`.
    beside : (N,)
        Kind of a defect within a bond and a quarter; -1 where there is none.
    names
        The pristine sublattices, then the kinds of defects.
    bond_px
        Distance of nearest columns.
    second_px
        Distance of the second shell.
    sigma_px
        Width of the columns.
    """

    image: Image
    places_yx: NDArray[np.float64]
    ideal_yx: NDArray[np.float64]
    sublattice: NDArray[np.intp]
    address: NDArray[np.int64]
    kind: NDArray[np.intp]
    beside: NDArray[np.intp]
    names: tuple[str, ...]
    bond_px: float
    second_px: float
    sigma_px: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to draw; everything random follows from the seed.

    Attributes
    ----------
    dose
        Counts of a pixel of height one; 0 for no noise.
    n_each
        Defects of each kind; fewer where the frame has no room.
    kinds
        Names of those to draw; None for all.
    jitter_px
        Random displacement of each column along both axes, rms.
    """

    crystal: str = "ws2"
    dose: float = 200.0
    angle_deg: float = 7.0
    side_px: int = 560
    bond_px: float = 12.0
    sigma_px: float = 3.0
    n_each: int = 18
    kinds: tuple[str, ...] | None = None
    jitter_px: float = 0.3
    background: float = 0.02


@lru_cache(maxsize=32)
def motif_scene(seed: int, recipe: Recipe = Recipe()) -> MotifScene:
    """Draw a frame; no two defects lie within three bonds of each other.

    Scenes are drawn once for all tests: their arrays are read-only.
    """
    rng = np.random.default_rng(seed)
    crystal = CRYSTALS[recipe.crystal]
    second_px = _shells(crystal)[1] * recipe.bond_px
    places, sublattice, address = _lattice(crystal, recipe)
    drawn = places + rng.normal(0.0, recipe.jitter_px, places.shape)
    kind = sublattice.copy()
    height = crystal.height[sublattice]
    margin_px = _FROM_EDGE * second_px
    inside = ((places > margin_px) & (places < recipe.side_px - 1 - margin_px)).all(axis=1)
    taken = np.zeros(0, np.intp)
    for index, (name, where, intensity) in enumerate(crystal.kinds):
        if recipe.kinds is not None and name not in recipe.kinds:
            continue
        chosen = _apart(rng, places, np.flatnonzero(inside & (sublattice == where)), taken, recipe)
        kind[chosen], height[chosen] = len(crystal.height) + index, intensity
        taken = np.append(taken, chosen)
    expected = recipe.background + gaussian_columns(drawn, height, recipe.sigma_px, recipe.side_px)
    if recipe.dose > 0:
        expected = rng.poisson(recipe.dose * expected) / recipe.dose
    beside = np.full(len(places), -1, np.intp)
    for one in taken:
        near = np.linalg.norm(places - places[one], axis=1) < _BESIDE * recipe.bond_px
        beside[near] = kind[one]
    beside[taken] = -1
    pristine = tuple(chr(ord("A") + label) for label in range(len(crystal.height)))
    scene = MotifScene(
        expected.astype(np.float32),
        drawn,
        places,
        sublattice,
        address,
        kind,
        beside,
        (*pristine, *(name for name, _, _ in crystal.kinds)),
        recipe.bond_px,
        second_px,
        recipe.sigma_px,
    )
    for field in fields(scene):
        array = getattr(scene, field.name)
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return scene


def _shells(crystal: Crystal) -> NDArray[np.float64]:
    """Distances of the shells around columns of any sublattice, in bonds, nearest first."""
    steps = np.mgrid[-3:4, -3:4].reshape(2, -1).T
    between = (crystal.fraction[:, None, None] - crystal.fraction[None, :, None] + steps).reshape(
        -1, 2
    ) @ crystal.basis
    return np.unique(np.linalg.norm(between, axis=1).round(6))[1:]


def _lattice(
    crystal: Crystal, recipe: Recipe
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.int64]]:
    """Places, sublattices and addresses of all columns that reach into the frame."""
    turn = np.radians(recipe.angle_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    basis = recipe.bond_px * crystal.basis @ rotation
    reach = int(1.5 * recipe.side_px / recipe.bond_px) + 2
    cells = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    n_columns = len(crystal.fraction)
    places = np.concatenate([(cells + part) @ basis for part in crystal.fraction])
    places += recipe.side_px / 2
    margin_px = 4 * recipe.sigma_px
    inside = ((places > -margin_px) & (places < recipe.side_px - 1 + margin_px)).all(axis=1)
    sublattice = np.repeat(np.arange(n_columns), len(cells))
    address = np.tile(cells, (n_columns, 1)).astype(np.int64)
    return places[inside], sublattice[inside].astype(np.intp), address[inside]


def _apart(
    rng: np.random.Generator,
    places: NDArray[np.float64],
    candidates: NDArray[np.intp],
    taken: NDArray[np.intp],
    recipe: Recipe,
) -> NDArray[np.intp]:
    """Sites for defects of a kind, three bonds from each other and from those taken."""
    chosen: list[int] = []
    for one in rng.permutation(candidates):
        if len(chosen) == recipe.n_each:
            break
        others = places[[*taken.tolist(), *chosen]]
        if not len(others) or np.linalg.norm(others - places[one], axis=1).min() > (
            3 * recipe.bond_px
        ):
            chosen.append(int(one))
    return np.array(chosen, np.intp)
