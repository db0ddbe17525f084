"""Each kernel of the reference cell keeps its budget: one thread, 1024x1024, 4400 sites.

The budgets are five times what kernels/README.md reports, for machines that are slow or busy.
Run with `pytest -m benchmark -s` to see the figures.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.kernels.bumps import find_bumps, ground_near, mark_ground
from latticewatch.kernels.cells import (
    CELL_BINS,
    add_to_cell,
    cell_index,
    leave_out,
    place_cells,
    predict,
)
from latticewatch.kernels.column_fit import fit_column, move_column
from latticewatch.kernels.columns import N_MATCHES, correlate_columns, match_columns
from latticewatch.kernels.gaps import fill_gaps
from latticewatch.kernels.grids import (
    N_MOMENTS,
    apply_gain,
    block_means,
    block_moments,
    halve,
    subtract_grid,
    taper,
    thin,
)
from latticewatch.kernels.normal import (
    N_NORMAL,
    column_statistics,
    column_strangeness,
    learn_normal,
    share_normal,
)
from latticewatch.kernels.peaks import N_PEAK, band_peaks, group_medians, indexed_weight
from latticewatch.kernels.peers import group_near, keep_peers
from latticewatch.kernels.places import place_sites
from latticewatch.kernels.pursuit import N_CHANGE, judge_columns, pursue
from latticewatch.kernels.residue import row_moments, spread_by_level, unshift_rows
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights
from latticewatch.kernels.waves import block_wave, subtract_level, unwrap, unwrap_smooth
from support.budgets import check

pytestmark = pytest.mark.benchmark

SIDE_PX = 1024
PERIOD_PX = 22.6
STEP_PX = 11  # half a period
N_BLOCKS = SIDE_PX // STEP_PX
N_SITES = 4400  # two columns a cell
N_STRANGE = 200
N_LEVELS = 256
SIGMA_PX = 3.0
BASIS_PX = PERIOD_PX * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
LAW = (0.02, 0.5, 0.2)


@dataclass(frozen=True, slots=True)
class Bench:
    """A frame with what the kernels hand to each other."""

    image: NDArray[np.float32]
    used: NDArray[np.uint8]
    reciprocal_per_px: NDArray[np.float64]
    phase: NDArray[np.float32]
    index: NDArray[np.uint16]
    model: NDArray[np.float32]
    residual: NDArray[np.float32]
    precision: NDArray[np.float32]
    places: NDArray[np.float64]


@pytest.fixture(scope="module")
def bench() -> Bench:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    reciprocal = np.linalg.inv(BASIS_PX).T.astype(np.float64)
    turns = np.tensordot(reciprocal, np.stack([y, x]), 1)
    model = np.cos(2 * np.pi * turns).sum(axis=0).astype(np.float32)
    residual = rng.normal(size=model.shape).astype(np.float32)
    phase = rng.normal(0.0, 0.02, (2, N_BLOCKS, N_BLOCKS)).astype(np.float32)
    index = np.empty(model.shape, np.uint16)
    cell_index(reciprocal, phase, STEP_PX, index)
    return Bench(
        image=model + residual,
        used=np.ones(model.shape, np.uint8),
        reciprocal_per_px=reciprocal,
        phase=phase,
        index=index,
        model=model,
        residual=residual,
        precision=np.ones_like(model),
        places=rng.uniform(0, SIDE_PX, (N_SITES, 2)),
    )


def test_background(bench: Bench) -> None:
    means, out = np.empty((N_BLOCKS, N_BLOCKS), np.float32), np.empty_like(bench.image)
    check("block_means", 0.7, lambda: block_means(bench.image, STEP_PX, means))
    check("subtract_grid", 5.5, lambda: subtract_grid(bench.image, means, STEP_PX, out))
    half, window = np.empty((SIDE_PX // 2, SIDE_PX // 2), np.float32), np.hanning(SIDE_PX)
    windows = (window.astype(np.float32), window.astype(np.float32))
    check("halve", 0.5, lambda: halve(bench.image, half))
    many = bench.image[:170, :170].copy()
    thinned = np.empty((85, 85), np.float32)
    check("thin", 0.2, lambda: thin(many, thinned))
    check("taper", 5.5, lambda: taper(bench.image, means, STEP_PX, windows, out))


def test_peaks() -> None:
    rng = np.random.default_rng(6)
    # Half of the plane out to 0.22 cycles/px, and rings of it.
    power = rng.exponential(size=(451, 226)).astype(np.float32)
    rings = np.sort(rng.integers(0, 225, 28_800))
    order = rng.permutation(power.size)[: len(rings)].astype(np.int32)
    ends = np.cumsum(np.bincount(rings, minlength=225)).astype(np.int64)
    scratch, medians = np.empty(len(order), np.float32), np.empty(225, np.float32)
    flat = power.reshape(-1)
    check("group_medians", 2.0, lambda: group_medians(flat, order, ends, scratch, medians))
    found = np.empty((4096, N_PEAK))
    check("band_peaks", 0.5, lambda: band_peaks(power, 25.0, 3, found))
    bases, peaks = rng.normal(0.0, 0.1, (2400, 2, 2)), rng.uniform(-0.2, 0.2, (40, 2))
    weight, total = np.ones(40), np.empty(2400)
    check("indexed_weight", 2.0, lambda: indexed_weight(bases, peaks, weight, 0.002, 6, total))


def test_waves(bench: Bench) -> None:
    out, turns = np.empty_like(bench.phase), bench.phase[0].copy()
    wave = float(bench.reciprocal_per_px[0, 0]), float(bench.reciprocal_per_px[0, 1])
    check("block_wave", 1.7, lambda: block_wave(bench.image, wave, STEP_PX, out))
    rows = np.ones((2, N_BLOCKS), np.float32)
    check("subtract_level", 0.1, lambda: subtract_level(turns, rows, rows, out))
    quality = np.abs(bench.phase[1])
    check("unwrap", 12.0, lambda: unwrap(turns, quality, out[0]))
    check("unwrap_smooth", 0.1, lambda: unwrap_smooth(turns, out[0]))
    known = np.arange(N_BLOCKS) < N_BLOCKS // 2 + np.zeros((N_BLOCKS, 1))
    check("fill_gaps", 0.8, lambda: fill_gaps(out, known))


def test_cells(bench: Bench) -> None:
    total, count = np.zeros(CELL_BINS**2), np.zeros(CELL_BINS**2, np.int64)
    cell = np.zeros(CELL_BINS**2, np.float32)
    index, out, places = bench.index.copy(), np.empty_like(bench.image), np.empty((N_SITES, 2))
    wanted = bench.places @ bench.reciprocal_per_px.T
    check(
        "cell_index",
        2.3,
        lambda: cell_index(bench.reciprocal_per_px, bench.phase, STEP_PX, index),
    )
    check("add_to_cell", 6.2, lambda: add_to_cell(bench.image, index, bench.used, total, count))
    check("predict", 2.2, lambda: predict(index, cell, out))
    check(
        f"place_cells, {N_SITES}",
        2.1,
        lambda: place_cells(wanted, BASIS_PX, bench.phase, STEP_PX, places),
    )


def test_sites(bench: Bench) -> None:
    fractions = np.array([[0.1, 0.2], [0.4, 0.5]])
    reach = np.array([[-60, -60], [60, 60]], np.int64)
    lattice = (BASIS_PX, bench.phase, float(STEP_PX))
    out = np.empty((9000, 2)), np.empty((9000, 2), np.int64), np.empty(2, np.int64)
    limits = 0.0, float(SIDE_PX), float(SIDE_PX)
    n_found = place_sites(fractions, reach, lattice, limits, out)
    check(
        f"place_sites, {n_found}",
        3.3,
        lambda: place_sites(fractions, reach, lattice, limits, out),
    )
    total, count = np.zeros(CELL_BINS**2), np.zeros(CELL_BINS**2, np.int64)
    first = bench.places[:N_STRANGE].astype(np.int64)
    boxes = np.stack([first[:, 0], first[:, 0] + 21, first[:, 1], first[:, 1] + 21], axis=1)

    def leave_out_all() -> None:
        used = bench.used.copy()
        leave_out(bench.image, bench.index, used, boxes, total, count)

    check(f"leave_out, {N_STRANGE}, with a copy of `used`", 1.3, leave_out_all)


def test_normal() -> None:
    rng = np.random.default_rng(3)
    sums = np.concatenate([rng.normal(size=(N_SITES, 3)), np.ones((N_SITES, 3))], axis=1)
    near_edge = rng.random(N_SITES) < 0.1
    raw, scale = np.empty((3, N_SITES)), np.empty(3)
    normal, distance = np.empty((N_SITES, N_NORMAL)), np.empty(N_SITES)
    strength, shared = np.ones_like(raw), np.empty_like(raw)
    blocks = rng.uniform(0, SIDE_PX / 22, (N_SITES, 2))
    everyone, window = np.ones(N_SITES, np.bool_), gaussian_weights(1.5)
    ends = np.array([N_SITES // 2, N_SITES], np.int64)

    def learn() -> None:
        column_statistics(sums, raw)
        learn_normal(raw, ends, near_edge, (20, 1.3), scale, normal)
        column_strangeness(raw, normal, distance)

    check(f"column_statistics, learn_normal, column_strangeness, {N_SITES}", 1.7, learn)
    check(
        f"share_normal, {N_SITES}",
        3.0,
        lambda: share_normal(raw, strength, everyone, blocks, window, shared),
    )


def test_bumps(bench: Bench) -> None:
    ground, found = np.empty(CELL_BINS**2, np.bool_), np.empty((SIDE_PX**2 // 4, 2), np.int32)
    fractions = np.array([[0.1, 0.2], [0.4, 0.5]])
    check("mark_ground", 0.3, lambda: mark_ground(fractions, BASIS_PX, 6.0, ground))
    weights = gaussian_weights(SIGMA_PX, 3.5)
    filtered = np.empty_like(bench.residual)
    gaussian(bench.residual, weights, gaussian_scratch(SIDE_PX, weights), filtered)
    check("find_bumps", 7.0, lambda: find_bumps(filtered, bench.index, ground, (3, 4), found))
    places = np.random.default_rng(5).uniform(20, SIDE_PX - 20, (N_STRANGE, 2))
    frame, means = (bench.residual, bench.residual), np.empty((N_STRANGE, 2))
    check(
        f"ground_near, {N_STRANGE}",
        3.0,
        lambda: ground_near(frame, bench.index, ground, places, (0.0, 16.0), means),
    )


def test_peers(bench: Bench) -> None:
    places, groups = bench.places[:N_STRANGE], np.empty(N_STRANGE, np.int64)
    check(f"group_near, {N_STRANGE}", 0.2, lambda: group_near(places, 20.0, groups))
    scores, moved = np.linspace(20, 3, N_STRANGE), np.arange(N_STRANGE) % 2 == 0
    rings = np.array([(6.0, np.inf, np.inf, 0.3), (18.0, 0.25, 0.5, 0.3), (32.0, 0.0, 0.2, 0.3)])
    kept = np.empty(N_STRANGE, np.bool_)
    check(f"keep_peers, {N_STRANGE}", 0.7, lambda: keep_peers(places, scores, moved, rings, kept))


def test_gain(bench: Bench) -> None:
    moments = np.empty((N_MOMENTS, N_BLOCKS, N_BLOCKS), np.float32)
    gain, offset = np.ones_like(moments[0]), np.zeros_like(moments[0])
    model, residual = bench.model.copy(), np.empty_like(bench.model)
    check(
        "block_moments",
        4.5,
        lambda: block_moments(bench.image, bench.model, bench.used, STEP_PX, moments),
    )
    check(
        "apply_gain",
        4.2,
        lambda: apply_gain(gain, offset, STEP_PX, bench.image, model, residual),
    )


def test_residue(bench: Bench) -> None:
    sums, moments = np.empty((4, N_LEVELS)), np.empty((SIDE_PX, 5))
    shift_px, residual = np.zeros((SIDE_PX, 2), np.float32), bench.residual.copy()
    precision, weighted = np.empty_like(residual), np.empty_like(residual)
    check(
        "spread_by_level",
        6.8,
        lambda: spread_by_level(bench.model, residual, bench.used, (-2.0, 2.0), sums),
    )
    check("row_moments", 5.0, lambda: row_moments(bench.model, residual, bench.used, LAW, moments))
    check(
        "unshift_rows",
        2.8,
        lambda: unshift_rows(bench.model, shift_px, LAW, residual, precision, weighted),
    )


def test_columns(bench: Bench) -> None:
    residual, weighted = bench.residual.copy(), bench.residual.copy()
    matches, fit = np.empty((N_SITES, N_MATCHES)), np.empty(6)
    sites = [(10.0, float(y), float(x)) for y, x in bench.places[:N_STRANGE]]

    def fit_all() -> None:
        for site in sites:
            fit_column(residual, bench.precision, site, SIGMA_PX, 6.0, fit)

    def move_all() -> None:
        for site in sites:
            move_column(site, site, SIGMA_PX, bench.precision, residual, weighted)

    check(
        f"match_columns, {N_SITES}",
        11.5,
        lambda: match_columns(weighted, bench.precision, bench.places, SIGMA_PX, matches),
    )
    check(
        f"correlate_columns, {N_SITES}",
        6.5,
        lambda: correlate_columns(weighted, bench.places, SIGMA_PX, matches),
    )
    check(f"fit_column, {N_STRANGE}", 13.0, fit_all)
    check(f"move_column, {N_STRANGE}", 7.2, move_all)


def test_pursuit(bench: Bench) -> None:
    """A residual in which 200 of 4400 columns are strange, one in four beside another."""
    rng = np.random.default_rng(2)
    sums = np.concatenate([rng.normal(size=(N_SITES, 3)), np.ones((N_SITES, 3))], axis=1)
    sums[:N_STRANGE, 0] = -8.0
    columns = np.column_stack([np.full(N_SITES, 10.0), bench.places])
    normal = np.tile([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.05], (N_SITES, 1))
    log_share = np.full((N_SITES, 2), np.log(0.5))
    judged, found = np.empty((N_SITES, 5)), np.empty((2 * N_STRANGE, N_CHANGE))
    worth = float(np.log(0.001))
    residual, weighted = bench.residual.copy(), bench.residual.copy()

    def pursue_all() -> None:
        judge_columns(sums, normal, log_share, worth, judged)
        pursue(
            (residual, bench.precision, weighted),
            (columns, sums.copy(), normal, log_share),
            (SIGMA_PX, 6.0, 6 * SIGMA_PX),
            worth,
            judged,
            found,
        )

    check(
        f"judge_columns, {N_SITES}",
        0.8,
        lambda: judge_columns(sums, normal, log_share, worth, judged),
    )
    check(f"pursue, {N_STRANGE} of {N_SITES}", 20.0, pursue_all)
