"""Measures scorers on disjoint bands of one frame with seamless defects, and writes the table.

    python tests/accuracy/vae_bands.py [SCORER...]

Of all scorers the table goes into README.md. The frame lies beside the checkout, in
../shared/data/real, and is not part of the project. The splits are those of methods/vae.md 8.1;
figures stand in the order rows, mirrored, columns.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.band_figures import Figures, Maker, measure_sites, measure_windows
from support.band_scorers import (
    dense_residual,
    median_patch,
    window_mean,
    window_pca,
    window_spread,
)
from support.bands import splits
from support.page import put

# What a scorer gives scores to, and how it is made from the fit band.
SCORERS: dict[str, tuple[str, Maker]] = {
    "mean of the window": ("window", window_mean),
    "standard deviation of the window": ("window", window_spread),
    "PCA40 of windows, largest, central half": ("window", window_pca),
    "median patch, 41 px": ("dense", median_patch),
    "dense PCA20, largest": ("dense", partial(dense_residual, waves=0.0, rank=20)),
    "dense PCA40, largest": ("dense", partial(dense_residual, waves=0.0, rank=40)),
    "dense PCA40, local energy": (
        "dense",
        partial(dense_residual, waves=0.0, rank=40, statistic="energy"),
    ),
    "waves and components, largest": ("dense", dense_residual),
    "waves and components, local energy": ("dense", partial(dense_residual, statistic="energy")),
}
HEAD = (
    "| scorer | AUC | found at 1 %, oracle | at 5 % | false at 1 % / 5 % of calibration "
    "| the same, scaled | found at 1 % / 5 %, scaled | false at p of 1 % / 5 % "
    "| found at p of 1 % / 5 % | normal |\n" + "|---" * 10 + "|\n"
)


def measured(kind: str, make: Maker) -> list[Figures]:
    """Figures of one scorer on the three splits."""
    measure = measure_windows if kind == "window" else measure_sites
    return [measure(split, make) for split in splits(kind)]


def line(name: str, figures: Sequence[Figures]) -> str:
    """One row of the table."""

    def each(show: Callable[[Figures], str]) -> str:
        return " · ".join(show(one) for one in figures)

    cells = (
        name,
        each(lambda one: f"{one.mean_auc:.3f}"),
        each(lambda one: f"{one.mean_d1:.0%}"),
        each(lambda one: f"{one.mean_d5:.0%}"),
        each(lambda one: f"{one.false1:.1%}/{one.false5:.1%}"),
        each(lambda one: f"{one.false1_scaled:.1%}/{one.false5_scaled:.1%}"),
        each(lambda one: f"{one.found1:.0%}/{one.found5:.0%}"),
        each(lambda one: f"{one.false1_law:.1%}/{one.false5_law:.1%}"),
        each(lambda one: f"{one.found1_law:.0%}/{one.found5_law:.0%}"),
        each(lambda one: f"{one.n_normal}"),
    )
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Measure what was asked for, or everything."""
    lines = []
    sys.stdout.write(HEAD)
    for name in sys.argv[1:] or list(SCORERS):
        kind, make = SCORERS[name]
        lines.append(line(name, measured(kind, make)))
        sys.stdout.write(lines[-1])
        sys.stdout.flush()
    if len(lines) == len(SCORERS):
        put(HEAD, "".join(lines))


if __name__ == "__main__":
    main()
