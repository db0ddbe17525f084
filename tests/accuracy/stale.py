"""Measures what makes a model of scheme one stale, and writes the table of README.md.

    python tests/accuracy/stale.py

Fits each simulated crystal on four defective frames, changes one setting of the microscope at a
time, and looks at three new frames.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.patterson.finder import PattersonFinder
from latticewatch.detectors.patterson.fit import fit
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.patterson.stale import Freshness
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings

PAGE = Path(__file__).with_name("README.md")
TITLE = "## What makes a model of scheme one stale\n"
HEAD = (
    "| change | flagged | median score, MAD | residual | period | angle, degrees | stale |\n"
    "|---|---|---|---|---|---|---|\n"
)
CRYSTALS = ("mos2", "srtio3", "zincblende")
SEEDS = (41, 42, 43)
PIXEL_NM, ROTATION_DEG, PROBE_ANG = 0.0131, 11.0, 0.47
Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which a frame differs from the reference; factors and steps."""

    name: str
    turn_deg: float = 0.0
    magnification: float = 1.0
    dose: float = 1.0
    probe: float = 1.0
    gain: float = 1.0
    offset: float = 0.0
    jitter_px: float = 0.2


CHANGES = (
    Change("none"),
    *(Change(f"scan rotation {turn:+g} deg", turn_deg=turn) for turn in (0.5, 1, 2, 3, 5, -5)),
    *(
        Change(f"magnification {(factor - 1) * 100:+.1f} %", magnification=factor)
        for factor in (1.01, 1.015, 1.02, 1.03, 0.97, 1.05, 0.9)
    ),
    *(Change(f"dose x{factor:g}", dose=factor) for factor in (0.25, 0.5, 0.7, 1.5, 2, 4)),
    *(
        Change(f"focus: columns x{factor:g} wide", probe=factor)
        for factor in (0.8, 0.9, 1.1, 1.17, 1.3, 1.5)
    ),
    Change("gain x1.5", gain=1.5),
    Change("offset +2000 ADU", offset=2000.0),
    Change("gain x1.5, dose x0.5", gain=1.5, dose=0.5),
    Change("line jitter 0.7 px", jitter_px=0.7),
)


def frame(crystal: str, seed: int, change: Change) -> Image:
    """A frame of a specimen with defects under the changed settings."""
    pixel_nm = PIXEL_NM / change.magnification
    usual = MicroscopeSettings(crystal=crystal).dose
    settings = MicroscopeSettings(
        crystal=crystal,
        seed=seed,
        pixel_size_nm=pixel_nm,
        rotation_deg=ROTATION_DEG + change.turn_deg,
        # Electrons on a pixel stay what they were when the pixel shrinks.
        dose_e_per_ang2=usual * change.dose * change.magnification**2,
        probe_sigma_ang=PROBE_ANG * change.probe,
        jitter_px=change.jitter_px,
    )
    pixels = Microscope(settings).frame(0)[0].astype(np.float32)
    changed: Image = pixels * np.float32(change.gain) + np.float32(change.offset)
    return changed


def freshness(model: PattersonModel, image: Image) -> Freshness:
    """What the model says of a frame as a whole."""
    detector = PattersonDetector(model)
    view, _ = PattersonFinder(model.rule, model.image).prepare(image, own_lock(image))
    detector.score(view)
    if detector.freshness is None:
        raise AssertionError("scoring measures freshness")
    return detector.freshness


def row(change: Change, seen: list[Freshness]) -> str:
    """One line: the range over crystals and frames, and how many of them are stale."""

    def span(values: list[float], form: str) -> str:
        return f"{min(values):{form}} to {max(values):{form}}"

    reasons = sorted({reason for one in seen for reason in one.reasons})
    cells = (
        change.name,
        span([one.flagged_share for one in seen], ".3f"),
        span([one.median_score for one in seen], ".1f"),
        span([one.residual_ratio for one in seen], ".2f"),
        span([one.period_ratio for one in seen], ".3f"),
        span([float(np.degrees(one.turn_rad)) for one in seen], ".1f"),
        f"{sum(one.is_stale for one in seen)} of {len(seen)}"
        + (f": {', '.join(reasons)}" if reasons else ""),
    )
    return f"| {' | '.join(cells)} |\n"


def table() -> str:
    """The whole table."""
    models = {
        crystal: fit(
            [frame(crystal, seed, CHANGES[0]) for seed in (31, 32, 33, 34)], PattersonParameters()
        )[0]
        for crystal in CRYSTALS
    }
    lines = []
    for change in CHANGES:
        seen = [
            freshness(models[crystal], frame(crystal, seed, change))
            for crystal in CRYSTALS
            for seed in SEEDS
        ]
        lines.append(row(change, seen))
        sys.stdout.write(lines[-1])
    return HEAD + "".join(lines)


def main() -> None:
    """Measure, print, and put the table into its section of the page."""
    made = table()
    before, _, after = PAGE.read_text(encoding="utf-8").partition(TITLE)
    introduction, _, rest = after.partition("| change |")
    later = rest.partition("\n\n")[2]
    tail = f"\n{later}" if later else ""
    PAGE.write_text(f"{before}{TITLE}{introduction}{made}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
