"""The fit of a single column, and taking out of a residual what it explains."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.columns import cut
from latticewatch.kernels.jit import kernel

_LEAST_SHARE = 0.25  # of the expected intensity: less has no place of its own


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
    """Fill (3, n_y, n_x) with what stands at a site, its column in the model included.

    Then its weight; then the square of its weight times its variance.
    """
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
            near = share * lines[3, x]
            seen[1, y, x] = weight[x] * near
            seen[2, y, x] = weight[x] * near * near


@kernel
def _normal_equations(
    seen: NDArray[np.float64],
    weights: NDArray[np.float64],
    corner: tuple[int, int],
    column: tuple[float, float, float],
    sigma_px: float,
    sums: NDArray[np.float64],
) -> None:
    """Add up what the step from `column` (intensity, y, x) needs, of planes of `_target`."""
    n_y, n_x = seen.shape
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
            weight = weights[y, x]
            left_over = seen[y, x] - column[0] * bell
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
def _place_covariance(
    bread: NDArray[np.float64], filling: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Fill var_yy, cov_yx, var_xx: infinite where no pixel says anything about the place.

    Weights that fall off with the distance from the site are not the inverse of the variance. So
    the inverse of the normal equations is not the covariance, which would be too large by 1.6, but
    stands on both sides of the covariance of their right side (White, Econometrica 48, 817, 1980).
    """
    out[0], out[1], out[2] = np.inf, 0.0, np.inf
    a, b, c, d, e, f = bread[0], bread[1], bread[2], bread[3], bread[4], bread[5]
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * first + b * second + c * third
    # Of the rounding of three products nothing is known.
    if not determinant > 1e-12 * a * d * f or not determinant > 0.0:
        return
    # Rows of the inverse that belong to y and to x.
    y = second / determinant, (a * f - c * c) / determinant, (b * c - a * e) / determinant
    x = third / determinant, (b * c - a * e) / determinant, (a * d - b * b) / determinant
    p, q, r = filling[0], filling[1], filling[2]
    s, t, u = filling[3], filling[4], filling[5]
    by_y = (
        p * y[0] + q * y[1] + r * y[2],
        q * y[0] + s * y[1] + t * y[2],
        r * y[0] + t * y[1] + u * y[2],
    )
    by_x = (
        p * x[0] + q * x[1] + r * x[2],
        q * x[0] + s * x[1] + t * x[2],
        r * x[0] + t * x[1] + u * x[2],
    )
    out[0] = y[0] * by_y[0] + y[1] * by_y[1] + y[2] * by_y[2]
    out[1] = x[0] * by_y[0] + x[1] * by_y[1] + x[2] * by_y[2]
    out[2] = x[0] * by_x[0] + x[1] * by_x[1] + x[2] * by_x[2]


@kernel
def _search(
    seen: NDArray[np.float64],
    corner: tuple[int, int],
    site: tuple[float, float, float],
    sigma_px: float,
    farthest_px: float,
    out: NDArray[np.float64],
) -> None:
    """Fill intensity, y and x by Gauss-Newton, `seen` being of `_target`.

    It ends where the intensity falls below a quarter, and says so by it.
    """
    sums, step = np.empty(9), np.empty(3)
    intensity, y, x = site
    for _ in range(12):
        _normal_equations(seen[0], seen[1], corner, (intensity, y, x), sigma_px, sums)
        # Holds the place where the intensity all but vanishes.
        damping = 5e-5 * sums[0] * (site[0] / sigma_px) ** 2
        if not _solve(sums, damping, step):
            break
        intensity += step[0]
        if not intensity > _LEAST_SHARE * site[0]:
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
    out[0], out[1], out[2] = intensity, y, x


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
    seen = np.empty((3, max(bottom - top, 0), max(right - left, 0)))
    _target(residual, precision, site, (top, bottom, left, right), sigma_px, seen)
    _search(seen, corner, site, sigma_px, farthest_px, out)
    sums, least = np.empty(9), _LEAST_SHARE * site[0]
    if not out[0] > least:
        out[1], out[2] = site[1], site[2]
        _normal_equations(seen[0], seen[1], corner, (0.0, out[1], out[2]), sigma_px, sums)
        out[0] = max(sums[6] / max(sums[0], 1e-300), -0.5 * site[0])
    column = max(out[0], least), out[1], out[2]
    noise = np.empty(9)
    _normal_equations(seen[0], seen[1], corner, column, sigma_px, sums)
    _normal_equations(seen[0], seen[2], corner, column, sigma_px, noise)
    _place_covariance(sums, noise, out[3:])


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
