"""Scores of feature vectors: principal components, one-class SVM decision, robust distance."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _add_up(weights: NDArray[np.float32], block: NDArray[np.float32]) -> None:
    """Write to the last row of a block the weighted sum of the others."""
    total, width = len(weights), block.shape[1]
    for site in range(width):
        block[total, site] = np.float32(0.0)
    f = 0
    while f + 3 < total:
        w0, w1, w2, w3 = weights[f], weights[f + 1], weights[f + 2], weights[f + 3]
        for site in range(width):
            near = w0 * block[f, site] + w1 * block[f + 1, site]
            far = w2 * block[f + 2, site] + w3 * block[f + 3, site]
            block[total, site] += near + far
        f += 4
    while f < total:
        w0 = weights[f]
        for site in range(width):
            block[total, site] += w0 * block[f, site]
        f += 1


@kernel
def project(
    features: NDArray[np.float32],
    mean: NDArray[np.float32],
    components: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Project features on principal components: z = W (v - mu).

    Parameters
    ----------
    features : (N, F)
        A NaN makes its row of `out` NaN.
    mean : (F,)
        mu of the reference.
    components : (k, F)
        W, a component per row.
    out : (N, k)
        Receives z.

    Notes
    -----
    Takes a block of 256 bytes a feature, once per call and whatever N is.
    """
    lanes = 64
    n_sites, n_features = features.shape
    block = np.zeros((n_features + 1, lanes), np.float32)
    for first in range(0, n_sites, lanes):
        n = min(lanes, n_sites - first)
        for site in range(n):
            for f in range(n_features):
                block[f, site] = features[first + site, f] - mean[f]
        # Across sites, eight at a time; along the features each addition waits for the one before
        # it (2200 sites, 84 x 9: 0.88 ms, now 0.12, a third of it for four features a pass).
        for component in range(len(components)):
            _add_up(components[component], block)
            for site in range(n):
                out[first + site, component] = block[n_features, site]


# log 2 in two parts. The first has 16 bits, so that its product with a whole number below 128 is
# exact in float32; the second is the rest.
_LOG2_HIGH = 45426 / 65536
_LOG2_LOW = 0.6931471805599453 - _LOG2_HIGH


@kernel
def _exponential(exponent: np.float32) -> np.float32:
    """Return e^x for x <= 0, as arithmetic without a call.

    x = n log 2 + r with |r| <= log(2) / 2; e^r by its series, 2^n put together bit by bit. The
    library's function takes one number at a time; this is compiled to eight.

    The series ends at r^7 / 7!: what is left out is below 0.35^8 / 8! = 6e-9 of 1, a tenth of what
    float32 rounds. Over every float32 from -87 to -5e-10 the worst error is 1.03 units in the last
    place; with r^6 / 6! as the last term it was 2.83.
    """
    # Below e^-87 float32 ends. NaN passes, since it is not below.
    power = np.float32(-87.0) if exponent < np.float32(-87.0) else exponent
    n = np.floor(power * np.float32(1.0 / 0.6931471805599453) + np.float32(0.5))
    r = (power - n * np.float32(_LOG2_HIGH)) - n * np.float32(_LOG2_LOW)
    series = np.float32(1.0 / 5040.0)
    series = series * r + np.float32(1.0 / 720.0)
    series = series * r + np.float32(1.0 / 120.0)
    series = series * r + np.float32(1.0 / 24.0)
    series = series * r + np.float32(1.0 / 6.0)
    series = series * r + np.float32(1.0 / 2.0)
    series = series * r * r + r + np.float32(1.0)
    bits = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return np.float32(series * bits.view(np.float32))


@kernel
def _measure(place: NDArray[np.float32], block: NDArray[np.float32]) -> None:
    """Write to the last row of a block the squared distance of each site from a place."""
    n, width = len(place), block.shape[1]
    for site in range(width):
        block[n + 1, site] = np.float32(0.0)
    k = 0
    # Four components a pass: one load and one store of the sum for four of them.
    while k + 3 < n:
        p0, p1, p2, p3 = place[k], place[k + 1], place[k + 2], place[k + 3]
        for site in range(width):
            g0, g1 = block[k, site] - p0, block[k + 1, site] - p1
            g2, g3 = block[k + 2, site] - p2, block[k + 3, site] - p3
            block[n + 1, site] += (g0 * g0 + g1 * g1) + (g2 * g2 + g3 * g3)
        k += 4
    while k < n:
        p0 = place[k]
        for site in range(width):
            gap = block[k, site] - p0
            block[n + 1, site] += gap * gap
        k += 1


