"""The fit of a single column, and taking out of a residual what it explains."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.columns import cut
from latticewatch.kernels.jit import kernel


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
    top, bottom = cut(site[1], half, 2 * half + 1, height)
    left, right = cut(site[2], half, 2 * half + 1, width)
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
    top, bottom = cut((before[1] + after[1]) / 2, half, 2 * half + 1, height)
    left, right = cut((before[2] + after[2]) / 2, half, 2 * half + 1, width)
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
