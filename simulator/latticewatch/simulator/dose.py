"""From expected brightness to what the detector says: exact Poisson counts, gain, dark level."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from latticewatch.simulator.jit import compiled

LEVELS_PER_ROOT = 32
"""Tabulated means are (j / 32)^2: near 40 electrons they are 0.4 apart."""

TOP_MEAN = 256.0
"""Largest tabulated mean; brighter pixels are sums of several draws."""

MAX_REST = 1.1
"""A little more than the largest step between tabulated means: a rest below it ends the sum."""


@dataclass(frozen=True, slots=True)
class PoissonTables:
    """Alias tables (Walker 1977) of the Poisson distribution at fixed means.

    Parameters
    ----------
    means : (L,)
        Means, ascending from 0.
    starts, bits, lowest : (L,)
        Where each table starts in the arrays below, the binary logarithm of its length, and the
        count that its first entry stands for.
    threshold, alias
        Entry e stays e if a random 31-bit number is below its threshold, else it becomes its alias.
    """

    means: NDArray[np.float64]
    starts: NDArray[np.int32]
    bits: NDArray[np.int32]
    lowest: NDArray[np.int32]
    threshold: NDArray[np.uint32]
    alias: NDArray[np.uint16]


@cache
def poisson_tables() -> PoissonTables:
    """Build the tables: 513 means up to `TOP_MEAN`, 0.9 MB, once per process."""
    roots = np.arange(int(LEVELS_PER_ROOT * np.sqrt(TOP_MEAN)) + 1) / LEVELS_PER_ROOT
    means = roots**2
    thresholds: list[NDArray[np.uint32]] = []
    aliases: list[NDArray[np.uint16]] = []
    starts, bits, lowest, start = [], [], [], 0
    for mean in means:
        first, chances = _chances(float(mean))
        n_bits = max(int(np.ceil(np.log2(len(chances)))), 1)
        padded = np.zeros(1 << n_bits)
        padded[: len(chances)] = chances
        threshold, alias = np.empty(len(padded), np.uint32), np.empty(len(padded), np.uint16)
        _fill_alias(padded, threshold, alias)
        starts.append(start)
        bits.append(n_bits)
        lowest.append(first)
        start += len(padded)
        thresholds.append(threshold)
        aliases.append(alias)
    return PoissonTables(
        means,
        np.array(starts, np.int32),
        np.array(bits, np.int32),
        np.array(lowest, np.int32),
        np.concatenate(thresholds),
        np.concatenate(aliases),
    )


def _chances(mean: float) -> tuple[int, NDArray[np.float64]]:
    """Chances of the counts that happen more often than once in 10^11 draws."""
    if mean == 0.0:
        return 0, np.ones(1)
    first, last = (int(stats.poisson.ppf(tail, mean)) for tail in (1e-11, 1.0 - 1e-11))
    chances = stats.poisson.pmf(np.arange(first, last + 1), mean)
    return first, chances / chances.sum()


@compiled
def _fill_alias(
    chances: NDArray[np.float64], threshold: NDArray[np.uint32], alias: NDArray[np.uint16]
) -> None:
    """Vose's construction: every entry holds its own count and the surplus of one other."""
    n = len(chances)
    scaled = chances * n
    full = np.float64(1 << 31)
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    n_small = n_large = 0
    for entry in range(n):
        threshold[entry], alias[entry] = np.uint32(full), entry
        if scaled[entry] < 1.0:
            small[n_small] = entry
            n_small += 1
        else:
            large[n_large] = entry
            n_large += 1
    while n_small > 0 and n_large > 0:
        poor, rich = small[n_small - 1], large[n_large - 1]
        n_small -= 1
        threshold[poor] = np.uint32(scaled[poor] * full)
        alias[poor] = rich
        scaled[rich] -= 1.0 - scaled[poor]
        if scaled[rich] < 1.0:
            n_large -= 1
            small[n_small] = rich
            n_small += 1


def detect(
    expected: NDArray[np.float32], response: NDArray[np.uint16], *, random_state: int
) -> NDArray[np.uint16]:
    """Count electrons and look up what the detector says.

    Parameters
    ----------
    expected : (H, W)
        Mean number of electrons per pixel, >= 0.
    response : (N,)
        Output for 0, 1, ... electrons; the last entry also for more.
    random_state
        64 bits; equal states give equal frames.

    Returns
    -------
    (H, W)
        A new array that the caller owns.
    """
    tables = poisson_tables()
    out = np.empty(expected.shape, np.uint16)
    _draw(
        expected.reshape(-1),
        (tables.means, tables.starts, tables.bits, tables.lowest),
        (tables.threshold, tables.alias),
        response,
        np.uint64(random_state),
        out.reshape(-1),
    )
    return out


def detector_response(*, electron_adu: float, dark_adu: float) -> NDArray[np.uint16]:
    """Output of a linear 16-bit detector for 0, 1, ... electrons, up to saturation."""
    n_until_full = int(np.ceil((65535.0 - dark_adu) / electron_adu)) + 1
    adu = np.rint(dark_adu + electron_adu * np.arange(n_until_full + 1))
    clipped: NDArray[np.float64] = np.minimum(adu, 65535.0)
    return clipped.astype(np.uint16)


@compiled
def _draw(
    expected: NDArray[np.float32],
    levels: tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
    entries: tuple[NDArray[np.uint32], NDArray[np.uint16]],
    response: NDArray[np.uint16],
    state: np.uint64,
    out: NDArray[np.uint16],
) -> None:
    """Draw one Poisson number per pixel and write the response to it.

    A Poisson number of mean m is the sum of one at the tabulated mean just below m and one of
    the small rest, exactly. One 64-bit random number serves both: 9 bits choose the entry, 31
    decide on its alias, 24 are left for the rest, which is mostly 0.
    """
    means, starts, bits, lowest = levels
    threshold, alias = entries
    top = len(means) - 1
    most = len(response) - 1
    for pixel in range(len(expected)):
        left = np.float64(expected[pixel])
        count = 0
        while True:
            # splitmix64 (Steele, Lea, Flood 2014): a counter and a mixer, no state to carry.
            state += np.uint64(0x9E3779B97F4A7C15)
            mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(31)
            level = min(int(np.sqrt(left) * LEVELS_PER_ROOT), top)
            n_bits = bits[level]
            entry = int(mixed >> np.uint64(64 - n_bits))
            place = starts[level] + entry
            if np.uint32((mixed >> np.uint64(24)) & np.uint64(0x7FFFFFFF)) >= threshold[place]:
                entry = int(alias[place])
            count += entry + lowest[level]
            left -= means[level]
            if left < MAX_REST:
                break
        rest = (np.float64(mixed & np.uint64(0xFFFFFF)) + 0.5) / 16777216.0
        # exp(-x) >= 1 - x, so most pixels are done without an exponential.
        if rest >= 1.0 - left:
            chance = np.exp(-left)
            below, extra = chance, 0
            while rest >= below and extra < 1000:
                extra += 1
                chance *= left / extra
                below += chance
            count += extra
        out[pixel] = response[min(count, most)]
