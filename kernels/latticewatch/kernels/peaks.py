"""Power spectra: levels of groups of bins, peaks with their centroids, nets that index peaks."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

N_PEAK = 3


@kernel
def _middle(values: NDArray[np.float32]) -> np.float32:
    """Return the lower median; the order of the values is lost (Hoare's selection)."""
    low, high, wanted = 0, len(values) - 1, (len(values) - 1) // 2
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while pivot < values[right]:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if wanted <= right:
            high = right
        elif wanted >= left:
            low = left
        else:
            break
    return np.float32(values[wanted])


@kernel
def group_medians(
    values: NDArray[np.float32],
    order: NDArray[np.int32],
    ends: NDArray[np.int64],
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Lower median of each group of values: of an even number, the smaller of the middle two.

    Parameters
    ----------
    values : (N,)
        Finite.
    order : (M,)
        Indices of values, group after group; a value may be in no group.
    ends : (G,)
        Where each group ends in `order`.
    scratch : (M,)
        Content does not matter.
    out : (G,)
        Receives the medians; zero for an empty group.
    """
    for place in range(len(order)):
        scratch[place] = values[order[place]]
    begin = 0
    for group in range(len(ends)):
        end = int(ends[group])
        out[group] = _middle(scratch[begin:end]) if end > begin else np.float32(0.0)
        begin = end


@kernel
def _power_at(power: NDArray[np.float32], y: int, x: int) -> np.float32:
    """Power at a bin; left of column 0 that of the opposite bin, outside the band zero."""
    if x < 0:
        y, x = power.shape[0] - 1 - y, -x
    if not (0 <= y < power.shape[0] and x < power.shape[1]):
        return np.float32(0.0)
    return np.float32(power[y, x])


@kernel
def _is_peak(power: NDArray[np.float32], y: int, x: int, reach: int) -> bool:
    """Tell whether no bin of a square is higher, and none of equal height comes before."""
    value = power[y, x]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            other = _power_at(power, y + dy, x + dx)
            before = dy < 0 or (dy == 0 and dx < 0)
            if other > value or (before and other == value):
                return False
    return True


@kernel
def band_peaks(
    power: NDArray[np.float32], floor: float, reach: int, out: NDArray[np.float64]
) -> int:
    """Find the peaks of the power spectrum of a real frame, with the centroid of each.

    Parameters
    ----------
    power : (2 K + 1, M + 1)
        Half of the plane: rows are gy = -K..K, columns gx = 0..M. The other half is its mirror
        image through the centre. Finite.
    floor
        What a peak is above.
    reach
        A peak is the highest of its square of 2 reach + 1 bins; of equal ones the first.
    out : (N, 3)
        Receives [gy, gx, power] in bins, row-major; the centroid is that of 5 x 5 bins. Of the
        pairs on the column gx = 0 only gy > 0 is listed.

    Returns
    -------
    int
        Rows of `out` in use. N may mean that some peaks were left out.
    """
    n_rows, n_columns = power.shape
    middle = n_rows // 2
    n_found = 0
    for y in range(n_rows):
        for x in range(n_columns):
            # Written so that most bins are left after one look.
            if not power[y, x] > floor:
                continue
            if (x == 0 and y <= middle) or not _is_peak(power, y, x, reach):
                continue
            if n_found == len(out):
                return n_found
            total, moment_y, moment_x = 0.0, 0.0, 0.0
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    value = np.float64(_power_at(power, y + dy, x + dx))
                    total += value
                    moment_y += value * dy
                    moment_x += value * dx
            out[n_found, 0] = y - middle + moment_y / total
            out[n_found, 1] = x + moment_x / total
            out[n_found, 2] = power[y, x]
            n_found += 1
    return n_found


@kernel
def indexed_weight(
    bases: NDArray[np.float64],
    peaks: NDArray[np.float64],
    weight: NDArray[np.float64],
    tolerance: float,
    highest_index: int,
    out: NDArray[np.float64],
) -> None:
    """Add up the weights of the peaks that lie on each of many nets.

    Parameters
    ----------
    bases : (B, 2, 2)
        Rows are the vectors of a net. Not singular.
    peaks : (N, 2)
        In the same unit.
    weight : (N,)
        Of the peaks.
    tolerance
        How far from a node of the net a peak may lie, same unit.
    highest_index
        Nodes of higher index do not count.
    out : (B,)
        Receives the sums.
    """
    for net in range(len(bases)):
        ay, ax, by, bx = bases[net, 0, 0], bases[net, 0, 1], bases[net, 1, 0], bases[net, 1, 1]
        area = ay * bx - ax * by
        total = 0.0
        for peak in range(len(peaks)):
            y, x = peaks[peak, 0], peaks[peak, 1]
            h = np.floor((y * bx - x * by) / area + 0.5)
            k = np.floor((x * ay - y * ax) / area + 0.5)
            miss_y, miss_x = y - h * ay - k * by, x - h * ax - k * bx
            near = miss_y * miss_y + miss_x * miss_x < tolerance * tolerance
            if near and abs(h) <= highest_index and abs(k) <= highest_index:
                total += weight[peak]
        out[net] = total
