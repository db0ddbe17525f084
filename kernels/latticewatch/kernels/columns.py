"""Atomic columns as Gaussians: matched filters at known places, and the fit of a single column."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

N_MATCHES = 6


@kernel
def _bells(first: float, sigma_px: float, out: NDArray[np.float32]) -> None:
    """Fill a Gaussian, it times the distance in widths, and the squares of both."""
    # Gaussian at k + 1 from that at k by two multiplications: e^x for each took half the time.
    distance = first / sigma_px
    step = 1.0 / sigma_px
    bell = np.exp(-0.5 * distance * distance)
    ratio = np.exp(-distance * step - 0.5 * step * step)
    shrink = np.exp(-step * step)
    for k in range(out.shape[1]):
        slant = bell * distance
        out[0, k], out[1, k] = bell, slant
        out[2, k], out[3, k] = bell * bell, slant * slant
        bell *= ratio
        ratio *= shrink
        distance += step


@kernel
def _cut(centre: float, half: int, size: int, length: int) -> tuple[int, int]:
    """First pixel and end of the window round a place, inside the frame."""
    # Written so that NaN fails; what lies far outside would not fit into a whole number.
    if not -size <= centre <= length + size:
        return 0, 0
    first = int(np.floor(centre + 0.5)) - half
    return min(max(first, 0), length), max(min(first + size, length), 0)


@kernel
def _product(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    total = np.float32(0.0)
    for k in range(len(one)):
        total += one[k] * two[k]
    return np.float64(total)


@kernel
def _add_rows(
    image: NDArray[np.float32],
    window: tuple[int, int, int, int],
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    sums: NDArray[np.float32],
    more: NDArray[np.float32],
) -> None:
    """Add up the rows of a window, weighted in two ways at once."""
    sums[:] = np.float32(0.0)
    more[:] = np.float32(0.0)
    top, bottom, left, right = window
    for r in range(bottom - top):
        # Cut out of the frame row by row: of a window that is cut out whole numba does not know
        # that neighbours in a row are neighbours in memory, and goes one by one (5 times slower).
        row = image[top + r, left:right]
        first, second = one[r], two[r]
        for x in range(len(row)):
            sums[x] += first * row[x]
            more[x] += second * row[x]


@kernel
def match_size(sigma_px: float) -> int:
    """Side of the window of `match_column`, pixels."""
    # Whole groups of eight, so that no pixel of a row is left over and goes by itself.
    return 8 * ((2 * (int(3.0 * sigma_px) + 1) + 8) // 8)


@kernel
def _lines(
    shape: tuple[int, int],
    place: tuple[float, float],
    sigma_px: float,
    scratch: NDArray[np.float32],
) -> tuple[int, int, int, int]:
    """Fill the Gaussians of a place along y, then x; return top, bottom, left, right of it."""
    half = int(3.0 * sigma_px) + 1
    size = scratch.shape[1]
    top, bottom = _cut(place[0], half, size, shape[0])
    left, right = _cut(place[1], half, size, shape[1])
    bottom, right = max(bottom, top), max(right, left)
    _bells(top - place[0], sigma_px, scratch[:4, : bottom - top])
    _bells(left - place[1], sigma_px, scratch[4:8, : right - left])
    return top, bottom, left, right


@kernel
def _correlate(
    weighted: NDArray[np.float32],
    window: tuple[int, int, int, int],
    scratch: NDArray[np.float32],
    found: NDArray[np.float64],
) -> None:
    """Correlate with a Gaussian and its two derivatives, lines from `_lines`."""
    # Down the columns, whole rows at a time; along x the sums wait for the end.
    n_x = window[3] - window[2]
    sums, more = scratch[8, :n_x], scratch[9, :n_x]
    _add_rows(weighted, window, scratch[0], scratch[1], sums, more)
    found[0] = _product(scratch[4, :n_x], sums)
    found[1] = _product(scratch[4, :n_x], more)
    found[2] = _product(scratch[5, :n_x], sums)


@kernel
def match_column(
    weighted: NDArray[np.float32],
    precision: NDArray[np.float32],
    place: tuple[float, float],
    sigma_px: float,
    scratch: NDArray[np.float32],
    found: NDArray[np.float64],
) -> None:
    """Correlate at one place; parameters as in `match_columns`.

    Parameters
    ----------
    scratch : (10, S)
        S from `match_size`.
    found : (6,)
        Receives three correlations and three squared norms.
    """
    window = _lines(weighted.shape, place, sigma_px, scratch)
    _correlate(weighted, window, scratch, found)
    n_x = window[3] - window[2]
    sums, more = scratch[8, :n_x], scratch[9, :n_x]
    _add_rows(precision, window, scratch[2], scratch[3], sums, more)
    found[3] = _product(scratch[6, :n_x], sums)
    found[4] = _product(scratch[6, :n_x], more)
    found[5] = _product(scratch[7, :n_x], sums)


@kernel
def match_columns(
    weighted: NDArray[np.float32],
    precision: NDArray[np.float32],
    places: NDArray[np.float64],
    sigma_px: float,
    out: NDArray[np.float64],
) -> None:
    """Correlate the weighted residual with a column at each place, and with its two derivatives.

    The statistics are out[:, k] / sqrt(out[:, 3 + k]) for k = 0 (more or less intensity), 1 and 2
    (displacement along y and x): matched filters for noise of known, unequal variance.

    Parameters
    ----------
    weighted, precision : (H, W)
        residual / variance and 1 / variance, from `unshift_rows`.
    places : (N, 2)
        [y, x], pixels. Windows are cut off at the edge of the frame.
    sigma_px
        Width of a column.
    out : (N, 6)
        Receives three correlations and three squared norms.
    """
    scratch = np.empty((10, match_size(sigma_px)), np.float32)
    for k in range(len(places)):
        place = places[k, 0], places[k, 1]
        match_column(weighted, precision, place, sigma_px, scratch, out[k])


@kernel
def correlate_columns(
    weighted: NDArray[np.float32],
    places: NDArray[np.float64],
    sigma_px: float,
    out: NDArray[np.float64],
) -> None:
    """Correlate as `match_columns` does, and leave the norms as they are: half the time.

    Parameters
    ----------
    weighted : (H, W)
        residual / variance.
    places, sigma_px
        As in `match_columns`.
    out : (N, 6)
        Receives three correlations in front.
    """
    scratch = np.empty((10, match_size(sigma_px)), np.float32)
    for k in range(len(places)):
        window = _lines(weighted.shape, (places[k, 0], places[k, 1]), sigma_px, scratch)
        _correlate(weighted, window, scratch, out[k])


@kernel
def _bell_line(centre: float, first: int, inverse: float, out: NDArray[np.float64]) -> None:
    """Gaussian along one axis: exp(-inverse (k - centre)^2) from pixel `first` on."""
    for k in range(len(out)):
        away = first + k - centre
        out[k] = np.exp(-inverse * away * away)


@kernel
def _target(
    residual: NDArray[np.float32],
    precision: NDArray[np.float32],
    site: tuple[float, float, float],
    window: tuple[int, int, int, int],
    sigma_px: float,
    seen: NDArray[np.float64],
) -> None:
    """Fill (2, n_y, n_x): what stands at a site, its column in the model included; its weight."""
    top, bottom, left, right = window
    n_y, n_x = bottom - top, right - left
    lines = np.empty((4, max(n_y, n_x)))
    narrow = 0.5 / (sigma_px * sigma_px)
    # Beyond 1.2 widths of the site neighbours say more about themselves.
    wide = narrow / 1.44
    _bell_line(site[1], top, narrow, lines[0, :n_y])
    _bell_line(site[2], left, narrow, lines[1, :n_x])
    _bell_line(site[1], top, wide, lines[2, :n_y])
    _bell_line(site[2], left, wide, lines[3, :n_x])
    for y in range(n_y):
        rest, weight = residual[top + y, left:right], precision[top + y, left:right]
        height, share = site[0] * lines[0, y], lines[2, y]
        for x in range(n_x):
            seen[0, y, x] = rest[x] + height * lines[1, x]
            seen[1, y, x] = weight[x] * share * lines[3, x]


@kernel
def _normal_equations(
    seen: NDArray[np.float64],
    corner: tuple[int, int],
    column: tuple[float, float, float],
    sigma_px: float,
    sums: NDArray[np.float64],
) -> None:
    """Add up what the step from `column` (intensity, y, x) needs; `seen` is from `_target`."""
    _, n_y, n_x = seen.shape
    lines = np.empty((2, max(n_y, n_x)))
    narrow = 1.0 / (sigma_px * sigma_px)
    _bell_line(column[1], corner[0], 0.5 * narrow, lines[0, :n_y])
    _bell_line(column[2], corner[1], 0.5 * narrow, lines[1, :n_x])
    sums[:] = 0.0
    for y in range(n_y):
        dy = corner[0] + y - column[1]
        for x in range(n_x):
            dx = corner[1] + x - column[2]
            bell = lines[0, y] * lines[1, x]
            weight = seen[1, y, x]
            left_over = seen[0, y, x] - column[0] * bell
            slope_y, slope_x = column[0] * bell * dy * narrow, column[0] * bell * dx * narrow
            sums[0] += weight * bell * bell
            sums[1] += weight * bell * slope_y
            sums[2] += weight * bell * slope_x
            sums[3] += weight * slope_y * slope_y
            sums[4] += weight * slope_y * slope_x
            sums[5] += weight * slope_x * slope_x
            sums[6] += weight * bell * left_over
            sums[7] += weight * slope_y * left_over
            sums[8] += weight * slope_x * left_over


@kernel
def _solve(sums: NDArray[np.float64], damping: float, step: NDArray[np.float64]) -> bool:
    """Solve the three normal equations by Cramer's rule; tell whether they could be."""
    a, b, c = sums[0], sums[1], sums[2]
    d, e, f = sums[3] + damping, sums[4], sums[5] + damping
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * first + b * second + c * third
    if not abs(determinant) > 1e-300:
        return False
    p, q, r = sums[6], sums[7], sums[8]
    step[0] = (first * p + second * q + third * r) / determinant
    step[1] = (second * p + (a * f - c * c) * q + (b * c - a * e) * r) / determinant
    step[2] = (third * p + (b * c - a * e) * q + (a * d - b * b) * r) / determinant
    return True


