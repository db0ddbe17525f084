"""Each kernel of scheme one keeps its budget: one thread, 1024x1024, 2200 windows of 33x33.

The budgets are five times what kernels/README.md reports, for machines that are slow or busy.
Run with `pytest -m benchmark -s` to see the figures.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.kernels.addresses import (
    addresses_in_field,
    link_addresses,
    make_board,
    mean_of_cells,
)
from latticewatch.kernels.drawing import draw_columns
from latticewatch.kernels.extrema import strict_extrema
from latticewatch.kernels.levels import normalise, robust_range
from latticewatch.kernels.machine import decision, project, residual_norm, robust_distance
from latticewatch.kernels.neighbours import (
    fill_buckets,
    group_points,
    link_places,
    make_buckets,
)
from latticewatch.kernels.patches import (
    add_windows,
    gather_patches,
    gather_thinned,
    thinned_size,
)
from latticewatch.kernels.pixels import clear_nonfinite, count_pixels, native_float32
from latticewatch.kernels.power import (
    Analysis,
    n_features,
    power_scratch,
    truncated_waves,
    window_power,
)
from latticewatch.kernels.refine import (
    column_intensity,
    refine_near,
    refine_quadratic,
    site_contrast,
)
from latticewatch.kernels.residual import make_residuals, window_residuals
from latticewatch.kernels.smooth import (
    gaussian,
    gaussian_levels,
    gaussian_rows,
    gaussian_scratch,
    gaussian_weights,
    sampled_rows,
)
from support.budgets import check

pytestmark = pytest.mark.benchmark

SIDE_PX = 1024
N_SITES = 2200
SIZE_PX = 33
CUTOFF = 6
N_COMPONENTS = 9
N_VECTORS = 110
PERIOD_PX = 22.6
N_STRANGE = 200
N_TORN = 24_000  # sites that neighbours miss in 4096 x 4096 px of a crystal barely linked


@dataclass(frozen=True, slots=True)
class Bench:
    """A frame with all that the kernels make of it."""

    raw: NDArray[np.uint16]
    image: NDArray[np.float32]
    blurred: NDArray[np.float32]
    out: NDArray[np.float32]
    whole: NDArray[np.int32]
    places: NDArray[np.float64]
    patches: NDArray[np.float32]
    features: NDArray[np.float32]
    z: NDArray[np.float32]


def honeycomb(rng: np.random.Generator) -> NDArray[np.uint16]:
    """Three waves at 60 degrees with a period of 22.6 px, as counts."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    angles = 0.2 + np.pi / 3 * np.arange(3)
    waves = [np.cos(2 * np.pi / PERIOD_PX * (np.cos(a) * y + np.sin(a) * x)) for a in angles]
    counts: NDArray[np.uint16] = rng.poisson(22 + 8 * np.sum(waves, axis=0)).astype(np.uint16)
    return counts


@pytest.fixture(scope="module")
def bench() -> Bench:
    rng = np.random.default_rng(1)
    raw = honeycomb(rng)
    image, blurred = raw.astype(np.float32), np.empty(raw.shape, np.float32)
    weights = gaussian_weights(3.0)
    gaussian(image, weights, gaussian_scratch(SIDE_PX, weights), blurred)
    low, high = robust_range(blurred, 0.02, 0.98, np.zeros(4096, np.int64))
    normalise(blurred, low, high, blurred)
    places = rng.uniform(SIZE_PX, SIDE_PX - SIZE_PX, (N_SITES, 2))
    patches = np.empty((N_SITES, SIZE_PX, SIZE_PX), np.float32)
    gather_patches(blurred, places, SIZE_PX, patches, np.empty(N_SITES, np.bool_))
    return Bench(
        raw=raw,
        image=image,
        blurred=blurred,
        out=np.empty_like(image),
        whole=places.astype(np.int32),
        places=places,
        patches=patches,
        features=rng.normal(size=(N_SITES, n_features(CUTOFF))).astype(np.float32),
        z=rng.normal(size=(N_SITES, N_COMPONENTS)).astype(np.float32),
    )


def test_pixels(bench: Bench) -> None:
    counts = np.zeros(4, np.int64)
    swapped = bench.raw.astype(">u2")
    check("native_float32 <u2", 0.5, lambda: native_float32(bench.raw, bench.out))
    check("native_float32 >u2", 1.1, lambda: native_float32(swapped, bench.out))
    check("count_pixels", 2.3, lambda: count_pixels(bench.image, 65535.0, counts))
    check("clear_nonfinite", 0.7, lambda: clear_nonfinite(bench.image, 0.0))


