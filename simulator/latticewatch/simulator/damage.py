"""Defects: which columns are harmed, how, and the record of it."""

from dataclasses import dataclass, replace
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from latticewatch.simulator.crystal import Columns, Crystal
from latticewatch.simulator.settings import MicroscopeSettings, SimulatorError

KINDS = ("vacancy", "deficit", "excess", "displaced")
"""Words of the wire protocol. A simulated deficit is half a column: one of two S."""

SEPARATION_PERIODS = 2.2
"""Two defects are at least this far apart, so that each can be told from its neighbour."""

INSET_PERIODS = 1.5
"""Counted defects start this far inside the field, where a detector can see their neighbours."""

DISPLACEMENT_PERIODS = (0.15, 0.20)
"""Shift of a displaced column: outside any thermal motion, inside its own cell."""

# Shares of all columns, together 1 %.
_VACANCY_SHARE, _EXCESS_SHARE, _DISPLACED_SHARE = 0.004, 0.003, 0.003


@dataclass(frozen=True, slots=True)
class Damage:
    """What was done to which columns; one row per defect.

    Parameters
    ----------
    column : (N,)
        Index into the columns.
    kind : (N,)
        Index into `KINDS`.
    magnitude : (N,)
        Fraction of the scattering lost or gained; for a displaced column its shift in periods.
    """

    column: NDArray[np.int64]
    kind: NDArray[np.int64]
    magnitude: NDArray[np.float64]


def damage_columns(
    columns: Columns, *, frac_yx: NDArray[np.float64], settings: MicroscopeSettings
) -> tuple[Columns, Damage]:
    """Harm some columns of a crystal.

    Parameters
    ----------
    columns
        Intact columns, also around the field of view: drift brings those in.
    frac_yx : (N, 2)
        Where they are at rest, as fractions of the field of view.
    settings
        How many of each kind, and the seed. The surroundings get the same density.

    Returns
    -------
    tuple of Columns and Damage
        The harmed crystal and the record, in the order in which defects were placed.

    Raises
    ------
    SimulatorError
        More were asked for than fit at `SEPARATION_PERIODS`.
    """
    rng = np.random.default_rng([settings.seed, 2])
    period_frac_yx = settings.period_px / np.array(settings.shape_yx)
    inset = INSET_PERIODS * period_frac_yx
    in_field = ((frac_yx >= 0.0) & (frac_yx < 1.0)).all(axis=1)
    inside = ((frac_yx >= inset) & (frac_yx < 1.0 - inset)).all(axis=1)
    wanted, asked = _wanted(settings, int(in_field.sum()))
    placed = _Placement(columns, settings.specimen)
    for kind, n_wanted in wanted.items():
        n_placed = placed.add(kind, n_wanted, rng.permutation(np.flatnonzero(inside)))
        if n_placed < n_wanted and kind in asked:
            raise SimulatorError(
                f"{n_wanted} of kind {kind}: only {n_placed} fit into the field at least "
                f"{SEPARATION_PERIODS:g} periods apart: ask for fewer or a larger field"
            )
    surroundings = np.flatnonzero(~in_field)
    for kind, n_wanted in wanted.items():
        n_around = round(n_wanted * len(surroundings) / max(int(in_field.sum()), 1))
        placed.add(kind, n_around, rng.permutation(surroundings))
    return _apply(columns, np.array(placed.rows, np.int64).reshape(-1, 2), settings, rng)


class _Placement:
    """Defects placed so far, kept apart from each other."""

    def __init__(self, columns: Columns, crystal: Crystal) -> None:
        self.rows: list[tuple[int, int]] = []
        self._columns = columns
        self._crystal = crystal
        self._tree = KDTree(columns.nm_yx)
        may_be_damaged = np.array([part.damaged for part in crystal.sublattices])
        self._free = may_be_damaged[columns.sublattice]

    def add(self, kind: str, n_wanted: int, candidates: NDArray[np.int64]) -> int:
        """Place up to `n_wanted` defects, the sublattices in turn; the number placed."""
        eligible = _eligible_sublattices(self._crystal, kind)
        sublattice = self._columns.sublattice[candidates]
        queues = {part: iter(candidates[sublattice == part].tolist()) for part in eligible}
        for n_placed, part in enumerate(islice(cycle(eligible), n_wanted)):
            column = next((column for column in queues[part] if self._free[column]), None)
            if column is None:
                return n_placed
            self._place(column, kind)
        return n_wanted if eligible else 0

    def _place(self, column: int, kind: str) -> None:
        self.rows.append((column, KINDS.index(kind)))
        too_near_nm = SEPARATION_PERIODS * self._crystal.period_nm
        self._free[self._tree.query_ball_point(self._columns.nm_yx[column], too_near_nm)] = False


def _wanted(settings: MicroscopeSettings, n_columns: int) -> tuple[dict[str, int], set[str]]:
    """Give the number of each kind, and the kinds that the operator asked for by number."""
    if settings.perfect:
        return {}, set()
    given = {
        "vacancy": (settings.vacancies, _VACANCY_SHARE),
        "excess": (settings.substitutions, _EXCESS_SHARE),
        "displaced": (settings.displaced, _DISPLACED_SHARE),
        "deficit": (settings.deficits, 0.0),
    }
    wanted = {
        kind: round(share * n_columns) if number is None else number
        for kind, (number, share) in given.items()
    }
    return wanted, {kind for kind, (number, _) in given.items() if number is not None}


def _eligible_sublattices(crystal: Crystal, kind: str) -> list[int]:
    """Sublattices that can show this kind."""
    return [
        index
        for index, part in enumerate(crystal.sublattices)
        if part.damaged
        and (kind != "excess" or part.substitute)
        # Half of one atom is no defect: a lone atom is there or it is not.
        and (kind != "deficit" or part.n_repeats * len(part.atoms) > 1)
    ]


def _apply(
    columns: Columns,
    rows: NDArray[np.int64],
    settings: MicroscopeSettings,
    rng: np.random.Generator,
) -> tuple[Columns, Damage]:
    """Change the columns; rows are [column, kind]."""
    nm_yx, ang2 = columns.nm_yx.copy(), columns.ang2.copy()
    magnitude = np.zeros(len(rows))
    for row, (column, kind) in enumerate(rows):
        part = settings.specimen.sublattices[columns.sublattice[column]]
        match KINDS[kind]:
            case "vacancy":
                magnitude[row] = 1.0
                ang2[column] = 0.0
            case "deficit":
                magnitude[row] = 0.5
                ang2[column] *= 0.5
            case "excess":
                magnitude[row] = part.substitute_ang2 / part.cross_section_ang2 - 1.0
                ang2[column] = part.substitute_ang2
            case _:
                magnitude[row] = rng.uniform(*DISPLACEMENT_PERIODS)
                angle = rng.uniform(0.0, 2.0 * np.pi)
                shift_nm = magnitude[row] * settings.specimen.period_nm
                nm_yx[column] += shift_nm * np.array([np.sin(angle), np.cos(angle)])
    harmed = replace(columns, nm_yx=nm_yx, ang2=ang2)
    return harmed, Damage(rows[:, 0], rows[:, 1], magnitude)