@kernel
def fit_column(
    residual: NDArray[np.float32],
    precision: NDArray[np.float32],
    site: tuple[float, float, float],
    sigma_px: float,
    farthest_px: float,
    out: NDArray[np.float64],
) -> None:
    """Fit the column that stands where the model has one: its intensity and its place.

    Gauss-Newton with the weights of the noise. A column that keeps less than a quarter of its
    intensity has no place of its own: it is fitted at its site.

    Parameters
    ----------
    residual : (H, W)
        Frame less model.
    precision : (H, W)
        1 / variance.
    site
        Expected intensity (height of the Gaussian above the ground) and place y, x of the column
        that the model holds, pixels.
    sigma_px
        Width of a column.
    farthest_px
        How far from its site a column may be found.
    out : (6,)
        Receives intensity, y, x, and the covariance var_yy, cov_yx, var_xx of the place: infinite
        where no pixel says anything about it.
    """
    height, width = residual.shape
    half = int(3.0 * sigma_px) + 1
    top, bottom = _cut(site[1], half, 2 * half + 1, height)
    left, right = _cut(site[2], half, 2 * half + 1, width)
    corner = top, left
    seen = np.empty((2, max(bottom - top, 0), max(right - left, 0)))
    _target(residual, precision, site, (top, bottom, left, right), sigma_px, seen)
    sums, step = np.empty(9), np.empty(3)
    intensity, y, x = site
    least = 0.25 * site[0]
    for _ in range(12):
        _normal_equations(seen, corner, (intensity, y, x), sigma_px, sums)
        # Holds the place where the intensity all but vanishes.
        damping = 5e-5 * sums[0] * (site[0] / sigma_px) ** 2
        if not _solve(sums, damping, step):
            break
        intensity += step[0]
        if not intensity > least:
            break
        length = np.hypot(step[1], step[2])
        share = min(1.0, 0.4 * sigma_px / max(length, 1e-9))
        y, x = y + share * step[1], x + share * step[2]
        away = np.hypot(y - site[1], x - site[2])
        if away > farthest_px:
            y = site[1] + (y - site[1]) * farthest_px / away
            x = site[2] + (x - site[2]) * farthest_px / away
        if length < 1e-3:
            break
    if not intensity > least:
        y, x = site[1], site[2]
        _normal_equations(seen, corner, (0.0, y, x), sigma_px, sums)
        intensity = max(sums[6] / max(sums[0], 1e-300), -0.5 * site[0])
    _normal_equations(seen, corner, (max(intensity, least), y, x), sigma_px, sums)
    determinant = sums[3] * sums[5] - sums[4] * sums[4]
    out[0], out[1], out[2] = intensity, y, x
    out[3], out[4], out[5] = np.inf, 0.0, np.inf
    if determinant > 1e-300:
        out[3], out[5] = sums[5] / determinant, sums[3] / determinant
        out[4] = -sums[4] / determinant


