"""The unit of a frame: what gain, offset, focus and dose did to its ordinary sites.

Moments of ordinary sites of one sublattice are averaged before their moduli are taken: all have
one orientation, so that the noise cancels and no bias is left. Against those of the model they
give gain and offset. What single sites have beside that, such as the bias of moduli at another
dose, is the same for all of them and is taken off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Of the sites of a sublattice, those nearest to their median have a say.
_ORDINARY = 0.75
_MOST_PERMUTED = 4  # sublattices; more are taken in order of their height
_N_ANGLES = 720
_ROUNDS = 2
_SINGULAR = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Pristine:
    """Ordinary sites of each sublattice.

    Attributes
    ----------
    moments : (S, T)
        Mean.
    features : (S, F)
        Mean of those of single sites, with the bias that noise gives them.
    """

    moments: Values
    features: Values


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """What a frame's numbers are in the unit of the model.

    Attributes
    ----------
    gain, offset
        The unit is (raw - offset) / gain.
    sublattice : (S,)
        Of the model, for each of the frame.
    agreement
        1 where the ordinary sites of the frame are those of the model, 0 where they have nothing
        in common.
    """

    gain: float
    offset: float
    sublattice: NDArray[np.intp]
    agreement: float


def ordinary(values: Values) -> NDArray[np.bool_]:
    """Tell which rows (N, D) are among the three quarters nearest to the median."""
    # Half the time of np.median and np.quantile.
    middle = np.partition(values, len(values) // 2, axis=0)[len(values) // 2]
    distance = np.square(values - middle).sum(axis=1)
    rank = int(_ORDINARY * (len(values) - 1))
    kept: NDArray[np.bool_] = distance <= np.partition(distance, rank)[rank]
    return kept


def ordinary_moments(
    moments: NDArray[np.float32], sublattice: NDArray[np.intp], n_sublattices: int
) -> Values:
    """Mean moments (S, T) of the ordinary sites of each sublattice; zero where it has none."""
    mean = np.zeros((n_sublattices, moments.shape[1]))
    for label in range(n_sublattices):
        own = moments[sublattice == label]
        if len(own):
            mean[label] = own[ordinary(own)].mean(axis=0, dtype=np.float64)
    return mean


def pristine_of(
    moments: NDArray[np.float32],
    features: NDArray[np.float32],
    sublattice: NDArray[np.intp],
    n_sublattices: int,
) -> Pristine:
    """Average the ordinary sites of each sublattice; zero where it has none.

    Parameters
    ----------
    moments : (N, T)
    features : (N, F)
        Of the same sites.
    sublattice : (N,)
    n_sublattices
        S.
    """
    mean_moments = np.zeros((n_sublattices, moments.shape[1]))
    mean_features = np.zeros((n_sublattices, features.shape[1]))
    for label in range(n_sublattices):
        own = sublattice == label
        if not own.any():
            continue
        of_moments = moments[own].astype(np.float64)
        kept = ordinary(of_moments)
        mean_moments[label] = of_moments[kept].mean(axis=0)
        mean_features[label] = features[own][kept].astype(np.float64).mean(axis=0)
    return Pristine(mean_moments, mean_features)


def unit_of(
    moments: Values,
    reference: Values,
    constant: Values,
    invariant: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> Unit:
    """Compare the ordinary sites of a frame with those of the model.

    Parameters
    ----------
    moments : (S, T)
        Of the frame, in its own unit and order of sublattices.
    reference : (S, T)
        Of the model.
    constant : (T,)
        Of a patch that is 1 everywhere.
    invariant
        From moments to what a turn leaves.
    """
    wanted = invariant(reference.astype(np.float32)).astype(np.float64)
    flat = invariant(constant[None].astype(np.float32))[0].astype(np.float64)
    n_sublattices = len(wanted)
    orders = [tuple(range(n_sublattices))]
    if n_sublattices <= _MOST_PERMUTED:
        orders = list(permutations(range(n_sublattices)))
    gain, offset, misfit, order = 1.0, 0.0, np.inf, orders[0]
    # Moduli of a pattern on a ground are no sum of both: with the ground taken off, they are.
    for _ in range(_ROUNDS):
        plain = (moments - offset * constant).astype(np.float32)
        own = invariant(plain).astype(np.float64)
        fits = [(_straight_line(own, wanted[list(one)], flat), one) for one in orders]
        (gain, more, misfit), order = min(fits, key=lambda fit: fit[0][2])
        offset += more
        orders = [order]
    return Unit(gain, offset, np.array(order, np.intp), max(0.0, 1.0 - misfit))


def turn_between(moments: Values, reference: Values, terms: NDArray[np.int64]) -> float:
    """Angle (rad) by which patches (S, T) are turned against others, from +x towards +y."""
    row_of = {(int(n), int(m)): row for row, (n, m) in enumerate(terms)}
    plus = [row for row, (_, m) in enumerate(terms) if m > 0]
    minus = [row_of[int(n), -int(m)] for n, m in terms if m > 0]
    order = terms[plus, 1]
    own = moments[:, plus] + 1j * moments[:, minus]
    wanted = reference[:, plus] + 1j * reference[:, minus]
    # Turned by t, the moment of order m has m t more of phase.
    power = np.zeros(int(order.max()) + 1, np.complex128)
    np.add.at(power, order, (own * wanted.conj()).sum(axis=0))
    angles = 2 * np.pi * np.arange(_N_ANGLES) / _N_ANGLES
    waves = np.exp(-1j * np.outer(angles, np.arange(len(power))))
    likeness = (waves @ power).real
    # A patch of some symmetry looks the same at several angles: the smallest turn is taken.
    best = np.flatnonzero(likeness >= likeness.max() - 1e-3 * max(float(np.ptp(likeness)), 1e-30))
    signed = (angles[best] + np.pi) % (2 * np.pi) - np.pi
    return float(signed[np.abs(signed).argmin()])


def _straight_line(own: Values, wanted: Values, flat: Values) -> tuple[float, float, float]:
    """Gain and offset by which features (S, F) follow others; and the share left unexplained."""
    by_flat = own @ flat
    wanted_flat, power = float((wanted @ flat).sum()), len(own) * float(flat @ flat)
    square, product = float(np.square(wanted).sum()), float((wanted * own).sum())
    # Two unknowns by Cramer's rule: a solver takes ten times as long.
    determinant = square * power - wanted_flat**2
    if not determinant > _SINGULAR * square * power:
        return 1.0, 0.0, np.inf
    gain = (product * power - wanted_flat * float(by_flat.sum())) / determinant
    offset = (square * float(by_flat.sum()) - wanted_flat * product) / determinant
    left = own - gain * wanted - offset * flat
    # What any crystal has in common, its mean level, is no agreement.
    structure = own - offset * flat - np.outer(by_flat, flat) / float(flat @ flat)
    scale = float(np.linalg.norm(structure))
    if not (gain > 0 and scale > 0):
        return 1.0, 0.0, np.inf
    return gain, offset, float(np.linalg.norm(left)) / scale
