"""From expected brightness to what the detector says: exact Poisson counts, gain, dark level."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from latticewatch.simulator.jit import compiled

LEVELS_PER_ROOT = 64
"""Tabulated means are (j / 64)^2: near 40 electrons they are 0.2 apart."""

TOP_MEAN = 256.0
"""Largest tabulated mean; brighter pixels are sums of several draws."""

MAX_REST = 0.6
"""A little more than the largest step between tabulated means: a rest below it ends the sum."""

# An entry is a 23-bit threshold and a 9-bit alias. Tables are at most 512 long: 256 +- 6.7 sigma
# is 215 counts, and chances below 1e-12 are left out.
_ALIAS_BITS = 9
_THRESHOLD_BITS = 23
_LEAST_CHANCE = 1e-12

_BLOCK = 2048
"""Pixels drawn between two visits to the few that need an exponential: 24 kB of scratch."""


@dataclass(frozen=True, slots=True)
class PoissonTables:
    """Alias tables (Walker 1977) of the Poisson distribution at fixed means.

    Parameters
    ----------
    means : (L,)
        Means, ascending from 0.
    starts, shifts, lowest : (L,)
        Where each table starts in `entries`; 64 less the binary logarithm of its length; the count
        that its first entry stands for.
    entries
        Entry e stays e if a random 23-bit number is below its upper bits, else it becomes its
        lower 9 bits.
    """

    means: NDArray[np.float32]
    starts: NDArray[np.int32]
    shifts: NDArray[np.uint64]
    lowest: NDArray[np.int32]
    entries: NDArray[np.uint32]


@cache
def poisson_tables() -> PoissonTables:
    """Build the tables: 1025 means up to `TOP_MEAN`, 0.6 MB, once per process."""
    roots = np.arange(int(LEVELS_PER_ROOT * np.sqrt(TOP_MEAN)) + 1) / LEVELS_PER_ROOT
    starts, shifts, lowest, start = [], [], [], 0
    tables: list[NDArray[np.uint32]] = []
    for mean in roots**2:
        first, chances = _chances(float(mean))
        n_bits = max(int(np.ceil(np.log2(len(chances)))), 1)
        table = np.empty(1 << n_bits, np.uint32)
        _fill_alias(np.pad(chances, (0, len(table) - len(chances))), table)
        tables.append(table)
        starts.append(start)
        shifts.append(64 - n_bits)
        lowest.append(first)
        start += len(table)
    return PoissonTables(
        (roots**2).astype(np.float32),
        np.array(starts, np.int32),
        np.array(shifts, np.uint64),
        np.array(lowest, np.int32),
        np.concatenate(tables),
    )


def _chances(mean: float) -> tuple[int, NDArray[np.float64]]:
    """Give the first count worth listing, and the chances from there on."""
    if mean == 0.0:
        return 0, np.ones(1)
    counts = np.arange(int(mean + 12.0 * np.sqrt(mean) + 12.0))
    # log k! by summing logarithms: exact enough, and no need for a library of distributions.
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    chances = np.exp(counts * np.log(mean) - mean - log_factorial)
    listed = np.flatnonzero(chances >= _LEAST_CHANCE)
    kept = chances[listed[0] : listed[-1] + 1]
    return int(listed[0]), kept / kept.sum()


@compiled
def _fill_alias(chances: NDArray[np.float64], out: NDArray[np.uint32]) -> None:
    """Vose's construction: every entry keeps part of its own count and takes one other."""
    n = len(chances)
    scaled = chances * n
    full = np.float64(1 << _THRESHOLD_BITS)
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    n_small = n_large = 0
    for entry in range(n):
        # Its own alias: whatever the dice say, it stays.
        out[entry] = entry
        if scaled[entry] < 1.0:
            small[n_small] = entry
            n_small += 1
        else:
            large[n_large] = entry
            n_large += 1
    while n_small > 0 and n_large > 0:
        poor, rich = small[n_small - 1], large[n_large - 1]
        n_small -= 1
        threshold = int(min(scaled[poor] * full + 0.5, full - 1.0))
        out[poor] = (threshold << _ALIAS_BITS) | rich
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
        (tables.means, tables.starts, tables.shifts, tables.lowest, tables.entries),
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