def test_gaussian(bench: Bench) -> None:
    weights = gaussian_weights(3.0)
    scratch = gaussian_scratch(SIDE_PX, weights)
    check("gaussian", 10.0, lambda: gaussian(bench.image, weights, scratch, bench.out))
    some = sampled_rows((SIDE_PX, SIDE_PX), 4)
    check(
        "gaussian_rows, every 4th", 2.6, lambda: gaussian_rows(bench.image, weights, scratch, some)
    )
    levels = (15.0, 30.0)
    check(
        "gaussian_levels, 3 of 4 rows",
        8.5,
        lambda: gaussian_levels(bench.image, weights, levels, some, scratch, bench.out),
    )


def test_levels(bench: Bench) -> None:
    histogram = np.zeros(4096, np.int64)
    check("robust_range", 6.5, lambda: robust_range(bench.blurred, 0.02, 0.98, histogram))
    check("normalise", 0.7, lambda: normalise(bench.blurred, 0.0, 1.0, bench.out))


def test_extrema(bench: Bench) -> None:
    out = np.empty((10000, 2), np.int32)
    check("bright extrema", 6.0, lambda: strict_extrema(bench.blurred, 0.3, 6, 1, 6, out))
    check("dark extrema", 9.0, lambda: strict_extrema(bench.blurred, -0.7, 6, -1, 6, out))


def test_refine(bench: Bench) -> None:
    refined, means = np.empty((N_SITES, 2)), np.empty(N_SITES, np.float32)
    check("refine_quadratic", 0.2, lambda: refine_quadratic(bench.blurred, bench.whole, refined))
    check(
        "column_intensity",
        1.2,
        lambda: column_intensity(bench.blurred, bench.places, 4.0, means),
    )


def test_patches(bench: Bench) -> None:
    out, inside = np.empty_like(bench.patches), np.empty(N_SITES, np.bool_)
    check(
        "gather_patches",
        7.0,
        lambda: gather_patches(bench.blurred, bench.places, SIZE_PX, out, inside),
    )


def test_thinned_patches_and_sums_of_them(bench: Bench) -> None:
    side = thinned_size(SIZE_PX, 2)
    out = np.empty((N_SITES, side, side), np.float32)
    inside = np.empty(N_SITES, np.bool_)
    check(
        "gather_thinned, every 2nd",
        3.5,
        lambda: gather_thinned(bench.blurred, bench.places, SIZE_PX, 2, out, inside),
    )
    shown = np.empty((SIZE_PX, SIZE_PX), np.float32)
    check("add_windows, 64", 0.2, lambda: add_windows(bench.blurred, bench.places[:64], shown))


def test_predicted_sites(bench: Bench) -> None:
    out, found = np.empty((N_SITES, 2)), np.empty(N_SITES, np.bool_)
    around = PERIOD_PX / 2 * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
    around, contrast = np.concatenate([around, -around]), np.empty(N_SITES, np.float32)
    check(
        "refine_near, 3 px",
        1.5,
        lambda: refine_near(bench.blurred, bench.places, 3, 1, out, found),
    )
    check(
        "site_contrast, 8 steps",
        1.0,
        lambda: site_contrast(bench.blurred, bench.places, around, contrast),
    )


def test_addresses() -> None:
    steps = PERIOD_PX * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    address = np.empty((4 * N_SITES, 2), np.int64)
    box, field = (-30, 60, -10, 60), (float(SIDE_PX), float(SIDE_PX), PERIOD_PX)

    def listed() -> int:
        return addresses_in_field(box, np.zeros(2), steps, field, address)

    n = listed()
    check(f"addresses_in_field, {n}", 0.1, listed)
    board = make_board(address[:n])
    check("make_board", 0.2, lambda: make_board(address[:n]))
    links, empty = np.empty((n, 4), np.int32), np.zeros(n, np.bool_)
    ways = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    check("link_addresses", 0.2, lambda: link_addresses(board, ways, empty, (-1, -2), links))
    values, means = np.ones(n, np.float32), np.empty(n, np.float32)
    check("mean_of_cells", 0.2, lambda: mean_of_cells(board, values, means))