@kernel
def decision(
    z: NDArray[np.float32],
    support: NDArray[np.float32],
    dual: NDArray[np.float32],
    gamma: float,
    offset: float,
    out: NDArray[np.float32],
) -> None:
    """Evaluate a one-class support vector machine: sum_i dual_i exp(-gamma |z - s_i|^2) - offset.

    Parameters
    ----------
    z : (N, k)
        A NaN gives NaN. However far away, infinity included, gives `-offset`.
    support : (M, k)
        Support vectors, finite.
    dual : (M,)
        Their weights.
    gamma
        Of the radial kernel, above 0, in 1 / (unit of z)^2.
    offset
        rho: the result is negative for what does not look like the reference.
    out : (N,)
        Receives the decision; lower is stranger.

    Notes
    -----
    Takes a block of 256 bytes a component, once per call and whatever N is.
    """
    lanes = 64
    n_sites, n_components = z.shape
    # What lies beyond the last site is worked on too, and thrown away: a number of turns that is
    # known lets the compiler do without a remainder.
    block = np.zeros((n_components + 2, lanes), np.float32)
    rate = np.float32(-gamma)
    for first in range(0, n_sites, lanes):
        n = min(lanes, n_sites - first)
        for site in range(n):
            block[n_components, site] = 0.0
            for component in range(n_components):
                block[component, site] = z[first + site, component]
        # Across sites, not across support vectors: nothing is added up along a vector, so that
        # the sum of a site has one order whatever its neighbours are.
        for vector in range(len(support)):
            _measure(support[vector], block)
            weight = dual[vector]
            for site in range(lanes):
                value = _exponential(rate * block[n_components + 1, site])
                block[n_components, site] += weight * value
        for site in range(n):
            out[first + site] = block[n_components, site] - np.float32(offset)


@kernel
def robust_distance(
    z: NDArray[np.float32],
    median: NDArray[np.float32],
    mad: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Add up the squared deviations from the reference: sum_j ((z_j - med_j) / (1.4826 MAD_j))^2.

    Parameters
    ----------
    z : (N, k)
        A NaN gives NaN.
    median, mad : (k,)
        Of the reference. A component with MAD 0 did not vary there and is left out.
    out : (N,)
        Receives the distance, squared: about k for a normal site.
    """
    for site in range(len(z)):
        total = np.float32(0.0)
        for component in range(z.shape[1]):
            # 1.4826 times the MAD of a normal distribution is its standard deviation.
            width = np.float32(1.4826) * mad[component]
            if width > 0:
                deviation = (z[site, component] - median[component]) / width
                total += deviation * deviation
        out[site] = total


@kernel
def residual_norm(
    features: NDArray[np.float32],
    mean: NDArray[np.float32],
    z: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Length of what the principal components leave of each feature vector: |v - mu - W^T z|.

    By Pythagoras, since the components are orthonormal: the root of |v - mu|^2 - |z|^2.

    Parameters
    ----------
    features : (N, F)
        A NaN gives NaN.
    mean : (F,)
        mu of the reference.
    z : (N, k)
        From `project`, with orthonormal components.
    out : (N,)
        Receives the length; 0 where rounding would make its square negative.
    """
    n_features = features.shape[1]
    quarter = n_features // 4
    for site in range(len(features)):
        row = features[site]
        # Four sums: a single one would wait for itself at each addition (0.19 ms, now 0.07).
        sums = (0.0, 0.0, 0.0, 0.0)
        for f in range(quarter):
            g0 = np.float64(row[4 * f] - mean[4 * f])
            g1 = np.float64(row[4 * f + 1] - mean[4 * f + 1])
            g2 = np.float64(row[4 * f + 2] - mean[4 * f + 2])
            g3 = np.float64(row[4 * f + 3] - mean[4 * f + 3])
            s0, s1, s2, s3 = sums
            sums = (s0 + g0 * g0, s1 + g1 * g1, s2 + g2 * g2, s3 + g3 * g3)
        total = (sums[0] + sums[1]) + (sums[2] + sums[3])
        for f in range(4 * quarter, n_features):
            gap = np.float64(row[f] - mean[f])
            total += gap * gap
        for component in range(z.shape[1]):
            total -= np.float64(z[site, component]) ** 2
        # NaN stays: it is not below.
        out[site] = np.sqrt(0.0 if total < 0.0 else total)