_Tables = tuple[
    NDArray[np.float32],
    NDArray[np.int32],
    NDArray[np.uint64],
    NDArray[np.int32],
    NDArray[np.uint32],
]


@compiled
def _draw(
    expected: NDArray[np.float32],
    tables: _Tables,
    response: NDArray[np.uint16],
    state: np.uint64,
    out: NDArray[np.uint16],
) -> None:
    """Draw one Poisson number per pixel and write the response to it.

    A Poisson number of mean m is the sum of one at the tabulated mean just below m and one of
    the small rest, exactly. One 64-bit random number serves both: up to 9 bits choose the entry,
    23 decide on its alias, 24 are left for the rest, which is mostly 0.
    """
    counts, places = np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.int32)
    rests, dice = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    most = len(response) - 1
    for start in range(0, len(expected), _BLOCK):
        block = expected[start : start + _BLOCK]
        state, n_rests = _draw_block(block, tables, state, counts, (places, rests, dice))
        for k in range(n_rests):
            counts[places[k]] += _invert(np.float64(rests[k]), np.float64(dice[k]))
        written = out[start : start + _BLOCK]
        for k in range(len(block)):
            written[k] = response[np.uint32(min(counts[k], most))]


@compiled
def _draw_block(
    expected: NDArray[np.float32],
    tables: _Tables,
    state: np.uint64,
    counts: NDArray[np.int32],
    left_over: tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]],
) -> tuple[np.uint64, np.int64]:
    """Draw at the tabulated means; list the pixels whose rest is not certainly 0.

    Written for speed twice over (1024 x 1024: 6 ms, plainly written 18). Nothing branches on the
    dice, for a branch that cannot be foreseen costs as much as all the rest. And indices are
    unsigned: of signed ones numba asks each time whether they count from the end.
    """
    means, starts, shifts, lowest, entries = tables
    places, rests, dice = left_over
    top = np.float32(len(means) - 1)
    n_rests = np.int64(0)
    for pixel in range(len(expected)):
        rest = expected[pixel]
        count = np.int32(0)
        while True:
            # splitmix64 (Steele, Lea, Flood 2014): a counter and a mixer.
            state += np.uint64(0x9E3779B97F4A7C15)
            mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(31)
            level = np.uint32(min(np.sqrt(rest) * np.float32(LEVELS_PER_ROOT), top))
            own = mixed >> shifts[level]
            entry = np.uint64(entries[np.uint64(starts[level]) + own])
            toss = (mixed >> np.uint64(24)) & np.uint64((1 << _THRESHOLD_BITS) - 1)
            alias = entry & np.uint64((1 << _ALIAS_BITS) - 1)
            drawn = own if toss < (entry >> np.uint64(_ALIAS_BITS)) else alias
            count += lowest[level] + np.int32(drawn)
            rest -= means[level]
            if rest < np.float32(MAX_REST):
                break
        counts[pixel] = count
        # 24 bits fit into a float32, so this is below 1 for certain.
        die = np.float32(np.int32(mixed & np.uint64(0xFFFFFF))) * np.float32(1.0 / 16777216.0)
        slot = np.uint64(n_rests)
        places[slot], rests[slot], dice[slot] = pixel, rest, die
        # exp(-x) >= 1 - x: below that the rest is 0, and needs no exponential.
        n_rests += np.int64(die >= np.float32(1.0) - rest)
    return state, n_rests


@compiled
def _invert(mean: float, die: float) -> int:
    """Poisson number of a small mean, from a number in [0, 1)."""
    chance = np.exp(-mean)
    below, count = chance, 0
    while die >= below:
        count += 1
        chance *= mean / count
        below += chance
    return count
