"""From two statistics of a scorer to one p-value, and from two scorers to one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.fusion import bonferroni
from latticewatch.detectors.vae.null import NullLaw, deviations, p_values_of

Part = tuple[str, NDArray[np.float64], NDArray[np.float64]]

_LEAST_Z = -38.0  # a residual of zero is as ordinary as can be


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one scorer says of the sites of a frame.

    Attributes
    ----------
    p_value : (N,)
        NaN: not scored.
    tail : (N,) bool
        It lies beyond what the calibration could count.
    parts
        Of each statistic: name, robust z (N,), p-value (N,).
    """

    p_value: NDArray[np.float64]
    tail: NDArray[np.bool_]
    parts: tuple[Part, ...]


def evidence_of(
    names: Sequence[str],
    statistics: NDArray[np.float64],
    laws: Sequence[NullLaw],
    n_tests: float,
) -> Evidence:
    """Put the statistics of one scorer together.

    Parameters
    ----------
    names
        Of the statistics.
    statistics : (2, N)
        Largest residual and root of the local energy of each site; NaN: not scored.
    laws
        Of both.
    n_tests
        As many independent tests as both are worth, 1 to 2.
    """
    parts, each, beyond = [], [], []
    for name, values, law in zip(names, statistics, laws, strict=True):
        away = deviations(values)
        each_p, tail = p_values_of(away, law)
        parts.append((name, np.maximum(away / law.width, _LEAST_Z), each_p))
        each.append(each_p)
        beyond.append(tail)
    # Of two that see the same residual the smaller one is hardly more than one test.
    p_value = np.minimum(np.minimum(*each) * n_tests, 1.0)
    return Evidence(p_value, np.where(each[0] < each[1], *beyond), tuple(parts))


def together(one: Evidence, other: Evidence) -> Evidence:
    """Put two scorers together: the smaller p-value, for two tests.

    A site that the second did not score keeps what the first says of it.
    """
    other_p = np.where(np.isnan(other.p_value), 1.0, other.p_value)
    other_p = np.where(np.isnan(one.p_value), np.nan, other_p)
    return Evidence(
        p_value=bonferroni(np.stack([one.p_value, other_p])),
        tail=np.where(one.p_value <= other_p, one.tail, other.tail),
        parts=(*one.parts, *other.parts),
    )
