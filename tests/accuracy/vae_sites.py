"""Measures the lattice-locked autoencoder on simulated crystals, and writes the table of README.md.

    python tests/accuracy/vae_sites.py

Fits each crystal on four frames with defects. Perfect crystals under changed settings then say how
often a site without a defect has a small p-value, and which frames make the model stale.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.vae.fit import fit
from latticewatch.detectors.vae.model import VaeModel
from latticewatch.detectors.vae.score import VaeDetector
from latticewatch.detectors.vae.windows import matching_lock
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.page import put

Image = NDArray[np.float32]
CRYSTALS = ("mos2", "srtio3", "zincblende")
FIT_SEEDS, SEEDS = (31, 32, 33, 34), (151, 152, 153, 154, 155, 156)
SHAPE = (512, 512)
# Factors of settings, except turn and offset.
CHANGES: dict[str, dict[str, float]] = {
    "none": {},
    "dose x0.5": {"dose": 0.5},
    "dose x2": {"dose": 2.0},
    "gain x0.5": {"gain": 0.5},
    "offset +2000 ADU": {"offset": 2000.0},
    "focus: columns x0.9 wide": {"probe": 0.9},
    "focus: columns x1.1 wide": {"probe": 1.1},
    "magnification +3 %": {"magnification": 1.03},
    "magnification +6 %": {"magnification": 1.06},
    "scan rotation +2 deg": {"turn_deg": 2.0},
    "scan rotation +5 deg": {"turn_deg": 5.0},
}
HEAD = (
    "| change | p below 1 %, all (least-most of a crystal) | 5 % | largest alone: 1 % | 5 % "
    "| energy alone: 1 % | 5 % | stale |\n" + "|---" * 8 + "|\n"
)
LEVELS = (0.01, 0.05)


@dataclass(slots=True)
class Seen:
    """Shares of the sites of one crystal below each level: both together, each alone."""

    shares: list[float]
    n_stale: int = 0
    reasons: set[str] = field(default_factory=set)


def frame(crystal: str, seed: int, change: dict[str, float], *, perfect: bool = True) -> Image:
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
        # Electrons on a pixel stay what they were when the pixel shrinks.
        dose_e_per_ang2=usual * change.get("dose", 1.0) * magnification**2,
        probe_sigma_ang=0.47 * change.get("probe", 1.0),
    )
    pixels = Microscope(settings).frame(0)[0].astype(np.float32)
    changed: Image = pixels * np.float32(change.get("gain", 1.0))
    changed += np.float32(change.get("offset", 0.0))
    return changed


def look(model: VaeModel, crystal: str, change: dict[str, float]) -> Seen:
    """What a model says of perfect frames."""
    detector, finder = VaeDetector(model), SiteFinder(model.rule)
    p_values: list[NDArray[np.float64]] = []
    seen = Seen([])
    for seed in SEEDS:
        image = frame(crystal, seed, change)
        view = finder.prepare(image, matching_lock(model.rule, own_lock(image)))
        scores = detector.score(view)
        each = [scores.p_value, *(part[2] for part in scores.parts)]
        p_values.append(np.stack(each)[:, scores.scored])
        seen.n_stale += int(scores.stale)
        if detector.freshness is not None:
            seen.reasons.update(detector.freshness.reasons)
    together = np.concatenate(p_values, axis=1)
    seen.shares = [float((row < level).mean()) for row in together for level in LEVELS]
    return seen


def line(name: str, seen: list[Seen]) -> str:
    """One row of the table."""
    rates = np.array([one.shares for one in seen]).T
    cells = [name, *(f"{row.mean():.1%} ({row.min():.1%}-{row.max():.1%})" for row in rates)]
    n_stale, reasons = sum(one.n_stale for one in seen), set().union(*(o.reasons for o in seen))
    told = f": {', '.join(sorted(reasons))}" if reasons else ""
    cells.append(f"{n_stale} of {len(seen) * len(SEEDS)}{told}")
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Measure, print, and put the table into the page."""
    models = {}
    for crystal in CRYSTALS:
        frames = [frame(crystal, seed, {}, perfect=False) for seed in FIT_SEEDS]
        models[crystal], report = fit(frames)
        sys.stdout.write(f"{crystal}: {report}\n")
    sys.stdout.write(HEAD)
    lines = []
    for name, change in CHANGES.items():
        lines.append(line(name, [look(models[one], one, change) for one in CRYSTALS]))
        sys.stdout.write(lines[-1])
        sys.stdout.flush()
    put(HEAD, "".join(lines))


if __name__ == "__main__":
    main()