@kernel
def move_column(
    before: tuple[float, float, float],
    after: tuple[float, float, float],
    sigma_px: float,
    precision: NDArray[np.float32],
    residual: NDArray[np.float32],
    weighted: NDArray[np.float32],
) -> None:
    """Explain a residual by a column that is other than expected.

    Parameters
    ----------
    before, after
        Intensity and place y, x of the column, expected and found.
    sigma_px
        Width of a column.
    precision : (H, W)
        1 / variance.
    residual, weighted : (H, W)
        Changed in place: what `after` less `before` explains is taken out.
    """
    height, width = residual.shape
    half = int(3.5 * sigma_px) + 1
    top, bottom = _cut((before[1] + after[1]) / 2, half, 2 * half + 1, height)
    left, right = _cut((before[2] + after[2]) / 2, half, 2 * half + 1, width)
    narrow = 0.5 / (sigma_px * sigma_px)
    n_y, n_x = max(bottom - top, 0), max(right - left, 0)
    lines = np.empty((4, max(n_y, n_x)))
    _bell_line(before[1], top, narrow, lines[0, :n_y])
    _bell_line(before[2], left, narrow, lines[1, :n_x])
    _bell_line(after[1], top, narrow, lines[2, :n_y])
    _bell_line(after[2], left, narrow, lines[3, :n_x])
    for y in range(n_y):
        rest, weight = residual[top + y, left:right], precision[top + y, left:right]
        product = weighted[top + y, left:right]
        expected, found = before[0] * lines[0, y], after[0] * lines[2, y]
        for x in range(n_x):
            change = np.float32(found * lines[3, x] - expected * lines[1, x])
            rest[x] -= change
            product[x] -= change * weight[x]
