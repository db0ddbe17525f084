"""Measures whether p-values of the dense residual hold on frames of another dose, gain or focus.

    python tests/accuracy/vae_calibration.py

Fits each simulated crystal on two frames with defects, and looks at four new frames of perfect
crystals for each change. No frame calibrates: `null.USUAL_LAW` on the frame's own scale does.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import LatticeLock, lock_lattice
from latticewatch.detectors.vae.dense import DenseScorer
from latticewatch.detectors.vae.null import USUAL_LAW, p_values
from latticewatch.detectors.vae.pca import fit_dense, mean_period
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.band_scorers import on_own_levels
from support.bands import blurred
from support.page import put

Image = NDArray[np.float32]
Scores = NDArray[np.float64]

CRYSTALS = ("mos2", "srtio3", "zincblende")
FIT_SEEDS, SEEDS = (31, 32), (161, 162, 163, 164)
SHAPE = (1024, 1024)
# What is unlike the frames of the fit: factors of settings, except the offset.
CHANGES: dict[str, dict[str, float]] = {
    "none": {},
    "dose x0.5": {"dose": 0.5},
    "dose x2": {"dose": 2.0},
    "gain x0.5": {"gain": 0.5},
    "offset +2000 ADU": {"offset": 2000.0},
    "focus: columns x0.9 wide": {"probe": 0.9},
    "focus: columns x1.1 wide": {"probe": 1.1},
    "focus: columns x1.17 wide": {"probe": 1.17},
    "scan rotation +1 deg": {"turn_deg": 1.0},
    "magnification +1.5 %": {"magnification": 1.015},
    "line jitter 0.7 px": {"jitter_px": 0.7},
}
# What the issue allows, as factors of the wanted rate.
ALLOWED = {0.01: 2.5, 0.05: 1.5}
HEAD = (
    "| change | largest: 1 %, all (least-most of a crystal) | 5 % | root of energy: 1 % | 5 % "
    "| at 0.1 %, both |\n" + "|---" * 6 + "|\n"
)


def frame(crystal: str, seed: int, change: dict[str, float], *, perfect: bool) -> Image:
    """A frame under changed settings."""
    magnification = change.get("magnification", 1.0)
    usual = MicroscopeSettings(crystal=crystal).dose
    settings = MicroscopeSettings(
        crystal=crystal,
        seed=seed,
        shape_yx=SHAPE,
        perfect=perfect,
        pixel_size_nm=0.0131 / magnification,
        rotation_deg=11.0 + change.get("turn_deg", 0.0),
        dose_e_per_ang2=usual * change.get("dose", 1.0),
        probe_sigma_ang=0.47 * change.get("probe", 1.0),
        jitter_px=change.get("jitter_px", 0.2),
    )
    pixels = Microscope(settings).frame(0)[0].astype(np.float32)
    changed: Image = pixels * np.float32(change.get("gain", 1.0))
    changed += np.float32(change.get("offset", 0.0))
    return changed


def brightest_sites(image: Image, smooth: Image) -> tuple[LatticeLock, NDArray[np.float64]]:
    """One site of each cell (N, 2): where the frame is brightest on average."""
    lattice = find_lattice(image)
    lock = None if lattice is None else lock_lattice(image, lattice)
    if lock is None:
        raise AssertionError("simulated crystals have a lattice")
    addresses = lock.addresses_in((image.shape[0], image.shape[1]))
    steps = np.arange(12) / 12
    means = {}
    for fraction in np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2):
        places = _inside(lock.places(addresses, fraction), image.shape)
        y, x = np.floor(places).astype(int).T
        means[float(smooth[y, x].mean())] = places
    return lock, means[max(means)]


def _inside(places: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    kept: NDArray[np.float64] = places[((places >= 0) & (places < shape)).all(axis=1)]
    return kept


def scorer_of(crystal: str) -> Callable[[Image], tuple[Scores, Scores]]:
    """Fit a crystal; what scores the sites of a frame by both statistics."""
    images = [frame(crystal, seed, {}, perfect=False) for seed in FIT_SEEDS]
    lattice = find_lattice(images[0])
    if lattice is None:
        raise AssertionError("simulated crystals have a lattice")
    period_px = mean_period(lattice.basis_px_yx)
    levelled = [on_own_levels(blurred(image, period_px)) for image in images]
    scorer = DenseScorer(fit_dense(levelled, lattice.basis_px_yx))

    def score(image: Image) -> tuple[Scores, Scores]:
        view = on_own_levels(blurred(image, period_px))
        _, places = brightest_sites(image, view)
        scores = scorer.score(view, places)
        return scores.largest, np.sqrt(scores.energy)

    return score


def line(name: str, found: dict[str, tuple[Scores, Scores]]) -> str:
    """One row: rates of all crystals, and of the least and the most one."""
    cells = [name]
    for statistic in (0, 1):
        for wanted in ALLOWED:
            rates = [float(np.mean(pair[statistic] < wanted)) for pair in found.values()]
            cells.append(f"{np.mean(rates):.2%} ({min(rates):.2%}-{max(rates):.2%})")
    far = [float(np.mean(one < 0.001)) for pair in found.values() for one in pair]
    cells.append(f"{np.mean(far):.3%}")
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Measure, print, and put the table into the page."""
    scorers = {crystal: scorer_of(crystal) for crystal in CRYSTALS}
    lines = []
    for name, change in CHANGES.items():
        found = {}
        for crystal, score in scorers.items():
            pairs = [score(frame(crystal, seed, change, perfect=True)) for seed in SEEDS]
            largest, energy = (
                np.concatenate([p_values(pair[k], USUAL_LAW)[0] for pair in pairs]) for k in (0, 1)
            )
            found[crystal] = (largest[~np.isnan(largest)], energy[~np.isnan(energy)])
        lines.append(line(name, found))
        sys.stdout.write(lines[-1])
        sys.stdout.flush()
    put(HEAD, "".join(lines))


if __name__ == "__main__":
    main()