def test_drawing(bench: Bench) -> None:
    places = np.concatenate([bench.places, bench.places + 7.0])
    check(
        f"draw_columns, {len(places)}",
        20.0,
        lambda: draw_columns(places, 3.6, 18, bench.out),
    )


def test_power(bench: Bench) -> None:
    out, inside = np.empty_like(bench.features), np.empty(N_SITES, np.bool_)
    for step, budget_ms in ((1, 17.0), (2, 7.0)):
        side = thinned_size(SIZE_PX, step)
        analysis = Analysis(truncated_waves(side, CUTOFF), 1.0, power_scratch(side, CUTOFF))
        cut = (SIZE_PX, step)
        check(
            f"window_power, every {step} pixels",
            budget_ms,
            lambda: window_power(bench.blurred, bench.places, cut, analysis, out, inside),  # noqa: B023
        )


def test_projection(bench: Bench) -> None:
    rng = np.random.default_rng(2)
    components = rng.normal(size=(N_COMPONENTS, n_features(CUTOFF))).astype(np.float32)
    mean = bench.features.mean(axis=0)
    z = np.empty_like(bench.z)
    check("project", 0.8, lambda: project(bench.features, mean, components, z))


def test_scores(bench: Bench) -> None:
    support = bench.z[:N_VECTORS].copy()
    dual, ones = np.ones(N_VECTORS, np.float32), np.ones(N_COMPONENTS, np.float32)
    out = np.empty(N_SITES, np.float32)
    check("decision", 2.0, lambda: decision(bench.z, support, dual, 0.1, 0.5, out))
    components = np.eye(N_COMPONENTS, n_features(CUTOFF), dtype=np.float32)
    mean = np.zeros(n_features(CUTOFF), np.float32)
    z = bench.features @ components.T
    check("residual_norm", 0.7, lambda: residual_norm(bench.features, mean, z, out))
    check("robust_distance", 0.2, lambda: robust_distance(bench.z, ones, ones, out))


def test_neighbours() -> None:
    steps = PERIOD_PX * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    numbers = np.indices((180, 180)).reshape(2, -1).T - 90
    lattice = numbers @ steps + SIDE_PX / 2
    inside = ((lattice > 1) & (lattice < SIDE_PX - 2)).all(axis=1)
    # In the order of the extrema, as frames come.
    places = lattice[inside][np.lexsort(lattice[inside].T[::-1])][:N_SITES]
    vectors, reach_px = np.concatenate([steps, -steps]), 0.2 * PERIOD_PX
    buckets = make_buckets((SIDE_PX, SIDE_PX), reach_px, len(places))
    links = np.empty((len(places), len(vectors)), np.int32)
    check("fill_buckets", 0.1, lambda: fill_buckets(places, buckets))
    check(
        f"link_places, {len(places)} x {len(vectors)}",
        1.1,
        lambda: link_places(places, vectors, reach_px, (SIDE_PX, SIDE_PX), buckets, links),
    )
    assert (links >= 0).mean() > 0.9


@pytest.mark.parametrize(
    ("n_points", "side_px", "budget_ms"), [(N_STRANGE, SIDE_PX, 0.1), (N_TORN, 4 * SIDE_PX, 10.0)]
)
def test_groups(n_points: int, side_px: int, budget_ms: float) -> None:
    rng = np.random.default_rng(3)
    # Three neighbours of each missing site, in any order.
    missing = rng.uniform(PERIOD_PX, side_px - PERIOD_PX, (n_points // 3 + 1, 2))
    around = rng.normal(0.0, 0.5, (n_points, 2))
    points = rng.permutation(np.repeat(missing, 3, axis=0)[:n_points] + around)
    buckets = make_buckets((side_px, side_px), PERIOD_PX, n_points)
    groups, reach_px = np.empty(n_points, np.int32), 0.25 * PERIOD_PX
    check(
        f"group_points, {n_points}",
        budget_ms,
        lambda: group_points(points, reach_px, buckets, groups),
    )


def test_residuals(bench: Bench) -> None:
    size = 35
    patch = bench.blurred[100 : 100 + size, 100 : 100 + size].copy()
    places, out = bench.places[:N_STRANGE], make_residuals(N_STRANGE)
    check(
        f"window_residuals, {N_STRANGE} of {size}x{size}",
        7.5,
        lambda: window_residuals(bench.blurred, places, patch, 0.6 * PERIOD_PX, out),
    )
